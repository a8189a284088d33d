// The answer to a body that was stored: its ETag, and what the backend said of version, checksum and encryption.
import type { HttpResponse } from '../http.ts';
import type { Stored } from '../storage/storage.ts';

export function storedResponse({ etag, headers }: Stored): HttpResponse {
  return { status: 200, headers: [['ETag', etag], ...headers] };
}
