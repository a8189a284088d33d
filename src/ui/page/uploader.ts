// The part of Uppy that sends: each file as a Transfer, a few at a time, with pause, cancel and retry. In the place of Uppy's own S3
// plugin (@uppy/aws-s3 6.3), which fails a file when the network goes, lists no more than the first page of parts, sends the parts of
// a file one by one, and can leave an upload open when a file is cancelled while it is created or after it has failed.
import { BasePlugin, type Body, type Meta, type Uppy, type UppyFile } from '@uppy/core';
import type { BucketCalls } from './bucket-calls.ts';
import { createBucketCalls } from './create-bucket-calls.ts';
import type { OpenUploads } from './open-uploads.ts';
import { createSlots } from './slots.ts';
import { Transfer } from './transfer.ts';
import { UploadFault } from './upload-fault.ts';

export interface FileMeta extends Meta {
  /** With the folders, when a whole folder was chosen. */
  relativePath?: string | null;
  /** Where an upload of an earlier visit was going, to be gone on with there. */
  resumePath?: string;
}
export type PageFile = UppyFile<FileMeta, Body>;
export type PageUppy = Uppy<FileMeta, Body>;

export interface UploaderOptions {
  readonly token: () => string;
  readonly openUploads: OpenUploads;
  /** The path that a file goes to. @throws UploadFault when there is none. */
  readonly pathOf: (file: PageFile) => string;
  /** @returns what to say of a token that the server refused. */
  readonly onTokenRefused: () => string;
  /** A file was removed when it was stored already; `isSure` is false where the server was not heard about it. */
  readonly onRemovedTooLate: (file: PageFile, isSure: boolean) => void;
}

/** What is known of a file under way besides what Uppy knows. */
export interface FileFacts {
  readonly phase: 'queued' | 'sending' | 'finishing';
  /** Why it waits. */
  readonly note: string | undefined;
  readonly doneBytes: number;
}

/** A file that was started, until it has arrived, has failed or was removed. */
interface Run {
  /** Where it goes. */
  readonly path: string;
  readonly transfer: Transfer;
  isRemoved: boolean;
  /** Ends what it does at the moment; another one after each pause. */
  stop: AbortController;
  /** Ends its pause. */
  goOn: () => void;
  /** Nothing of it is under way any more, but what is discarded at the server. */
  readonly ended: Promise<void>;
  readonly end: () => void;
}

const filesAtOnce = 3;
/** Browsers keep six connections to a server: one stays free for what has no body. */
const bodiesAtOnce = 5;
const progressEveryMs = 100;

export class Uploader extends BasePlugin<UploaderOptions & { id?: string }, FileMeta, Body> {
  readonly #calls: BucketCalls;
  readonly #fileSlots = createSlots(filesAtOnce);
  readonly #bodySlots = createSlots(bodiesAtOnce);
  readonly #transfers = new Map<string, { readonly path: string; readonly transfer: Transfer }>();
  readonly #facts = new Map<string, FileFacts>();
  readonly #running = new Map<string, Run>();
  /** The paths that files under way go to. */
  readonly #claimed = new Set<string>();
  /** Those of files that were removed, until they have ended. */
  readonly #leaving = new Set<Run>();

  constructor(uppy: PageUppy, opts: UploaderOptions) {
    super(uppy, opts);
    this.id = 'Uploader';
    this.type = 'uploader';
    this.#calls = createBucketCalls(opts.token);
  }

  override install(): void {
    const { capabilities } = this.uppy.getState();
    this.uppy.setState({ capabilities: { ...capabilities, resumableUploads: true } });
    this.uppy.addUploader(this.#upload);
    // Once for all files: with listeners of its own for each, thousands of files would be told of every one of them.
    this.uppy.on('file-removed', this.#onRemoved);
    this.uppy.on('upload-pause', this.#onPause);
    this.uppy.on('pause-all', this.#onPauseAll);
    this.uppy.on('resume-all', this.#onResumeAll);
  }

  override uninstall(): void {
    this.uppy.removeUploader(this.#upload);
    this.uppy.off('file-removed', this.#onRemoved);
    this.uppy.off('upload-pause', this.#onPause);
    this.uppy.off('pause-all', this.#onPauseAll);
    this.uppy.off('resume-all', this.#onResumeAll);
  }

  factsOf(fileId: string): FileFacts | undefined {
    return this.#facts.get(fileId);
  }

  /** Where a file goes, or has gone; undefined before it was started. */
  pathOf(fileId: string): string | undefined {
    return this.#transfers.get(fileId)?.path;
  }

  /** The page is left: another tab, or its next load, may go on. */
  release(fileId: string): void {
    this.#transfers.get(fileId)?.transfer.release();
  }

  /** Ends an upload of an earlier visit. @throws UploadFault. */
  async discard(path: string, uploadId: string): Promise<void> {
    this.opts.openUploads.cancel(uploadId);
    await this.#calls.abortMultipartUpload(path, uploadId, new AbortController().signal);
    this.opts.openUploads.remove(uploadId);
  }

  readonly #upload = async (fileIds: string[]): Promise<void> => {
    const files = this.uppy.getFilesByIds(fileIds).filter((file) => !file.error && !file.progress.uploadComplete);
    this.uppy.emit('upload-start', files);
    await Promise.allSettled(files.map((file) => this.#uploadFile(file)));
  };

  readonly #onRemoved = (file: PageFile): void => {
    const { transfer } = this.#transfers.get(file.id) ?? {};
    this.#transfers.delete(file.id);
    this.#facts.delete(file.id);
    const run = this.#running.get(file.id);
    if (run === undefined) {
      if (transfer !== undefined) discard(transfer);
      return;
    }
    // While it runs, whoever runs it sees to that when it has stopped.
    run.isRemoved = true;
    this.#running.delete(file.id);
    this.#claimed.delete(run.path);
    this.#leaving.add(run);
    run.transfer.cancel();
    run.stop.abort(new Stopped());
    run.goOn();
  };

  readonly #onPause = (file: PageFile | undefined, isPaused: boolean): void => {
    const run = this.#running.get(file?.id ?? '');
    if (isPaused) run?.stop.abort(new Stopped());
    else run?.goOn();
  };

  readonly #onPauseAll = (): void => {
    for (const { stop } of this.#running.values()) stop.abort(new Stopped());
  };

  readonly #onResumeAll = (): void => {
    for (const { goOn } of this.#running.values()) goOn();
  };

  async #uploadFile(file: PageFile): Promise<void> {
    let run: Run | undefined;
    try {
      run = this.#begin(file);
      while (!(await this.#runUntilPaused(file.id, run)));
      if (run.isRemoved) this.opts.onRemovedTooLate(file, true);
      else this.uppy.emit('upload-success', this.uppy.getFile(file.id), { status: 200, body: {} });
    } catch (error) {
      if (run?.isRemoved === true) {
        if (run.transfer.mayHaveArrived) this.opts.onRemovedTooLate(file, false);
        return discard(run.transfer);
      }
      this.uppy.emit('upload-error', this.uppy.getFile(file.id), this.#toShown(error));
    } finally {
      if (run !== undefined) this.#end(file.id, run);
    }
  }

  /** @returns whether the file has arrived; false: it was paused, and shall go on now. */
  async #runUntilPaused(fileId: string, run: Run): Promise<boolean> {
    run.stop = new AbortController();
    const { signal } = run.stop;
    if (run.isRemoved || this.uppy.getFile(fileId).isPaused) run.stop.abort(new Stopped());
    try {
      await this.#leftPlace(fileId, run.path, signal);
      await this.#fileSlots.run(signal, () => {
        this.#note(fileId, { phase: 'sending' });
        return run.transfer.run(signal);
      });
      return true;
    } catch (error) {
      if (run.isRemoved || !signal.aborted || error instanceof UploadFault) throw error;
      this.#note(fileId, { phase: 'queued', note: undefined });
      await this.#resumed(fileId, run);
      return false;
    }
  }

  /** What was removed while the server finished it can still be stored, and must not replace what comes after it. */
  async #leftPlace(fileId: string, path: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const leaving = [...this.#leaving].filter((run) => run.path === path);
    if (leaving.length === 0) return;
    this.#note(fileId, { note: stillFinishing });
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
    await Promise.race([Promise.all(leaving.map(({ ended }) => ended)), stopped]);
    this.#note(fileId, { note: undefined });
  }

  #resumed(fileId: string, run: Run): Promise<void> {
    return new Promise((resolve) => {
      run.goOn = resolve;
      // It may have been asked for while the requests were ending.
      if (!this.uppy.getFile(fileId).isPaused) resolve();
    });
  }

  #begin(file: PageFile): Run {
    const path = file.meta.resumePath ?? this.opts.pathOf(file);
    if (this.#claimed.has(path))
      throw new UploadFault(
        'final',
        'Another file of this list goes to the same place. Rename one, or choose a folder.',
      );
    const transfer = this.#transferOf(file, path);
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const run: Run = { path, transfer, isRemoved: false, stop: new AbortController(), goOn() {}, ended, end };
    this.#claimed.add(path);
    this.#running.set(file.id, run);
    this.#facts.set(file.id, { phase: 'queued', note: undefined, doneBytes: 0 });
    return run;
  }

  #end(fileId: string, run: Run): void {
    run.end();
    // Removed, it had given up its place already, and both may be another run's by now.
    if (this.#leaving.delete(run)) return;
    this.#claimed.delete(run.path);
    this.#running.delete(fileId);
    this.#facts.delete(fileId);
  }

  #transferOf(file: PageFile, path: string): Transfer {
    const known = this.#transfers.get(file.id);
    if (known?.path === path) return known.transfer;
    if (known !== undefined) discard(known.transfer);
    const transfer = this.#createTransfer(file, path);
    this.#transfers.set(file.id, { path, transfer });
    return transfer;
  }

  #createTransfer(file: PageFile, path: string): Transfer {
    const data = file.data;
    if (!(data instanceof Blob)) throw new UploadFault('final', 'The file cannot be read.');
    // A small file has arrived before there is anything to report.
    let reportedAtMs = Date.now();
    return new Transfer({
      file: {
        data,
        path,
        name: file.name ?? '',
        contentType: file.type || 'application/octet-stream',
        lastModifiedMs: data instanceof File ? data.lastModified : 0,
      },
      calls: this.#calls,
      openUploads: this.opts.openUploads,
      slots: this.#bodySlots,
      retry: { isOnline: () => navigator.onLine, wait: waitForNetwork, random: Math.random },
      onFinishing: () => this.#note(file.id, { phase: 'finishing' }),
      onWait: (fault) => this.#note(file.id, { note: fault && `${fault.message} Trying again…` }),
      onProgress: (doneBytes) => {
        this.#note(file.id, { doneBytes });
        const nowMs = Date.now();
        if (nowMs - reportedAtMs < progressEveryMs) return;
        reportedAtMs = nowMs;
        // Uppy takes no more progress from a file that stands at 100 %, and it is there only when it is stored.
        const bytesUploaded = Math.min(doneBytes, Math.floor(data.size * 0.99));
        const bytesTotal = data.size;
        this.uppy.emit('upload-progress', this.uppy.getFile(file.id), {
          uploadStarted: nowMs,
          bytesUploaded,
          bytesTotal,
        });
      },
    });
  }

  #note(fileId: string, changes: Partial<FileFacts>): void {
    const facts = this.#facts.get(fileId);
    if (facts !== undefined) this.#facts.set(fileId, { ...facts, ...changes });
  }

  #toShown(error: unknown): Error {
    if (!(error instanceof UploadFault)) return new UploadFault('final', 'The page itself failed. Load it again.');
    return error.kind === 'token' ? new UploadFault('token', this.opts.onTokenRefused()) : error;
  }
}

const stillFinishing = 'The server is still finishing the file of this name that was cancelled. Waiting for that…';

/** Paused or removed: no fault. */
class Stopped extends Error {
  override readonly name = 'AbortError';
}

/** What the server cannot be told now is noted as cancelled, and told at the next visit. */
function discard(transfer: Transfer): void {
  transfer.discard().catch(() => {});
}

function waitForNetwork(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (how: () => void) => {
      clearTimeout(timer);
      window.removeEventListener('online', goOn);
      signal.removeEventListener('abort', stop);
      how();
    };
    const goOn = () => end(resolve);
    const stop = () => end(() => reject(signal.reason as Error));
    const timer = setTimeout(goOn, ms);
    window.addEventListener('online', goOn);
    signal.addEventListener('abort', stop);
  });
}
