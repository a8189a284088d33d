// What the upload page is told of the proxy that serves it: the one shape that both sides know.

export interface PageSettings {
  readonly version: string;
  /** Those that a page can send to; perhaps none. */
  readonly buckets: readonly PageBucket[];
}

export interface PageBucket {
  /** As configured; a pattern when `path` is null. */
  readonly name: string;
  /** Where its objects are sent to, such as `/uploads`; null: `/` and the bucket's name, which the user says. */
  readonly path: string | null;
  readonly needsToken: boolean;
  readonly maxObjectBytes: number;
  readonly minObjectBytes: number;
  /** `image/png`, `image/*`; empty = any. */
  readonly allowedContentTypes: readonly string[];
}
