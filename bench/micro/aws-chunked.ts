// Bodies in aws-chunked framing: the decoder alone, and the whole way of a body with a trailing CRC-32; chunks as clients
// make them, and of one byte, as nobody wants them. Rates are of bytes on the wire.
import { createSigningKeys } from '../../src/auth/sigv4/signing-keys.ts';
import { startChunkSignatures } from '../../src/auth/sigv4/chunk-signatures.ts';
import { RequestHeaders, type Chunk, type RequestBody } from '../../src/http.ts';
import type { AwsChunkedPayload } from '../../src/payload.ts';
import { AwsChunkedDecoder } from '../../src/upload/body/aws-chunked-decoder.ts';
import { slabBytes } from '../../src/upload/body/byte-budget.ts';
import { openBody } from '../../src/upload/body/open-body.ts';
import { type PayloadMode, signS3Request } from '../../test/support/sign-s3-request.ts';
import type { MicroBenchmark } from '../micro.ts';

const kib = 1024;
const credential = {
  accessKey: 'BENCHACCESSKEY',
  secretKey: 'bench-secret-key-of-forty-characters-xxxx',
  region: 'us-east-1',
};
const keyOf = createSigningKeys(credential.secretKey, { region: credential.region, service: 's3' });
/** Lent again and again, as the proxy's memory is; the decoder may write to it. */
const slab = Buffer.alloc(slabBytes);

interface Framed {
  readonly wire: Buffer;
  readonly headers: RequestHeaders;
  readonly decodedLength: number;
  /** Anew for each body: signatures are a chain. */
  readonly payload: () => AwsChunkedPayload;
}

function frame(mode: PayloadMode, chunkBytes: number): Framed {
  // A chunk of one byte has 90 bytes of framing, and a signature of its own.
  const decodedLength = chunkBytes === 1 ? 16 * kib : kib * kib;
  const body = Buffer.alloc(decodedLength, 'mizuchi');
  const { headers, body: wire } = signS3Request({
    credential,
    method: 'PUT',
    host: 'bench',
    path: '/uploads/object.bin',
    body,
    mode,
    chunkBytes,
  });
  const timestamp = headers['x-amz-date'] ?? '';
  const seedSignature = headers['authorization']?.split('Signature=')[1] ?? '';
  const key = keyOf(timestamp.slice(0, 8));
  const isSigned = mode.startsWith('STREAMING-AWS4-');
  return {
    wire,
    headers: new RequestHeaders(Object.entries(headers).flat()),
    decodedLength,
    payload: () => ({
      kind: 'aws-chunked',
      hasTrailer: mode.endsWith('-TRAILER'),
      isSigned,
      signatures: isSigned ? startChunkSignatures({ ...key, timestamp, seedSignature }) : undefined,
    }),
  };
}

/** The body as it arrives: each piece is copied into the slab, which is part of what is measured. */
function* arrivals(wire: Buffer): Generator<Uint8Array> {
  for (let at = 0; at < wire.length; at += slabBytes) {
    const byteLength = wire.copy(slab, 0, at, at + slabBytes);
    yield slab.subarray(0, byteLength);
  }
}

function decode({ wire, decodedLength, payload }: Framed): number {
  const decoder = new AwsChunkedDecoder({ ...payload(), decodedLength });
  let pieces = 0;
  for (const bytes of arrivals(wire)) pieces += decoder.write(bytes).length;
  decoder.finish();
  return pieces;
}

async function receive({ wire, headers, payload }: Framed): Promise<number> {
  const arriving = arrivals(wire);
  const body: RequestBody = {
    length: wire.length,
    receivedBytes: wire.length,
    read: async (): Promise<Chunk | null> => {
      const { value } = arriving.next();
      return value instanceof Uint8Array ? { bytes: value, release: () => undefined } : null;
    },
    setReserved: () => undefined,
    cancel: () => undefined,
  };
  const request = { body } as Parameters<typeof openBody>[0]['request'];
  const incoming = openBody({ request, headers, payload: payload() }, { maxBytes: Number.MAX_SAFE_INTEGER });
  let pieces = 0;
  for (let chunk = await incoming.next(); chunk !== null; chunk = await incoming.next()) pieces++;
  return pieces;
}

const sizes = [
  { chunkBytes: 64 * kib, name: '64 KiB' },
  { chunkBytes: 8 * kib, name: '8 KiB' },
  { chunkBytes: 1, name: 'one byte' },
];

export const benchmarks: readonly MicroBenchmark[] = sizes.flatMap(({ chunkBytes, name }): MicroBenchmark[] => {
  const plain = frame('STREAMING-UNSIGNED-PAYLOAD-TRAILER', chunkBytes);
  const signed = frame('STREAMING-AWS4-HMAC-SHA256-PAYLOAD', chunkBytes);
  const both = frame('STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', chunkBytes);
  return [
    { name: `decode chunks of ${name}`, bytesPerCall: plain.wire.length, call: () => decode(plain) },
    { name: `decode signed chunks of ${name}`, bytesPerCall: signed.wire.length, call: () => decode(signed) },
    {
      name: `receive chunks of ${name}, CRC-32 behind them`,
      bytesPerCall: plain.wire.length,
      call: () => receive(plain),
    },
    {
      name: `receive signed chunks of ${name}, CRC-32 behind them`,
      bytesPerCall: both.wire.length,
      call: () => receive(both),
    },
  ];
});
