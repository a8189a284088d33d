// How a file is cut: fixed by its size alone, so that an upload can be taken up again.
// Limits: Amazon S3 User Guide, "Amazon S3 multipart upload limits".

const mib = 1024 * 1024;
const maxParts = 10_000;

/** Up to this a file is one request; a larger one is sent in parts, and a break costs no more than the parts under way. */
export const singleRequestBytes = 32 * mib;

/** Small, as what is lost with a connection is sent again: a phone may need half a minute for it. */
const usualPartBytes = 8 * mib;

export interface Part {
  readonly number: number;
  readonly startByte: number;
  readonly endByte: number;
}

export function partBytesOf(fileBytes: number): number {
  return Math.max(usualPartBytes, Math.ceil(fileBytes / maxParts / mib) * mib);
}

export function planParts(fileBytes: number, partBytes: number): Part[] {
  return Array.from({ length: Math.ceil(fileBytes / partBytes) }, (_, i) => ({
    number: i + 1,
    startByte: i * partBytes,
    endByte: Math.min(fileBytes, (i + 1) * partBytes),
  }));
}
