// Bodies in aws-chunked framing: the decoder alone, and the whole way of a body with a trailing CRC-32; chunks as clients
// make them, and of one byte, as nobody wants them. Rates are of bytes on the wire.
import { createSigningKeys } from '../../src/auth/sigv4/signing-keys.ts';
import { startChunkSignatures } from '../../src/auth/sigv4/chunk-signatures.ts';
import { RequestHeaders, type BodyDecoder, type Chunk, type RequestBody } from '../../src/http.ts';
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
/** Lent again and again, as the proxy's memory is. */
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
      signatures: isSigned ? startChunkSignatures({ key, timestamp, seedSignature }) : undefined,
    }),
  };
}

/** Decodes what comes next of a body into the slab, a copy that is part of what is measured. @returns undefined after the last of it. */
function receiver(wire: Buffer): (decoder: BodyDecoder) => Uint8Array | undefined {
  let at = 0;
  return (decoder) => {
    if (at >= wire.length) return undefined;
    let filledBytes = 0;
    decoder.write(wire.subarray(at, (at += slabBytes)), (piece) => {
      slab.set(piece, filledBytes);
      filledBytes += piece.length;
    });
    return slab.subarray(0, filledBytes);
  };
}

function decode({ wire, decodedLength, payload }: Framed): number {
  const decoder = new AwsChunkedDecoder({ ...payload(), decodedLength });
  const next = receiver(wire);
  let bytes = 0;
  for (let piece = next(decoder); piece !== undefined; piece = next(decoder)) bytes += piece.length;
  decoder.finish();
  return bytes;
}

async function receive({ wire, headers, payload }: Framed): Promise<number> {
  const next = receiver(wire);
  let decoder: BodyDecoder;
  const body: RequestBody = {
    length: wire.length,
    receivedBytes: wire.length,
    read: async (): Promise<Chunk | null> => {
      const bytes = next(decoder);
      return bytes === undefined ? null : { bytes, release: () => undefined };
    },
    setDecoder: (given) => (decoder = given),
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
