// Where audit lines go: among the log's own, or to the end of a file that other processes write to as well and that may be full.
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { standardOutput } from '../line-writer.ts';
import type { Log } from '../log.ts';
import { saySeldom } from './say-seldom.ts';
import { Fault } from '../fault.ts';

export interface AuditSink {
  writeLine(line: string): void;
  reopen(): void;
  close(): void;
}

/** Among the log's own lines, in their order. */
export function writeToStandardOutput(): AuditSink {
  const output = standardOutput();
  return { writeLine: (line) => output.write(line, true), reopen: () => undefined, close: () => output.flushSync() };
}

/**
 * Each line is appended by one call of the system before its request is answered: a process that dies has lost none, and
 * lines of several processes do not mix. What a full disk took of a line is taken away again, unless another process has written
 * behind it: its line stands on the torn one then. Where the process ended before it could, the next one that opens the file
 * begins a line of its own, but those that have it open do not see it.
 * @throws Error when the file cannot be opened.
 */
export function openAuditFile(path: string, log: Log, onLost: () => void): AuditSink {
  const open = () => openSync(path, 'a', 0o600);
  let file: number;
  try {
    file = open();
  } catch (error) {
    throw new Error(`logging.audit.destination: ${path} cannot be opened (${codeOf(error)})`, { cause: error });
  }
  const losses = saySeldom((lines, err) => log.error({ file: path, lines, err }, 'audit lines could not be written'));
  /** Nothing was written to the file so far, or not all of it. */
  let isEndUnknown = true;

  return {
    writeLine(line) {
      try {
        const bytes = Buffer.from(isEndUnknown && endsWithinLine(path) ? `\n${line}` : line);
        isEndUnknown = true;
        const written = writeSync(file, bytes);
        if (written < bytes.length) {
          takeBack(path, file, bytes.subarray(0, written));
          throw new Fault('only a part of the line was written');
        }
        isEndUnknown = false;
      } catch (error) {
        onLost();
        losses.note(error);
      }
    },
    reopen() {
      try {
        const next = open();
        closeSync(file);
        file = next;
        isEndUnknown = true;
        log.info({ file: path }, 'audit log reopened');
      } catch (error) {
        log.error({ file: path, err: error }, 'the audit log could not be opened anew; the old file is used on');
      }
    },
    close() {
      losses.flush();
      closeSync(file);
    },
  };
}

/** Other processes do not look at what they write behind. Where it cannot be taken back, this one's next line is its own. */
function takeBack(path: string, file: number, torn: Uint8Array): void {
  let reading: number | undefined;
  try {
    // What was opened to be appended to cannot be read; by its name it may be another file by now.
    reading = openSync(path, 'r');
    const stats = fstatSync(reading);
    const own = fstatSync(file);
    if (!stats.isFile() || stats.dev !== own.dev || stats.ino !== own.ino) return;
    const { size } = stats;
    const last = Buffer.alloc(torn.length);
    readSync(reading, last, 0, last.length, size - last.length);
    if (last.equals(torn) && fstatSync(file).size === size) ftruncateSync(file, size - torn.length);
  } catch {
    // It stays.
  } finally {
    if (reading !== undefined) closeSync(reading);
  }
}

/** Where it cannot be told, an empty line does less harm than one that is glued to another. */
function endsWithinLine(path: string): boolean {
  try {
    const stats = statSync(path);
    if (!stats.isFile() || stats.size === 0) return false;
    const file = openSync(path, 'r');
    try {
      const last = Buffer.alloc(1);
      readSync(file, last, 0, 1, stats.size - 1);
      return last[0] !== lineFeed;
    } finally {
      closeSync(file);
    }
  } catch {
    return true;
  }
}

const lineFeed = 0x0a;

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
