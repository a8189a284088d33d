// What the list shows of each file: what Uppy knows, what the uploader knows, and how fast it goes.
import { readableFolder } from './destination.ts';
import { formatProgress } from './format.ts';
import type { ListedFile } from './file-list.tsx';
import { createSpeedMeter, type SpeedMeter } from './measure-speed.ts';
import type { OpenUploads } from './open-uploads.ts';
import type { PageFile, PageUppy, Uploader } from './uploader.ts';

export interface FileStates {
  read(): ListedFile[];
  /** @returns bytes per second of all together. */
  measureAll(files: readonly ListedFile[]): number | undefined;
}

export interface FileStatesOptions {
  readonly uppy: PageUppy;
  readonly uploader: Uploader;
  readonly openUploads: OpenUploads;
}

export function createFileStates({ uppy, uploader, openUploads }: FileStatesOptions): FileStates {
  const meters = new Map<string, SpeedMeter>();
  let meterOfAll = createSpeedMeter();

  function read(file: PageFile, begun: ReadonlySet<string>): ListedFile {
    const facts = uploader.factsOf(file.id);
    const { progress, error } = file;
    const path = uploader.pathOf(file.id);
    const isComplete = progress.uploadComplete === true;
    const isPaused = file.isPaused === true;
    let meter = meters.get(file.id);
    if (facts?.phase !== 'sending' || isPaused) meters.delete(file.id);
    else if (meter === undefined) meters.set(file.id, (meter = createSpeedMeter()));
    const doneBytes = isComplete ? (file.size ?? 0) : (facts?.doneBytes ?? 0);
    return {
      id: file.id,
      name: file.meta.relativePath ?? file.name ?? '',
      sizeBytes: file.size ?? 0,
      hasStarted: progress.uploadStarted !== null && progress.uploadStarted !== undefined,
      isComplete,
      isPaused,
      error: error ?? undefined,
      phase: facts?.phase,
      note: facts?.note,
      doneBytes,
      bytesPerSecond: isPaused ? undefined : meter?.measure(performance.now(), doneBytes),
      goesOn: begun.has(`${file.size} ${file.name}`),
      destination: path && readableFolder(path),
    };
  }

  return {
    read() {
      const begun = new Set(
        openUploads.list().flatMap((one) => (one.isCancelled ? [] : [`${one.sizeBytes} ${one.name}`])),
      );
      return uppy.getFiles().map((file) => read(file, begun));
    },
    measureAll(files) {
      const isMoving = files.some(({ phase, isPaused }) => phase === 'sending' && !isPaused);
      if (!isMoving) meterOfAll = createSpeedMeter();
      return isMoving ? meterOfAll.measure(performance.now(), sumDone(files)) : undefined;
    },
  };
}

/** Of all that was started: how far, how fast, how long still. */
export function summarize(files: readonly ListedFile[], bytesPerSecond: number | undefined): string {
  const started = files.filter(({ hasStarted, error }) => hasStarted && error === undefined);
  const uploaded = files.filter(({ isComplete }) => isComplete).length;
  const totalBytes = started.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (started.length === 0) return '';
  if (started.length === uploaded) return uploaded === files.length ? 'all uploaded' : `${uploaded} uploaded`;
  return `${uploaded} uploaded · ${formatProgress(sumDone(started), totalBytes, bytesPerSecond)}`;
}

function sumDone(files: readonly ListedFile[]): number {
  return files.reduce((sum, { doneBytes }) => sum + doneBytes, 0);
}
