// The port of authorization: one question for each request, asked after authentication and before its body is read.
import type { CallTrace } from '../call-trace.ts';
import type { Principal } from '../auth/principal.ts';

export type Action = 'upload' | 'abort' | 'list_parts';

/** What a policy is asked. Frozen; made by the request handler only. */
export interface Question {
  readonly principal: Principal;
  readonly action: Action;
  readonly resource: {
    /** As the client names it. */
    readonly bucket: string;
    /** Decoded once, with the prefix that the bucket puts before it: the very key that the backend gets. */
    readonly key: string;
    readonly backendBucket: string;
  };
  readonly context: {
    /** S3's name of the operation: `PutObject`, `CreateMultipartUpload`, `UploadPart`, … */
    readonly operation: string;
    readonly method: string;
    readonly clientIp: string;
    /** Payload bytes announced; undefined when they are not known. */
    readonly contentLength: number | undefined;
    readonly contentType: string | undefined;
    readonly userAgent: string | undefined;
    readonly uploadId: string | undefined;
    readonly partNumber: number | undefined;
    /** Names without `x-amz-meta-`, in lower case. */
    readonly metadata: Readonly<Record<string, string>>;
  };
}

/** How a policy narrows an upload that it allows. */
export interface Obligations {
  /** The key must begin with it. */
  readonly keyPrefix?: string;
  readonly maxObjectBytes?: number;
  /** `image/png`, `image/*`; an empty list allows none. */
  readonly allowedContentTypes?: readonly string[];
}

export type Decision =
  | { readonly allow: true; readonly obligations?: Obligations }
  /** The reason is for the log. */
  | { readonly allow: false; readonly reason?: string };

export interface Authorizer {
  /** `opa`, `openfga`: for logs and metrics. */
  readonly engine: string;
  /**
   * All that the engine's answer depends on, as text: equal texts are one question to it. Undefined for what it is not asked
   * about. Left out: the answer may depend on everything that a question holds. Of no time, upload id or part number.
   */
  readonly identify?: (question: Question) => string | undefined;
  /**
   * @throws S3Error ServiceUnavailable when the engine cannot be asked or does not answer as it should: nothing is allowed by
   * omission. The cause says why, and holds nothing of the question.
   */
  authorize(question: Question, trace?: CallTrace): Promise<Decision>;
  /** Rejects when the engine cannot be asked. */
  checkReady(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
