// The SigV4 signer: a plain PUT, and one with as many header fields as a client can make us sign.
import { createRequestSigner } from '../../src/storage/s3/sign-request.ts';
import type { MicroBenchmark } from '../micro.ts';

const sign = createRequestSigner('us-east-1');
const credentials = { accessKeyId: 'BENCHACCESSKEY', secretAccessKey: 'bench-secret-key-of-forty-characters-xxxx' };
const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);

function signWith(headers: ReadonlyMap<string, string>): () => string {
  const request = { method: 'PUT', path: '/bench/object.bin', query: '', host: 'localhost:9000', headers };
  return () => sign({ ...request, payloadHash: 'UNSIGNED-PAYLOAD' }, credentials, nowMs);
}

const usual = new Map([
  ['content-type', 'application/octet-stream'],
  ['content-length', '4096'],
]);
const metadata = Array.from(
  { length: 80 },
  (_, index) => [`x-amz-meta-${80 - index}`, `  value   ${index}  `] as const,
);

export const benchmarks: readonly MicroBenchmark[] = [
  { name: 'sign a PUT', call: signWith(usual) },
  { name: 'sign a PUT with 80 metadata fields, unsorted and to be folded', call: signWith(new Map(metadata)) },
];
