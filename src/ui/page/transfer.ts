// One file on its way to the bucket: as a single request, or as parts that can be taken up again where they stopped.
import type { BucketCalls } from './bucket-calls.ts';
import type { OpenUploads } from './open-uploads.ts';
import { partBytesOf, planParts, singleRequestBytes, type Part } from './plan-parts.ts';
import type { Slots } from './slots.ts';
import { tryAgain, type TryAgainOptions } from './try-again.ts';
import { UploadFault } from './upload-fault.ts';

export interface TransferFile {
  readonly data: Blob;
  readonly name: string;
  readonly contentType: string;
  readonly lastModifiedMs: number;
  /** The path that it is sent to. */
  readonly path: string;
}

export interface TransferOptions {
  readonly file: TransferFile;
  readonly calls: BucketCalls;
  readonly openUploads: OpenUploads;
  /** For bodies under way, shared by all files. */
  readonly slots: Slots;
  readonly retry: Omit<TryAgainOptions, 'signal' | 'onWait'>;
  readonly onProgress: (doneBytes: number) => void;
  /** Why it waits at the moment; undefined when it goes on. */
  readonly onWait: (fault: UploadFault | undefined) => void;
  /** Everything is sent, and the server puts it together. */
  readonly onFinishing: () => void;
}

/** Of one file; other files find connections too, as a browser has six for a server. */
const partsAtOnce = 4;
const touchEveryMs = 4000;

/**
 * States: idle (nothing begun, or stopped), running, done, discarded. `run` may be called again after it was aborted or has failed, and
 * goes on with what the server has; `discard` ends it for good.
 */
export class Transfer {
  readonly #options: TransferOptions;
  readonly #sentBytes = new Map<number, number>();
  #uploadId: string | undefined;
  #creating: Promise<string> | undefined;
  #touchedAtMs = 0;
  /** The server has been sent what it makes the object of, and has not refused it. */
  #isAllSent = false;
  /** It did not say whether it made the object. */
  #isUnanswered = false;

  constructor(options: TransferOptions) {
    this.#options = options;
  }

  /** Of one that was stopped or has failed: it may be stored all the same. */
  get mayHaveArrived(): boolean {
    return this.#isAllSent;
  }

  /**
   * Once the server puts the parts together, that is waited for, whatever the signal says.
   *
   * @throws UploadFault, or what the signal was aborted with.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { file } = this.#options;
    this.#sentBytes.clear();
    try {
      if (file.data.size <= singleRequestBytes) await this.#sendWhole(signal);
      else await this.#sendParts(signal);
    } finally {
      this.release();
    }
  }

  /** Nobody is at work on it for now. */
  release(): void {
    if (this.#uploadId !== undefined) this.#options.openUploads.release(this.#uploadId);
  }

  /** It is not wanted any more, and will be discarded when it has stopped: noted at once, as the page may be closed before that. */
  cancel(): void {
    if (this.#uploadId !== undefined) this.#options.openUploads.cancel(this.#uploadId);
  }

  /** Nothing of it shall be left at the server. What cannot be told to it now is told when the page is opened again. */
  async discard(): Promise<void> {
    const { file, calls, openUploads } = this.#options;
    // An upload that is just being created can be ended only when its id is known.
    const uploadId = this.#uploadId ?? (await this.#creating?.catch(() => undefined));
    if (uploadId === undefined) return;
    openUploads.cancel(uploadId);
    const signal = new AbortController().signal;
    // The row of this file can be that of another transfer by now.
    await this.#tryAgain(
      signal,
      () => calls.abortMultipartUpload(file.path, uploadId, signal),
      () => {},
    );
    openUploads.remove(uploadId);
  }

  async #sendWhole(signal: AbortSignal): Promise<void> {
    const { file, calls, slots } = this.#options;
    const onProgress = (sentBytes: number) => {
      this.#isAllSent ||= sentBytes >= file.data.size;
      this.#progress(1, sentBytes);
    };
    await this.#store(signal, () =>
      slots.run(signal, () => {
        // Of an empty file there is no progress to tell so.
        this.#isAllSent ||= file.data.size === 0;
        return calls.putObject(file.path, file.data, file.contentType, { signal, onProgress });
      }),
    );
  }

  async #sendParts(signal: AbortSignal): Promise<void> {
    const { file, openUploads, onFinishing } = this.#options;
    const { uploadId, partBytes, stored } = (await this.#findOpen(signal)) ?? (await this.#create(signal));
    const etags = new Map<number, string>();
    const missing = planParts(file.data.size, partBytes).filter((part) => {
      const there = stored.find(({ number }) => number === part.number);
      if (there === undefined || there.sizeBytes !== part.endByte - part.startByte) return true;
      etags.set(part.number, there.etag);
      this.#sentBytes.set(part.number, there.sizeBytes);
      return false;
    });
    this.#report();
    await this.#sendMissing(missing, { signal, uploadId, etags });
    onFinishing();
    await this.#complete(uploadId, etags, signal);
    this.#uploadId = undefined;
    openUploads.remove(uploadId);
  }

  /** The upload that this file began earlier, if the server still has it. */
  async #findOpen(signal: AbortSignal) {
    const { file, calls, openUploads } = this.#options;
    const open = openUploads.find({ ...file, sizeBytes: file.data.size });
    if (open === undefined) return undefined;
    const { uploadId, partBytes } = open;
    try {
      const stored = await this.#tryAgain(signal, () => calls.listParts(file.path, uploadId, signal));
      this.#uploadId = uploadId;
      openUploads.touch(uploadId);
      return { uploadId, partBytes, stored };
    } catch (error) {
      if (!(error instanceof UploadFault && error.kind === 'gone')) throw error;
      openUploads.remove(uploadId);
      if (this.#isUnanswered) throw new UploadFault('final', arrivedUnseen);
      return undefined;
    }
  }

  async #create(signal: AbortSignal) {
    const { file, calls, openUploads } = this.#options;
    const partBytes = partBytesOf(file.data.size);
    // Never cut short: then an upload could be open that nobody knows of.
    const untilAnswered = new AbortController().signal;
    const uploadId = await this.#tryAgain(signal, () => {
      this.#creating = calls.createMultipartUpload(file.path, file.contentType, untilAnswered);
      return this.#creating;
    });
    this.#uploadId = uploadId;
    this.#isAllSent = false;
    this.#isUnanswered = false;
    openUploads.add({ ...file, sizeBytes: file.data.size, uploadId, partBytes });
    signal.throwIfAborted();
    return { uploadId, partBytes, stored: [] };
  }

  /** Several at once; the first that cannot be sent stops the others. */
  async #sendMissing(
    missing: readonly Part[],
    { signal, uploadId, etags }: { signal: AbortSignal; uploadId: string; etags: Map<number, string> },
  ): Promise<void> {
    const { file, calls, slots } = this.#options;
    const failure = new AbortController();
    const stop = failure.signal;
    const stopAll = () => failure.abort(signal.reason);
    signal.throwIfAborted();
    signal.addEventListener('abort', stopAll);
    const queue = missing.values();
    const sendSome = async () => {
      for (const { number, startByte, endByte } of queue) {
        const bytes = file.data.slice(startByte, endByte);
        const onProgress = (sent: number) => this.#progress(number, sent);
        const etag = await this.#tryAgain(stop, () =>
          slots.run(stop, () => calls.uploadPart(file.path, uploadId, number, bytes, { signal: stop, onProgress })),
        );
        etags.set(number, etag);
        this.#progress(number, bytes.size);
      }
    };
    const senders = Array.from({ length: partsAtOnce }, () =>
      sendSome().catch((error: unknown) => {
        failure.abort(error);
        throw error;
      }),
    );
    await Promise.allSettled(senders);
    signal.removeEventListener('abort', stopAll);
    signal.throwIfAborted();
    await Promise.all(senders);
  }

  async #complete(uploadId: string, etags: ReadonlyMap<number, string>, signal: AbortSignal): Promise<void> {
    const { file, calls, openUploads } = this.#options;
    // Never cut short: then nobody would know whether the file has arrived.
    const untilAnswered = new AbortController().signal;
    await this.#store(signal, async () => {
      this.#isAllSent = true;
      try {
        await calls.completeMultipartUpload(file.path, uploadId, etags, untilAnswered);
      } catch (error) {
        if (error instanceof UploadFault && error.kind === 'gone') {
          openUploads.remove(uploadId);
          this.#uploadId = undefined;
        }
        throw error;
      }
    });
  }

  /** Makes the object. All sent and without the server's own answer, an attempt may have made it too, and then the next is refused. */
  async #store(signal: AbortSignal, attempt: () => Promise<void>): Promise<void> {
    await this.#tryAgain(signal, async () => {
      try {
        await attempt();
      } catch (error) {
        throw this.#explain(error);
      }
    });
    this.#isAllSent = false;
    this.#isUnanswered = false;
  }

  #explain(error: unknown): unknown {
    if (!(error instanceof UploadFault) || error.kind === 'network' || error.kind === 'busy') {
      this.#isUnanswered ||= this.#isAllSent;
      return error;
    }
    const { kind } = error;
    this.#isAllSent = false;
    if (!this.#isUnanswered || !(kind === 'gone' || kind === 'exists')) return error;
    return new UploadFault('final', kind === 'gone' ? arrivedUnseen : perhapsThisOne);
  }

  #progress(partNumber: number, sentBytes: number): void {
    this.#sentBytes.set(partNumber, sentBytes);
    this.#report();
    const nowMs = Date.now();
    if (this.#uploadId === undefined || nowMs - this.#touchedAtMs < touchEveryMs) return;
    this.#touchedAtMs = nowMs;
    this.#options.openUploads.touch(this.#uploadId);
  }

  #report(): void {
    let doneBytes = 0;
    for (const bytes of this.#sentBytes.values()) doneBytes += bytes;
    this.#options.onProgress(Math.min(doneBytes, this.#options.file.data.size));
  }

  #tryAgain<T>(signal: AbortSignal, attempt: () => Promise<T>, onWait = this.#options.onWait): Promise<T> {
    const { file, retry } = this.#options;
    const attemptToRead = async () => {
      try {
        return await attempt();
      } catch (error) {
        if (error instanceof UploadFault && error.kind === 'network') await refuseChangedFile(file);
        throw error;
      }
    };
    return tryAgain(attemptToRead, { ...retry, signal, onWait });
  }
}

const arrivedUnseen =
  'The server’s last answer was lost. The file has most likely arrived: ask before you send it once more.';
const perhapsThisOne =
  'There is a file of this name now. It may be this one, as an answer of the server was lost: ask before you rename it and send it again.';

/** To a request, a file that was changed or removed meanwhile looks like a lost connection. */
async function refuseChangedFile({ data }: TransferFile): Promise<void> {
  try {
    await data.slice(0, 1).arrayBuffer();
  } catch {
    throw new UploadFault(
      'final',
      'The file can no longer be read: it was changed, moved or removed. Choose it again.',
    );
  }
}
