// Digests of bodies that are made up of one payload again and again; each is computed once.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { crc32 } from 'node:zlib';

import type { ArmBody } from './arm.ts';

export type DigestName = 'crc32' | 'crc32c' | 'crc64nvme' | 'sha256';

interface Crt {
  crc32c(this: void, bytes: Uint8Array, previous: number): number;
  crc64nvme(this: void, bytes: Uint8Array, previous: DataView | undefined): DataView;
}
const require = createRequire(import.meta.url);
const loadCrt = (): Crt => require('aws-crt/dist/native/checksums.js') as Crt;

/** Calls back with the payload repeated until the body is whole. */
function eachBlock({ payload, bytes }: ArmBody, take: (block: Buffer) => void): void {
  for (let left = bytes; left > 0; left -= payload.length) take(payload.subarray(0, Math.min(left, payload.length)));
}

function crc32Of(body: ArmBody, step: (bytes: Uint8Array, previous: number) => number): Buffer {
  let sum = 0;
  eachBlock(body, (block) => {
    sum = step(block, sum);
  });
  const digest = Buffer.alloc(4);
  digest.writeUInt32BE(sum >>> 0);
  return digest;
}

function crc64Of(body: ArmBody): Buffer {
  const { crc64nvme } = loadCrt();
  let sum: DataView | undefined;
  eachBlock(body, (block) => {
    sum = crc64nvme(block, sum);
  });
  return sum === undefined ? Buffer.alloc(8) : Buffer.from(sum.buffer, sum.byteOffset, 8);
}

function compute(body: ArmBody, name: DigestName): Buffer {
  switch (name) {
    case 'crc32':
      return crc32Of(body, crc32);
    case 'crc32c':
      return crc32Of(body, loadCrt().crc32c);
    case 'crc64nvme':
      return crc64Of(body);
    case 'sha256': {
      const hash = createHash('sha256');
      eachBlock(body, (block) => hash.update(block));
      return hash.digest();
    }
  }
}

const computed = new WeakMap<Buffer, Map<string, Buffer>>();

export function bodyDigest(body: ArmBody, name: DigestName): Buffer {
  const ofPayload = computed.get(body.payload) ?? new Map<string, Buffer>();
  computed.set(body.payload, ofPayload);
  const key = `${name} ${body.bytes}`;
  const digest = ofPayload.get(key) ?? compute(body, name);
  ofPayload.set(key, digest);
  return digest;
}
