import { expect, test } from 'vitest';
import { createKeyedLock } from '../../../../src/storage/filesystem/keyed-lock.ts';
import { failureOf } from '../../../contract/storage/counted-body.ts';

test('whoever gives up waiting is told at once, and those behind keep their turn', async () => {
  const oneAtATime = createKeyedLock();
  const said: string[] = [];
  const say = (text: string) => () => Promise.resolve(void said.push(text));
  const first = Promise.withResolvers<void>();
  const running = oneAtATime('key', () => first.promise.then(say('first')));
  const stop = new AbortController();
  const failure = failureOf(oneAtATime('key', say('second'), stop.signal));
  const third = oneAtATime('key', say('third'), new AbortController().signal);
  const reason = new Error('the client left');
  stop.abort(reason);
  expect(await failure).toBe(reason);
  expect(await failureOf(oneAtATime('key', say('fourth'), stop.signal))).toBe(reason);
  await oneAtATime('other', say('other'));
  expect(said).toEqual(['other']);
  first.resolve();
  await Promise.all([running, third]);
  expect(said).toEqual(['other', 'first', 'third']);
  await oneAtATime('key', say('fifth'));
  expect(said.at(-1)).toBe('fifth');
});
