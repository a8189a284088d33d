// What the list shows of many files, and how often.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { FileState } from '../../../../src/ui/page/describe-row.ts';
import { chooseRows, summarize } from '../../../../src/ui/page/listing.ts';
import { throttle } from '../../../../src/ui/page/throttle.ts';

const done = { hasStarted: true, isComplete: true, doneBytes: 1000 };
const atWork = { hasStarted: true, doneBytes: 500 };
/** By the letter that is their name here. */
const states: Readonly<Record<string, Partial<FileState>>> = {
  d: done,
  r: {},
  q: { hasStarted: true, phase: 'queued' },
  p: { ...atWork, phase: 'queued', isPaused: true },
  f: { hasStarted: true, error: 'No.' },
  s: { ...atWork, phase: 'sending' },
  e: { ...atWork, phase: 'finishing' },
};

function createFiles(letters: string): FileState[] {
  return letters.split('').map((name) => ({
    name,
    sizeBytes: 1000,
    hasStarted: false,
    isComplete: false,
    isPaused: false,
    error: undefined,
    phase: undefined,
    note: undefined,
    doneBytes: 0,
    bytesPerSecond: undefined,
    goesOn: false,
    ...states[name],
  }));
}

describe('the list of files', () => {
  const chosen = (letters: string, limit: number) =>
    chooseRows(createFiles(letters), limit)
      .map(({ name }) => name)
      .join('');

  test('few are shown as they were chosen', () => {
    expect(chosen('drqpfser', 8)).toBe('drqpfser');
    expect(chosen('', 8)).toBe('');
  });

  test('of many, those at work come first, then what failed, what is to come, and what is done', () => {
    expect(chosen('drqpfserd', 8)).toBe('sefrqprd');
    expect(chosen('drqpfserd', 3)).toBe('sef');
  });

  test('the summary is of all that was started', () => {
    expect(summarize(createFiles('drqpfser'), 100)).toBe('1 uploaded · 2.5 kB of 5.0 kB · 100 bytes/s · 25 s left');
    expect(summarize(createFiles('ddf'), undefined)).toBe('2 uploaded');
    expect(summarize(createFiles('dd'), undefined)).toBe('all uploaded');
    expect(summarize(createFiles('rr'), undefined)).toBe('');
  });
});

describe('throttle', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('the first run is at once, the next when its time has come, and the last one is not left out', () => {
    const atMs: number[] = [];
    const startMs = performance.now();
    const ask = throttle(() => atMs.push(performance.now() - startMs), 100);
    for (let ms = 0; ms < 250; ms += 10) {
      ask();
      vi.advanceTimersByTime(10);
    }
    vi.advanceTimersByTime(1000);
    expect(atMs).toEqual([0, 100, 200, 300]);
    ask();
    vi.advanceTimersByTime(0);
    expect(atMs.at(-1)).toBe(1250);
  });

  test('a run that takes long is given time before the next', () => {
    const atMs: number[] = [];
    const startMs = performance.now();
    const ask = throttle(() => {
      atMs.push(performance.now() - startMs);
      vi.advanceTimersByTime(400);
    }, 100);
    ask();
    vi.advanceTimersByTime(0);
    ask();
    vi.advanceTimersByTime(1000);
    expect(atMs).toEqual([0, 500]);
  });
});
