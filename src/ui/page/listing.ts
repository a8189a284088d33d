// Of many files: which of them the list shows, and what it says of all together.
import type { FileState } from './describe-row.ts';
import { formatProgress } from './format.ts';

/** @returns all of them in their own order; of more than `limit`, those that matter most, and these first. */
export function chooseRows<T extends FileState>(files: readonly T[], limit: number): readonly T[] {
  if (files.length <= limit) return files;
  const byRank: T[][] = [];
  for (const file of files) (byRank[rankOf(file)] ??= []).push(file);
  return byRank.flat().slice(0, limit);
}

/** At work, failed, still to come, done. */
function rankOf({ isComplete, error, phase, isPaused }: FileState): number {
  if (isComplete) return 3;
  if (error !== undefined) return 1;
  return phase === 'finishing' || (phase === 'sending' && !isPaused) ? 0 : 2;
}

/** Of all that was started: how far, how fast, how long still. */
export function summarize(files: readonly FileState[], bytesPerSecond: number | undefined): string {
  const started = files.filter(({ hasStarted, error }) => hasStarted && error === undefined);
  const uploaded = files.filter(({ isComplete }) => isComplete).length;
  const totalBytes = started.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (started.length === 0) return '';
  if (started.length === uploaded) return uploaded === files.length ? 'all uploaded' : `${uploaded} uploaded`;
  return `${uploaded} uploaded · ${formatProgress(sumDone(started), totalBytes, bytesPerSecond)}`;
}

export function sumDone(files: readonly FileState[]): number {
  return files.reduce((sum, { doneBytes }) => sum + doneBytes, 0);
}
