// A storage of which every call is seen: how long it took, what it moved, and who kept whom waiting.
import type { CallTrace } from '../call-trace.ts';
import type {
  CompletedPart,
  ObjectAddress,
  ObjectHeaders,
  OutgoingBody,
  PartsPage,
  Storage,
  StorageLimits,
  Stored,
  UploadAddress,
} from '../storage/storage.ts';
import { isRefusal } from './is-refusal.ts';
import { SeenBody } from './seen-body.ts';
import { shielded } from './shielded.ts';

/** S3's names of the calls. */
export type StorageCallName =
  | 'PutObject'
  | 'CreateMultipartUpload'
  | 'UploadPart'
  | 'CompleteMultipartUpload'
  | 'AbortMultipartUpload'
  | 'ListParts';

export interface StorageCall {
  readonly name: StorageCallName;
  readonly object: ObjectAddress | UploadAddress;
  /** Of UploadPart. */
  readonly partNumber?: number;
  /** Of CompleteMultipartUpload. */
  readonly parts?: number;
}

/** What the backend says of what it has stored or begun. */
export type StorageAnswer = Partial<Stored> & {
  readonly headers: Stored['headers'];
  /** Of CreateMultipartUpload. */
  readonly uploadId?: string;
};

/** What one attempt came to. */
export interface StorageCallEnd {
  readonly durationMs: number;
  /** Undefined: it succeeded. */
  readonly error: unknown;
  /** Of calls that succeeded, where there is one. */
  readonly answer: StorageAnswer | undefined;
  /** It failed because this side gave it up: the client left or sent a wrong body, another part failed, a time was over. */
  readonly isGivenUp: boolean;
  /** It failed, and what it was to do may be done all the same: the backend was given it whole, and has not said that it refuses. */
  readonly isUnsettled: boolean;
  /** Of the body, taken by the backend. */
  readonly bytes: number;
  /** On `performance.now()`'s clock: when the first bytes of the body were there to be sent. */
  readonly firstBytesAtMs: number | undefined;
  /** For how long the backend had nothing to take, because the client had sent nothing more, or memory was short. */
  readonly clientWaitMs: number;
  /** For how long the body had bytes to give and the backend did not ask for them. */
  readonly backendWaitMs: number;
  /** Of `clientWaitMs`, what was waited for memory. */
  readonly memoryWaitMs: number;
}

export interface StorageWatcher {
  /**
   * @param body of calls that have one: what the backend has taken of it so far.
   * @param cause what has made the call necessary, where that is no request.
   */
  begin(
    call: StorageCall,
    body: { readonly bytes: number } | undefined,
    cause?: CallTrace,
  ): { readonly trace?: CallTrace | undefined; readonly end: (end: StorageCallEnd) => void };
  /** Told of what `begin` or `end` has thrown, of which the call itself must know nothing. */
  failed(error: unknown): void;
}

export class WatchedStorage implements Storage {
  readonly #storage: Storage;
  readonly #watcher: StorageWatcher;

  constructor(storage: Storage, watcher: StorageWatcher) {
    this.#storage = storage;
    this.#watcher = watcher;
  }

  get limits(): StorageLimits {
    return this.#storage.limits;
  }

  putObject(object: ObjectAddress, headers: ObjectHeaders, body: OutgoingBody, signal: AbortSignal): Promise<Stored> {
    const seen = new SeenBody(body);
    return this.#call({ name: 'PutObject', object }, seen, signal, (trace) =>
      this.#storage.putObject(object, headers, seen, signal, trace),
    );
  }

  createMultipartUpload(
    object: ObjectAddress,
    headers: ObjectHeaders,
    signal: AbortSignal,
  ): Promise<{ uploadId: string; headers: ReadonlyMap<string, string> }> {
    return this.#call({ name: 'CreateMultipartUpload', object }, undefined, signal, (trace) =>
      this.#storage.createMultipartUpload(object, headers, signal, trace),
    );
  }

  uploadPart(
    upload: UploadAddress,
    partNumber: number,
    headers: ObjectHeaders,
    body: OutgoingBody,
    signal: AbortSignal,
  ): Promise<Stored> {
    const seen = new SeenBody(body);
    return this.#call({ name: 'UploadPart', object: upload, partNumber }, seen, signal, (trace) =>
      this.#storage.uploadPart(upload, partNumber, headers, seen, signal, trace),
    );
  }

  completeMultipartUpload(
    upload: UploadAddress,
    parts: readonly CompletedPart[],
    headers: ObjectHeaders,
    signal: AbortSignal,
  ): Promise<Stored> {
    const call: StorageCall = { name: 'CompleteMultipartUpload', object: upload, parts: parts.length };
    return this.#call(call, undefined, signal, (trace) =>
      this.#storage.completeMultipartUpload(upload, parts, headers, signal, trace),
    );
  }

  abortMultipartUpload(upload: UploadAddress, signal: AbortSignal, cause?: CallTrace): Promise<void> {
    const run = (trace: CallTrace | undefined) => this.#storage.abortMultipartUpload(upload, signal, trace);
    return this.#call({ name: 'AbortMultipartUpload', object: upload }, undefined, signal, run, cause);
  }

  listParts(
    upload: UploadAddress,
    page: { maxParts: number; partNumberMarker: number },
    headers: ObjectHeaders,
    signal: AbortSignal,
  ): Promise<PartsPage> {
    return this.#call({ name: 'ListParts', object: upload }, undefined, signal, (trace) =>
      this.#storage.listParts(upload, page, headers, signal, trace),
    );
  }

  checkReady(bucket: string, signal: AbortSignal): Promise<void> {
    return this.#storage.checkReady(bucket, signal);
  }

  close(): Promise<void> {
    return this.#storage.close();
  }

  async #call<T extends StorageAnswer | PartsPage | void>(
    call: StorageCall,
    body: SeenBody | undefined,
    signal: AbortSignal,
    run: (trace: CallTrace | undefined) => Promise<T>,
    cause?: CallTrace,
  ): Promise<T> {
    const watcher = this.#watcher;
    const watched = shielded(watcher, () => watcher.begin(call, body, cause));
    const startedAt = performance.now();
    const isTooLate = signal.aborted;
    let error: unknown;
    let answer: StorageAnswer | undefined;
    try {
      const result = await run(watched?.trace);
      if (result !== undefined && 'headers' in result) answer = result;
      return result;
    } catch (caught) {
      error = caught;
      throw caught;
    } finally {
      const endedAt = performance.now();
      body?.close(endedAt);
      const isSent = !isTooLate && (body === undefined || body.isSent);
      const end: StorageCallEnd = {
        durationMs: endedAt - startedAt,
        error,
        answer,
        isGivenUp: error !== undefined && (signal.aborted || body?.hasFailed === true),
        isUnsettled: error !== undefined && isSent && (error === signal.reason || !isRefusal(error)),
        bytes: body?.bytes ?? 0,
        firstBytesAtMs: body?.firstBytesAtMs,
        clientWaitMs: body?.clientWaitMs ?? 0,
        backendWaitMs: body?.backendWaitMs ?? 0,
        memoryWaitMs: body?.memoryWaitMs ?? 0,
      };
      shielded(watcher, () => watched?.end(end));
    }
  }
}
