// Every arm, ours first: ratios are to the first one of a table.
import type { Arm } from './arm.ts';
import { direct } from './arms/direct.ts';
import { haproxy } from './arms/haproxy.ts';
import {
  mizuchi,
  mizuchiBuilt,
  mizuchiCrc32,
  mizuchiEightParts,
  mizuchiSha256,
  mizuchiSingle,
} from './arms/mizuchi.ts';
import { nginxShipped, nginxTuned } from './arms/nginx.ts';
import { nodePipe, sdkPut } from './arms/node-peers.ts';
import { versitygw } from './arms/versitygw.ts';

export const arms: readonly Arm[] = [
  mizuchi,
  mizuchiBuilt,
  mizuchiSingle,
  mizuchiEightParts,
  mizuchiCrc32,
  mizuchiSha256,
  nginxTuned,
  nginxShipped,
  haproxy,
  nodePipe,
  sdkPut,
  versitygw,
  direct,
];
