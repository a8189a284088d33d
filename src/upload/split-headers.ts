// A PutObject that goes to the backend in parts: which of its header fields belong to which of the calls.
import type { ObjectHeaders } from '../storage/storage.ts';

export interface SplitHeaders {
  readonly onCreate: ObjectHeaders;
  readonly onPart: ObjectHeaders;
  readonly onComplete: ObjectHeaders;
}

const conditions = new Set(['if-match', 'if-none-match']);
/** SSE-C keys and the bucket's owner are stated on every call (API reference of UploadPart and CompleteMultipartUpload). */
const isOnEveryCall = (name: string) =>
  name.startsWith('x-amz-server-side-encryption-customer-') || name === 'x-amz-expected-bucket-owner';
/** Digests of the whole body: verified here while it streams, and of no meaning to any single part. */
const isWholeDigest = (name: string) => name === 'content-md5' || name.startsWith('x-amz-checksum-');

export function splitHeaders(headers: ObjectHeaders): SplitHeaders {
  const onCreate = new Map<string, string>();
  const onPart = new Map<string, string>();
  const onComplete = new Map<string, string>();
  for (const [name, value] of headers) {
    if (conditions.has(name)) {
      onComplete.set(name, value);
    } else if (isOnEveryCall(name)) {
      for (const call of [onCreate, onPart, onComplete]) call.set(name, value);
    } else if (!isWholeDigest(name)) {
      onCreate.set(name, value);
    }
  }
  return { onCreate, onPart, onComplete };
}
