// Every arm, ours first: ratios are to the first one of a table.
import type { Arm } from './arm.ts';
import { direct } from './arms/direct.ts';
import { haproxy } from './arms/haproxy.ts';
import { mizuchi, mizuchiBuilt, mizuchiEightParts, mizuchiSingle } from './arms/mizuchi.ts';
import { nginxShipped, nginxTuned } from './arms/nginx.ts';
import { nodePipe, sdkPut } from './arms/node-peers.ts';
import { policyEngineArms } from './arms/policy-engines.ts';
import { telemetryArms } from './arms/telemetry.ts';
import { tokenArms } from './arms/tokens.ts';
import { checksumArms, signedArms } from './arms/verified.ts';
import { versitygw } from './arms/versitygw.ts';

export const arms: readonly Arm[] = [
  ...telemetryArms,
  mizuchi,
  mizuchiBuilt,
  mizuchiSingle,
  mizuchiEightParts,
  ...checksumArms,
  ...signedArms,
  ...tokenArms,
  ...policyEngineArms,
  nginxTuned,
  nginxShipped,
  haproxy,
  nodePipe,
  sdkPut,
  versitygw,
  direct,
];
