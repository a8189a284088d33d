// A bucket in a folder: objects put to it, and what is seen of them on the disk.
import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Storage } from '../../../../src/storage/storage.ts';
import { createCountedBody } from '../../../contract/storage/counted-body.ts';
import { readObject } from '../../../contract/storage/filesystem-under-test.ts';

export const never = new AbortController().signal;
export const etagOf = (text: string) => `"${createHash('md5').update(text).digest('hex')}"`;
export const at = (key: string) => ({ bucket: 'uploads', key });

/** @param now called in tests only: the storage, and the folder of its bucket `uploads`. */
export function createBucketHelpers(now: () => { readonly bucketFolder: string; readonly storage: Storage }) {
  const inBucket = (...names: string[]) => path.join(now().bucketFolder, ...names);
  const put = (key: string, text: string, headers: Record<string, string> = {}, into = now().storage) =>
    into.putObject(at(key), new Map(Object.entries(headers)), createCountedBody(Buffer.from(text)), never);
  const metadataOf = async (key: string) => (await readObject(now().bucketFolder, key))?.headers.get('x-amz-meta-a');

  return { inBucket, put, metadataOf };
}
