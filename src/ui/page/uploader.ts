// The part of Uppy that sends: each file as a Transfer, a few at a time, with pause, cancel and retry. In the place of Uppy's own S3
// plugin (@uppy/aws-s3 6.3), which fails a file when the network goes, lists no more than the first page of parts, sends the parts of
// a file one by one, and can leave an upload open when a file is cancelled while it is created or after it has failed.
import { BasePlugin, EventManager, type Body, type Meta, type Uppy, type UppyFile } from '@uppy/core';
import { createBucketCalls, type BucketCalls } from './bucket-calls.ts';
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
}

/** What is known of a file under way besides what Uppy knows. */
export interface FileFacts {
  readonly phase: 'queued' | 'sending' | 'finishing';
  /** Why it waits. */
  readonly note: string | undefined;
  readonly doneBytes: number;
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
  /** The path that each file under way goes to. */
  readonly #running = new Map<string, string>();
  readonly #claimed = new Set<string>();

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
    this.uppy.on('file-removed', this.#onRemoved);
  }

  override uninstall(): void {
    this.uppy.removeUploader(this.#upload);
    this.uppy.off('file-removed', this.#onRemoved);
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
    // While it runs, whoever runs it sees to that when it has stopped.
    if (transfer !== undefined && !this.#running.has(file.id)) discard(transfer);
  };

  async #uploadFile(file: PageFile): Promise<void> {
    const events = new EventManager(this.uppy);
    const removed = new AbortController();
    events.onFileRemove(file.id, () => removed.abort(new Stopped()));
    try {
      const transfer = this.#transferOf(file);
      try {
        while (!(await this.#runUntilPaused(file, transfer, removed.signal, events)));
        this.uppy.emit('upload-success', this.uppy.getFile(file.id), { status: 200, body: {} });
      } catch (error) {
        // What is done is done: a file that was removed at the last moment is not unsent by that.
        if (removed.signal.aborted) return discard(transfer);
        throw error;
      }
    } catch (error) {
      this.uppy.emit('upload-error', this.uppy.getFile(file.id), this.#toShown(error));
    } finally {
      events.remove();
      this.#facts.delete(file.id);
      this.#claimed.delete(this.#running.get(file.id) ?? '');
      this.#running.delete(file.id);
    }
  }

  /** @returns whether the file has arrived; false: it was paused, and shall go on now. */
  async #runUntilPaused(
    file: PageFile,
    transfer: Transfer,
    removed: AbortSignal,
    events: EventManager<FileMeta, Body>,
  ): Promise<boolean> {
    const paused = new AbortController();
    const pause = () => paused.abort(new Stopped());
    events.onFilePause(file.id, (isPaused) => isPaused && pause());
    events.onPauseAll(file.id, pause);
    const signal = AbortSignal.any([removed, paused.signal]);
    try {
      if (this.uppy.getFile(file.id).isPaused) pause();
      await this.#fileSlots.run(signal, () => {
        this.#note(file.id, { phase: 'sending' });
        return transfer.run(signal);
      });
      return true;
    } catch (error) {
      if (removed.aborted || !paused.signal.aborted || error instanceof UploadFault) throw error;
      this.#note(file.id, { phase: 'queued', note: undefined });
      await this.#resumed(file.id, removed, events);
      return false;
    }
  }

  #resumed(fileId: string, removed: AbortSignal, events: EventManager<FileMeta, Body>): Promise<void> {
    return new Promise((resolve, reject) => {
      removed.addEventListener('abort', () => reject(removed.reason as Error));
      events.onFilePause(fileId, (isPaused) => !isPaused && resolve());
      events.onResumeAll(fileId, resolve);
      // It may have been asked for while the requests were ending.
      if (!this.uppy.getFile(fileId).isPaused) resolve();
    });
  }

  #transferOf(file: PageFile): Transfer {
    const path = file.meta.resumePath ?? this.opts.pathOf(file);
    if (this.#claimed.has(path))
      throw new UploadFault(
        'final',
        'Another file of this list goes to the same place. Rename one, or choose a folder.',
      );
    this.#claimed.add(path);
    this.#running.set(file.id, path);
    this.#facts.set(file.id, { phase: 'queued', note: undefined, doneBytes: 0 });
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
    let reportedAtMs = 0;
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
