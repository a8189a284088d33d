// What the list shows of each file: what Uppy knows, what the uploader knows, and how fast it goes.
import type { FileState } from './describe-row.ts';
import { readableFolder } from './destination.ts';
import type { ListedFile } from './file-list.tsx';
import { chooseRows, sumDone, summarize } from './listing.ts';
import { createSpeedMeter, type SpeedMeter } from './measure-speed.ts';
import type { OpenUploads } from './open-uploads.ts';
import type { PageFile, PageUppy, Uploader } from './uploader.ts';

export interface Listing {
  readonly rows: readonly ListedFile[];
  /** Of all files, listed or not. */
  readonly count: number;
  readonly summary: string;
}

export interface FileStates {
  /** @param limit how many rows there shall be at most. */
  read(limit: number): Listing;
}

export interface FileStatesOptions {
  readonly uppy: PageUppy;
  readonly uploader: Uploader;
  readonly openUploads: OpenUploads;
}

/** What costs little: there may be thousands. */
interface BriefState extends FileState {
  readonly id: string;
}

export function createFileStates({ uppy, uploader, openUploads }: FileStatesOptions): FileStates {
  let meters = new Map<string, SpeedMeter>();
  let meterOfAll = createSpeedMeter();

  function read(file: PageFile, begun: ReadonlySet<string>): BriefState {
    const facts = uploader.factsOf(file.id);
    const { progress, error } = file;
    const isComplete = progress.uploadComplete === true;
    return {
      id: file.id,
      name: file.meta.relativePath ?? file.name ?? '',
      sizeBytes: file.size ?? 0,
      hasStarted: progress.uploadStarted !== null && progress.uploadStarted !== undefined,
      isComplete,
      isPaused: file.isPaused === true,
      error: error ?? undefined,
      phase: facts?.phase,
      note: facts?.note,
      doneBytes: isComplete ? (file.size ?? 0) : (facts?.doneBytes ?? 0),
      bytesPerSecond: undefined,
      goesOn: begun.size > 0 && begun.has(`${file.size} ${file.name}`),
    };
  }

  /** @returns bytes per second of all together. */
  function measure(files: readonly BriefState[]): number | undefined {
    const moving = files.filter(({ phase, isPaused }) => phase === 'sending' && !isPaused);
    meters = new Map(moving.map(({ id }) => [id, meters.get(id) ?? createSpeedMeter()]));
    if (moving.length === 0) meterOfAll = createSpeedMeter();
    return moving.length === 0 ? undefined : meterOfAll.measure(performance.now(), sumDone(files));
  }

  function complete(file: BriefState): ListedFile {
    const path = uploader.pathOf(file.id);
    return {
      ...file,
      bytesPerSecond: meters.get(file.id)?.measure(performance.now(), file.doneBytes),
      destination: path && readableFolder(path),
    };
  }

  return {
    read(limit) {
      const begun = new Set(
        openUploads.list().flatMap((one) => (one.isCancelled ? [] : [`${one.sizeBytes} ${one.name}`])),
      );
      const files = uppy.getFiles().map((file) => read(file, begun));
      const bytesPerSecond = measure(files);
      return {
        rows: chooseRows(files, limit).map(complete),
        count: files.length,
        summary: summarize(files, bytesPerSecond),
      };
    },
  };
}
