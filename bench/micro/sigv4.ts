// The signature of a request: as an SDK sends it, as a presigned URL, with as many fields as fit, forged; and one of a chunk.
import { createSigV4Verifier } from '../../src/auth/sigv4/sigv4-verifier.ts';
import { readSignature } from '../../src/auth/sigv4/read-signature.ts';
import { createMemoryReplayGuard } from '../../src/auth/sigv4/memory-replay-guard.ts';
import { formatTimestamp } from '../../src/auth/sigv4/timestamp.ts';
import type { AuthRequest } from '../../src/auth/authentication.ts';
import { signedByHeader, signedByQuery, sigv4Config, type ToSign } from '../../test/support/sigv4.ts';
import type { MicroBenchmark } from '../micro.ts';

const replays = createMemoryReplayGuard({ maxEntries: 1 });
const verify = createSigV4Verifier(sigv4Config, { replays });

const timestamp = formatTimestamp(Date.now());
const now = { timestamp, scope: `${timestamp.slice(0, 8)}/us-east-1/s3/aws4_request` };
/** Sent by SDKs and not signed. */
const unsignedFields = {
  'user-agent': 'aws-sdk-js/3.1169.0 ua/2.1 os/linux lang/js md/nodejs',
  accept: '*/*',
  connection: 'keep-alive',
};
const usual: ToSign = {
  ...now,
  unsignedFields,
  fields: {
    'content-length': '4096',
    'content-type': 'application/octet-stream',
    'x-amz-checksum-crc32': 'AAAAAA==',
    'x-amz-sdk-checksum-algorithm': 'CRC32',
    'x-amz-user-agent': 'aws-sdk-js/3.1169.0',
  },
};
const metadata = Object.fromEntries(
  Array.from({ length: 80 }, (_, index) => [`x-amz-meta-${index}`, `value ${index}`]),
);

async function verifyOf(request: AuthRequest): Promise<unknown> {
  const signature = readSignature(request);
  return signature && verify(request, signature);
}

const plain = signedByHeader(usual);
const part = signedByHeader({ ...usual, rawQuery: 'partNumber=17&uploadId=0123456789abcdef0123456789abcdef' });
const encoded = signedByHeader({ ...usual, rawPath: '/bucket/a%20folder/%E3%83%9F%E3%82%BA%E3%83%81.bin' });
const presigned = signedByQuery({ ...now, unsignedFields, rawQuery: 'x-id=PutObject' });
const many = signedByHeader({ ...usual, fields: metadata });
const forged = signedByHeader({ ...usual, secretKey: 'another' });
const { headers } = signedByHeader({ fields: {}, unsignedFields });
const bearer: AuthRequest = { ...plain, headers, rawQuery: 'partNumber=17&uploadId=0123456789abcdef0123456789abcdef' };

const signed = signedByHeader({ ...now, payloadHash: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' });
const { payload } = await verify(signed, readSignature(signed)!);
const chunks = payload.kind === 'aws-chunked' ? payload.signatures : undefined;

export const benchmarks: readonly MicroBenchmark[] = [
  { name: 'verify a PUT', call: () => verifyOf(plain) },
  { name: 'verify an UploadPart', call: () => verifyOf(part) },
  { name: 'verify a PUT of a percent-encoded key', call: () => verifyOf(encoded) },
  { name: 'verify a presigned PUT', call: () => verifyOf(presigned) },
  { name: 'verify a PUT with 80 signed metadata fields', call: () => verifyOf(many) },
  { name: 'refuse a forged PUT', call: () => verifyOf(forged).catch(() => 'refused') },
  { name: 'see that a request has no signature', call: () => readSignature(bearer) },
  { name: "refuse a chunk's signature", call: () => refuseChunk() },
];

/** As dear as to accept it, and it can be said again. */
function refuseChunk(): unknown {
  try {
    return chunks?.verifyChunk('0'.repeat(64), '0'.repeat(64));
  } catch (error) {
    return error;
  }
}
