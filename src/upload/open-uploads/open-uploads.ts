// Sees to it that no multipart upload of ours stays open: what fails is aborted, an abort that fails is tried again until
// it succeeds, and what a killed process left is found in the journal.
import type { CallTrace } from '../../call-trace.ts';
import { S3Error } from '../../errors.ts';
import { Fault } from '../../fault.ts';
import type { Storage, UploadAddress } from '../../storage/storage.ts';
import { delay, retryDelayMs } from '../body/retry.ts';
import { openJournal, type FoundEntry, type JournalEntry } from './upload-journal.ts';

/** How patiently an abort is repeated: at once, then up to a minute apart, for as long as the process lives. */
const abortRetry = { maxAttempts: Number.POSITIVE_INFINITY, baseDelayMs: 1000, maxDelayMs: 60_000 };
/** What a failed upload's answer waits for the first abort at most, and the end of the process for the last ones. */
const firstAbortMs = 10_000;
/**
 * A part that was on its way when its upload was aborted may bring it back: "it might be necessary to abort a given multipart
 * upload multiple times" (Amazon S3 API Reference, AbortMultipartUpload). So it is aborted once more after this time, and stays
 * in the journal until then.
 */
const abortAgainMs = 1000;
/** Folders of processes that end later than our start are found by looking again. */
const sweepEveryMs = 60_000;

/** What became of uploads that had to be aborted, for logs and metrics. */
export interface OpenUploadsEvents {
  aborted(entry: JournalEntry): void;
  abortFailed(entry: JournalEntry, error: unknown): void;
  /** An upload of a process that is no more was aborted. Told by one of the processes that look for them. */
  swept(entry: JournalEntry): void;
  /** The journal itself failed. */
  journalFailed(error: unknown): void;
}

export interface OpenUpload {
  /** It is complete: nothing is left to abort. Never rejects. */
  completed(): Promise<void>;
  /** Aborts it. Resolves after the first attempt, however it ended; further ones are made in the background. Never rejects. */
  abort(): Promise<void>;
}

export interface OpenUploads {
  /** Uploads whose abort, or the one that is made once more after it, has failed so far and goes on in the background. */
  readonly abortsPending: number;
  /** Uploads of this process that are not known to be completed or gone. */
  readonly journalEntries: number;
  /** Uploads that processes which are no more have left, and that are still to be aborted, as of the last sweep. */
  readonly abandoned: number;
  /** Remembers the upload until it is completed or aborted; the request's own abort goes through `storage`. */
  opened(bucketName: string, upload: UploadAddress, storage: Storage): Promise<OpenUpload>;
  /** Aborts what processes that are no more have left open. Never rejects. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

export interface OpenUploadsOptions {
  readonly stateDir: string;
  /** For the calls of one attempt, counted from 1 since the last that succeeded: whoever watches them is to know. */
  readonly storageOf: (bucketName: string, attempt: number) => Storage | undefined;
  readonly events: OpenUploadsEvents;
  /** Sees a sweep that has found something, from its start to its end. */
  readonly watchSweep?: (abandoned: number) => SweepWatch | undefined;
}

export interface SweepWatch {
  /** For the aborts that it makes. */
  readonly trace: CallTrace | undefined;
  end(): void;
}

interface AbortOptions {
  readonly attempt?: number;
  readonly storage?: Storage | undefined;
  readonly trace?: CallTrace | undefined;
}

export async function createOpenUploads({
  stateDir,
  storageOf,
  events,
  watchSweep,
}: OpenUploadsOptions): Promise<OpenUploads> {
  const journal = await openJournal(stateDir);
  const closing = new AbortController();
  const open = new Set<JournalEntry>();
  const pending = new Set<JournalEntry>();
  const underWay = new Set<Promise<void>>();
  let sweeping: Promise<void> | undefined;
  let abandoned = 0;
  /** How often those that the last sweep could not abort have failed, by upload id. */
  let sweepFailures: ReadonlyMap<string, number> = new Map();
  const timer = setInterval(() => void sweep(), sweepEveryMs).unref();

  /** One attempt. @returns whether the upload is gone. */
  async function tryAbort(
    entry: JournalEntry,
    signal: AbortSignal,
    { attempt = 1, storage = storageOf(entry.bucketName, attempt), trace }: AbortOptions = {},
  ): Promise<boolean> {
    try {
      if (storage === undefined) throw new Fault(`bucket ${entry.bucketName} is no longer configured`);
      await storage.abortMultipartUpload(entry, signal, trace);
    } catch (error) {
      if (!(error instanceof S3Error && error.code === 'NoSuchUpload')) {
        events.abortFailed(entry, error);
        return false;
      }
    }
    return true;
  }

  /** Tries until it succeeds. Rejects when the process stops. */
  async function retryAbort(entry: JournalEntry): Promise<void> {
    pending.add(entry);
    try {
      for (let failed = 1; ; failed++) {
        await delay(retryDelayMs(failed, abortRetry), closing.signal);
        if (await tryAbort(entry, closing.signal, { attempt: failed + 1 })) return;
      }
    } finally {
      pending.delete(entry);
    }
  }

  function gone(entry: JournalEntry): void {
    open.delete(entry);
    events.aborted(entry);
  }

  /** @returns whether the upload is still gone. */
  async function abortAgain(entry: JournalEntry): Promise<boolean> {
    // A process that stops does it at once.
    await delay(abortAgainMs, closing.signal).catch(() => undefined);
    return tryAbort(entry, AbortSignal.timeout(firstAbortMs));
  }

  /** @param isGone whether the first attempt has succeeded. */
  async function endAbort(entry: JournalEntry, forget: () => Promise<void>, isGone: boolean): Promise<void> {
    try {
      if (isGone) {
        gone(entry);
        if (!(await abortAgain(entry))) await retryAbort(entry);
      } else {
        await retryAbort(entry);
        gone(entry);
      }
      await forget();
    } catch {
      // The process stops: the next one finds the entry.
    }
  }

  function inBackground(work: Promise<void>): void {
    const tracked = work.finally(() => underWay.delete(tracked));
    underWay.add(tracked);
  }

  /** One at a time: with a backend that is away, it may take longer than the next one is off. */
  function sweep(): Promise<void> {
    sweeping ??= sweepOnce().finally(() => {
      sweeping = undefined;
    });
    return sweeping;
  }

  async function sweepOnce(): Promise<void> {
    try {
      const found = await journal.findAbandoned();
      abandoned = found.length;
      if (found.length > 0) await sweepFound(found);
    } catch (error) {
      events.journalFailed(error);
    }
  }

  async function sweepFound(found: readonly FoundEntry[]): Promise<void> {
    const watch = watchSweep?.(found.length);
    const failures = new Map<string, number>();
    for (const one of found) {
      if (closing.signal.aborted) break;
      const { uploadId } = one.entry;
      const attempt = (sweepFailures.get(uploadId) ?? 0) + 1;
      if (!(await sweepEntry(one, { attempt, trace: watch?.trace }))) failures.set(uploadId, attempt);
    }
    sweepFailures = failures;
    watch?.end();
  }

  /** @returns whether the upload is gone. */
  async function sweepEntry({ entry, remove }: FoundEntry, options: AbortOptions): Promise<boolean> {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(firstAbortMs)]);
    if (!(await tryAbort(entry, signal, options))) return false;
    try {
      const isOurs = await remove();
      abandoned--;
      if (isOurs) events.swept(entry);
    } catch (error) {
      events.journalFailed(error);
    }
    return true;
  }

  return {
    get abortsPending() {
      return pending.size;
    },
    get journalEntries() {
      return open.size;
    },
    get abandoned() {
      return abandoned;
    },
    sweep,
    async opened(bucketName, upload, storage) {
      const entry: JournalEntry = { bucketName, bucket: upload.bucket, key: upload.key, uploadId: upload.uploadId };
      const remove = await journal.add(entry).catch((error: unknown) => {
        // The upload goes on: only a crash would now leave it behind.
        events.journalFailed(error);
        return () => Promise.resolve();
      });
      // An entry that stays is of an upload that is gone: whoever finds it is told so.
      const forget = () => remove().catch((error: unknown) => events.journalFailed(error));
      open.add(entry);
      return {
        async completed() {
          open.delete(entry);
          await forget();
        },
        async abort() {
          const isGone = await tryAbort(entry, AbortSignal.timeout(firstAbortMs), { storage });
          inBackground(endAbort(entry, forget, isGone));
        },
      };
    },
    async close() {
      clearInterval(timer);
      closing.abort(new Fault('the process stops'));
      await Promise.all(underWay);
      await journal.close();
    },
  };
}
