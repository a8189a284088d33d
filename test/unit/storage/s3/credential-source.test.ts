// Credentials that are configured, and those of a chain that hands out expiring ones.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createChainSource, createCredentialSource } from '../../../../src/storage/s3/credential-source.ts';

const minuteMs = 60_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function startChain(lifetimeMs?: number) {
  const asked: boolean[] = [];
  let loads = 0;
  const source = createChainSource(async () => {
    loads++;
    return async (options) => {
      asked.push(options?.forceRefresh ?? false);
      const accessKeyId = `key-${asked.length}`;
      if (lifetimeMs === undefined) return { accessKeyId, secretAccessKey: 's' };
      return { accessKeyId, secretAccessKey: 's', expiration: new Date(Date.now() + lifetimeMs) };
    };
  });
  return { source, asked, loads: () => loads };
}

test('configured credentials are always at hand', async () => {
  const configured = { accessKeyId: 'a', secretAccessKey: 'b' };
  const source = createCredentialSource(configured, 'us-east-1');
  source.discard(configured);
  expect(source.current()).toBe(configured);
  expect(await source.load()).toBe(configured);
});

test('nothing is at hand until the chain has been asked, then what it said', async () => {
  const { source, loads } = startChain();
  expect(source.current()).toBeUndefined();
  await source.load();
  expect(source.current()).toMatchObject({ accessKeyId: 'key-1' });
  await source.load();
  expect(loads()).toBe(1);
});

test('the chain is asked again from five minutes before they run out', async () => {
  const { source } = startChain(60 * minuteMs);
  await source.load();
  vi.advanceTimersByTime(54 * minuteMs);
  expect(source.current()).toMatchObject({ accessKeyId: 'key-1' });
  vi.advanceTimersByTime(2 * minuteMs);
  expect(source.current()).toBeUndefined();
  expect(await source.load()).toMatchObject({ accessKeyId: 'key-2' });
  expect(source.current()).toMatchObject({ accessKeyId: 'key-2' });
});

test('what the backend refused as run out is asked for anew, once', async () => {
  const { source, asked } = startChain();
  source.discard(await source.load());
  expect(source.current()).toBeUndefined();
  await source.load();
  await source.load();
  expect(asked).toEqual([false, true, false]);
});

test('what is refused late does not throw away what was found meanwhile', async () => {
  const { source, asked } = startChain();
  const { accessKeyId, secretAccessKey } = await source.load();
  // The same in another object, as chains give it.
  const used = { accessKeyId, secretAccessKey };
  source.discard(used);
  source.discard(used);
  await source.load();
  source.discard(used);
  expect(source.current()).toMatchObject({ accessKeyId: 'key-2' });
  await source.load();
  expect(asked).toEqual([false, true, false]);
});

test('all who ask while the chain refreshes are given what it finds', async () => {
  const { source, asked } = startChain();
  source.discard(await source.load());
  const found = await Promise.all([source.load(), source.load(), source.load()]);
  expect(found.map(({ accessKeyId }) => accessKeyId)).toEqual(['key-2', 'key-2', 'key-2']);
  expect(asked).toEqual([false, true]);
});

test('what is refused while the chain is being asked is asked for anew after that', async () => {
  const asked: boolean[] = [];
  const used = { accessKeyId: 'a', secretAccessKey: 'b' };
  const source = createChainSource(async () => async (options) => {
    asked.push(options?.forceRefresh ?? false);
    if (asked.length === 2) source.discard(used);
    return used;
  });
  await source.load();
  await source.load();
  await source.load();
  expect(asked).toEqual([false, false, true]);
});

test('a refresh that fails is made up for at the next', async () => {
  const asked: boolean[] = [];
  const source = createChainSource(async () => async (options) => {
    asked.push(options?.forceRefresh ?? false);
    if (asked.length === 2) throw new Error('the chain is away');
    return { accessKeyId: 'a', secretAccessKey: 'b' };
  });
  source.discard(await source.load());
  await expect(source.load()).rejects.toThrow('the chain is away');
  await source.load();
  expect(asked).toEqual([false, true, true]);
});

test('a chain that could not be loaded is tried again', async () => {
  let attempts = 0;
  const source = createChainSource(async () => {
    if (++attempts === 1) throw new Error('no module');
    return async () => ({ accessKeyId: 'a', secretAccessKey: 'b' });
  });
  await expect(source.load()).rejects.toThrow('no module');
  await expect(source.load()).resolves.toMatchObject({ accessKeyId: 'a' });
});
