// What a row of the list says of its file, and which buttons it has.
import { formatBytes, formatProgress } from './format.ts';

export interface FileState {
  readonly name: string;
  readonly sizeBytes: number;
  readonly hasStarted: boolean;
  readonly isComplete: boolean;
  readonly isPaused: boolean;
  /** The sentence that it failed with. */
  readonly error: string | undefined;
  readonly phase: 'queued' | 'sending' | 'finishing' | undefined;
  readonly note: string | undefined;
  readonly doneBytes: number;
  readonly bytesPerSecond: number | undefined;
  /** An upload of it was begun earlier. */
  readonly goesOn: boolean;
}

export type RowAction = 'pause' | 'resume' | 'retry' | 'cancel' | 'remove' | 'hide';

export interface Row {
  /** One word: also how the row is coloured. */
  readonly status: 'ready' | 'queued' | 'sending' | 'waiting' | 'finishing' | 'paused' | 'failed' | 'done';
  readonly label: string;
  readonly detail: string;
  /** From 0 to 1; undefined where there is nothing to measure. */
  readonly share: number | undefined;
  readonly actions: readonly RowAction[];
}

export function describeRow(file: FileState): Row {
  const { sizeBytes, doneBytes } = file;
  const share = sizeBytes === 0 ? 0 : doneBytes / sizeBytes;
  const soFar = `${formatBytes(doneBytes)} of ${formatBytes(sizeBytes)}`;
  if (file.isComplete) {
    return { status: 'done', label: 'Uploaded', detail: formatBytes(sizeBytes), share: undefined, actions: ['hide'] };
  }
  if (file.error !== undefined) {
    return { status: 'failed', label: 'Failed', detail: file.error, share: undefined, actions: ['retry', 'remove'] };
  }
  if (!file.hasStarted) {
    const detail = file.goesOn ? `${formatBytes(sizeBytes)} · goes on where it stopped` : formatBytes(sizeBytes);
    return { status: 'ready', label: 'Ready', detail, share: undefined, actions: ['remove'] };
  }
  // There is nothing left to pause: the server is at work on it.
  if (file.phase === 'finishing') {
    return { status: 'finishing', label: 'Finishing…', detail: formatBytes(sizeBytes), share: 1, actions: [] };
  }
  if (file.isPaused) {
    return { status: 'paused', label: 'Paused', detail: soFar, share, actions: ['resume', 'cancel'] };
  }
  if (file.note !== undefined) {
    return { status: 'waiting', label: 'Waiting', detail: file.note, share, actions: ['pause', 'cancel'] };
  }
  if (file.phase !== 'sending') {
    return { status: 'queued', label: 'In line', detail: formatBytes(sizeBytes), share, actions: ['pause', 'cancel'] };
  }
  const detail = formatProgress(doneBytes, sizeBytes, file.bytesPerSecond);
  return { status: 'sending', label: `${Math.floor(share * 100)} %`, detail, share, actions: ['pause', 'cancel'] };
}
