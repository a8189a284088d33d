// The parser of the backend's answers: what S3 says to a PUT, and answers made to be slow to read.
import { ResponseParser } from '../../src/storage/s3/response-parser.ts';
import type { MicroBenchmark } from '../micro.ts';

const putAnswer = Buffer.from(
  [
    'HTTP/1.1 200 OK',
    'x-amz-id-2: LriYPLdmOdAiIfgSm/F1YsViT1LW94/xUQxMsF7xiEb1a0wiIOIxl+zbwZ163pt7',
    'x-amz-request-id: 0A49CE4060975EAC',
    'Date: Wed, 12 Oct 2025 17:50:00 GMT',
    'ETag: "1b2cf535f27731c974343645a3985328"',
    'x-amz-checksum-crc32: AAAAAA==',
    'Content-Length: 0',
    'Server: AmazonS3',
    '',
    '',
  ].join('\r\n'),
);
const error = '<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>';
const oneByteChunks = error.replaceAll(/./gu, (letter) => `1\r\n${letter}\r\n`);
const chunkedError = Buffer.from(
  `HTTP/1.1 503 Slow Down\r\nTransfer-Encoding: chunked\r\n\r\n${oneByteChunks}0\r\n\r\n`,
);
const manyFields = Buffer.from(`HTTP/1.1 200 OK\r\n${'x-amz-meta-a: b\r\n'.repeat(3000)}Content-Length: 0\r\n\r\n`);

function parse(bytes: Uint8Array, step: number): number {
  const parser = new ResponseParser();
  for (let at = 0; at < bytes.length; at += step) parser.write(bytes.subarray(at, at + step));
  return parser.answer.status;
}

export const benchmarks: readonly MicroBenchmark[] = [
  { name: 'parse a PUT’s answer', call: () => parse(putAnswer, putAnswer.length) },
  { name: 'the same, byte by byte', call: () => parse(putAnswer, 1) },
  { name: 'parse an error in one-byte chunks', call: () => parse(chunkedError, chunkedError.length) },
  { name: 'parse a head of 3,000 fields', call: () => parse(manyFields, manyFields.length) },
  { name: 'the same, in pieces of 100 bytes', call: () => parse(manyFields, 100) },
];
