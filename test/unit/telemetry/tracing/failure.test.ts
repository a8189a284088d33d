// What a span says of a failure: never a sentence that could hold a key.
import type { Span } from '@opentelemetry/api';
import { lstatSync } from 'node:fs';
import { expect, test } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import { Fault } from '../../../../src/fault.ts';
import { BackendRefusal } from '../../../../src/storage/s3/to-s3-error.ts';
import { recordFailure } from '../../../../src/telemetry/tracing/failure.ts';

function recorded(error: unknown): string {
  const told: unknown[] = [];
  const note = (...given: unknown[]) => told.push(given);
  recordFailure({ setAttribute: note, setStatus: note, addEvent: note } as unknown as Span, error, 0);
  return JSON.stringify(told);
}

function refusedCall(): unknown {
  try {
    return lstatSync('/planted');
  } catch (error) {
    return error;
  }
}

const answer = { status: 503, code: 'SlowDown', message: 'no room for planted', header: () => undefined };

test.each([
  ['a path of our own', new Fault('not a file', { detail: '/planted' }), '"error.type","Error"'],
  ['the words of a backend', new BackendRefusal(answer), '"error.type","SlowDown"'],
  ['a call to the file system', refusedCall(), '"error.type","ENOENT"'],
  ['the words of a library', new SyntaxError('what is planted?'), '"error.type","SyntaxError"'],
])('%s is not told', (_, cause, type) => {
  for (const error of [cause, new S3Error('InternalError', { cause })]) {
    expect(recorded(error)).toContain(type);
    expect(recorded(error)).not.toContain('planted');
  }
});
