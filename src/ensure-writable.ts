// Folders that must be written to, looked at before the start, so that a fault is one sentence that says what to do.
import { accessSync, constants, mkdirSync } from 'node:fs';

export interface NeededFolder {
  readonly folder: string;
  /** Of the folders that are made on the way to it. */
  readonly mode?: number;
  /** What helps besides the rights to write. */
  readonly remedy: string;
}

/** Makes the folder when it is not there. @throws Error when it cannot be made or written to. */
export function ensureWritable({ folder, mode = 0o777, remedy }: NeededFolder): void {
  try {
    mkdirSync(folder, { recursive: true, mode });
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    const sentence = `cannot write to the folder ${folder} (${code}); let the user who runs the proxy write to it, or ${remedy}`;
    throw new Error(sentence, { cause: error });
  }
}
