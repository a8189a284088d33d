// A storage that the contract is tried on, and what the tests of it do and compare.
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { expect } from 'vitest';
import type { ObjectAddress, Storage, Stored, UploadAddress } from '../../../src/storage/storage.ts';
import { createRandomBody } from '../../support/random-body.ts';
import { createCountedBody, type CountedBody, type CountedBodyOptions } from './counted-body.ts';

export interface ReadObject {
  readonly bytes: Buffer;
  /** Quotes included. */
  readonly etag: string;
  /** `content-type`, `x-amz-meta-…` and the like, names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

/** A storage with an empty bucket, and the ways to see what is in it that do not lead through the storage. */
export interface StorageUnderTest {
  readonly storage: Storage;
  readonly bucket: string;
  /** @returns undefined when the object is not there. */
  readBack(object: ObjectAddress): Promise<ReadObject | undefined>;
  /** Ids of the multipart uploads that are open in the bucket. */
  listOpenUploads(): Promise<readonly string[]>;
  /** Names of what is in the bucket and is neither an object nor an open upload. */
  listLeftovers?(): Promise<readonly string[]>;
  /** Keys that the backend cannot keep: for them it is asked that the refusal is an S3Error and nothing is stored. */
  refusesKey?(key: string): boolean;
  close(): Promise<void>;
}

export const mib = 1024 * 1024;
export const etagOf = (bytes: Uint8Array) => `"${createHash('md5').update(bytes).digest('hex')}"`;
export const never = new AbortController().signal;
export const bytesOf = (seed: string, sizeBytes: number) => createRandomBody(seed, sizeBytes).bytes();
export function crc32Of(bytes: Uint8Array): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString('base64');
}
/** Digest and length in one comparison: a difference of megabytes is nothing to print. */
export const fingerprint = (bytes: Uint8Array | undefined) => bytes && `${bytes.byteLength} ${etagOf(bytes)}`;

export const at = ({ bucket }: StorageUnderTest, key: string): ObjectAddress => ({ bucket, key });

export async function put(
  subject: StorageUnderTest,
  key: string,
  bytes: Uint8Array,
  headers: Record<string, string> = {},
  options: CountedBodyOptions = {},
): Promise<Stored> {
  const body = createCountedBody(bytes, options);
  const stored = await subject.storage.putObject(at(subject, key), new Map(Object.entries(headers)), body, never);
  await expectAllReleased(body);
  return stored;
}

/** A chunk can come back a moment after the call has settled, as the kernel may still have had it. */
export async function expectAllReleased(body: CountedBody): Promise<void> {
  for (let i = 0; i < 100 && body.chunksOut > 0; i++) await new Promise(setImmediate);
  expect(body.chunksOut).toBe(0);
}

export async function create(
  subject: StorageUnderTest,
  key: string,
  headers: Record<string, string> = {},
): Promise<UploadAddress> {
  const object = at(subject, key);
  const { uploadId } = await subject.storage.createMultipartUpload(object, new Map(Object.entries(headers)), never);
  return { ...object, uploadId };
}
