// What the page shows: rows, sizes, speeds, destinations and tokens.
import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { bucketOf, cleanFolder, objectPath, readableFolder } from '../../../../src/ui/page/destination.ts';
import { describeRow, type FileState } from '../../../../src/ui/page/describe-row.ts';
import { formatBytes, formatProgress, formatSeconds } from '../../../../src/ui/page/format.ts';
import { createSpeedMeter } from '../../../../src/ui/page/measure-speed.ts';
import { cleanToken, createTokenHolder, explainTokenRefusal, readTokenFacts } from '../../../../src/ui/page/token.ts';

const file: FileState = {
  name: 'a.mp4',
  sizeBytes: 300_000_000,
  hasStarted: true,
  isComplete: false,
  isPaused: false,
  error: undefined,
  phase: 'sending',
  note: undefined,
  doneBytes: 75_000_000,
  bytesPerSecond: 5_000_000,
  goesOn: false,
};

test.each<[string, Partial<FileState>, object]>([
  ['sending', {}, { label: '25 %', detail: '75.0 MB of 300 MB · 5.0 MB/s · 45 s left', actions: ['pause', 'cancel'] }],
  ['ready', { hasStarted: false, goesOn: true }, { detail: '300 MB · goes on where it stopped', actions: ['remove'] }],
  ['queued', { phase: 'queued' }, { label: 'In line' }],
  ['waiting', { note: 'The connection was lost.' }, { detail: 'The connection was lost.' }],
  ['paused', { isPaused: true }, { detail: '75.0 MB of 300 MB', actions: ['resume', 'cancel'] }],
  ['finishing', { phase: 'finishing' }, { actions: [] }],
  ['finishing', { phase: 'finishing', isPaused: true }, { label: 'Finishing…', actions: [] }],
  ['failed', { error: 'Not allowed.' }, { detail: 'Not allowed.', actions: ['retry', 'remove'] }],
  ['done', { isComplete: true }, { label: 'Uploaded', actions: ['hide'] }],
])('a file that is %s', (status, changes, expected) => {
  expect(describeRow({ ...file, ...changes })).toMatchObject({ status, ...expected });
});

test('sizes, times, and progress without a speed', () => {
  expect([0, 999, 1000, 999_499, 999_500, 5e12].map(formatBytes)).toEqual([
    '0 bytes',
    '999 bytes',
    '1.0 kB',
    '999 kB',
    '1.0 MB',
    '5.0 TB',
  ]);
  expect([0.1, 59, 60, 3600, 90_000].map(formatSeconds)).toEqual(['1 s', '59 s', '1 min', '1 h 0 min', '1 d 1 h']);
  expect(formatProgress(0, 5000, undefined)).toBe('0 bytes of 5.0 kB');
});

test('speed is that of the last seconds, and begins anew where something is sent again', () => {
  const meter = createSpeedMeter();
  expect(meter.measure(0, 0)).toBeUndefined();
  expect(meter.measure(500, 1000)).toBeUndefined();
  expect(meter.measure(2000, 2000)).toBe(1000);
  for (let second = 3; second <= 20; second++) meter.measure(second * 1000, 2000 + (second - 2) * 50);
  expect(meter.measure(21_000, 2950)).toBe(50);
  expect(meter.measure(22_000, 100)).toBeUndefined();
});

describe('where files go', () => {
  test('every character arrives as it is', () => {
    const path = objectPath({ bucketPath: '/uploads', folder: ' a b/ü ' }, "x/100% (1)+'#?*!.txt");
    expect(path).toBe('/uploads/a%20b/%C3%BC/x/100%25%20%281%29%2B%27%23%3F%2A%21.txt');
    expect(decodeURIComponent(path)).toBe("/uploads/a b/ü/x/100% (1)+'#?*!.txt");
    expect(readableFolder(path)).toBe('uploads/a b/ü/x');
    expect(objectPath({ bucketPath: '/u', folder: '' }, '\ud800')).toBe('/u/%EF%BF%BD');
    expect(objectPath({ bucketPath: '/u', folder: '' }, '\udc00😀')).toBe('/u/%EF%BF%BD%F0%9F%98%80');
  });

  test.each([
    ['', ''],
    ['/photos//2026/ ', 'photos/2026'],
    ['..', undefined],
    ['a/./b', undefined],
    ['...', '...'],
  ])('the folder %j is %j', (typed, folder) => {
    expect(cleanFolder(typed)).toBe(folder);
  });
});

test.each([
  ['/uploads/a.txt', 'uploads'],
  ['/uploads/inner/a.txt', 'inner'],
  ['/uploads-too/a.txt', undefined],
  ['/team-red/a.txt', 'team-*'],
  ['/team-red-inbox/a.txt', 'team-*-inbox'],
  ['/team-/a.txt', undefined],
])('%s goes to the bucket %s', (path, name) => {
  const bucket = { needsToken: true, maxObjectBytes: 1, minObjectBytes: 0, allowedContentTypes: [] };
  const buckets = [
    { ...bucket, name: 'team-*', path: null },
    { ...bucket, name: 'team-*-inbox', path: null },
    { ...bucket, name: 'uploads', path: '/uploads' },
    { ...bucket, name: 'inner', path: '/uploads/inner' },
  ];
  expect(bucketOf(buckets, path)?.name).toBe(name);
});

describe('tokens', () => {
  const sign = (claims: Record<string, unknown>) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from('x'.repeat(32)));

  test.each(['abc.def', ' abc.def\n', 'Bearer abc.def', 'Authorization: bearer abc.def', '"abc.def"', 'abc.\n  def'])(
    'pasted as %j',
    (pasted) => {
      expect(cleanToken(pasted)).toBe('abc.def');
    },
  );

  test('what a token says of itself', async () => {
    const facts = readTokenFacts(await sign({ sub: 'jürgen', exp: 1_800_000_000 }));
    expect(facts).toEqual({ subject: 'jürgen', expiresAtMs: 1_800_000_000_000 });
    expect(readTokenFacts(await sign({ sub: 3 }))).toEqual({ subject: undefined, expiresAtMs: undefined });
    expect(['', 'opaque', 'a.!!!.c', 'a.bnVsbA.c'].map(readTokenFacts)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('why one was refused', async () => {
    const expired = await sign({ exp: 100 });
    const explain = (token: string) => explainTokenRefusal(token, 200_000, (ms) => `${ms} ms`);
    expect(explain(expired)).toContain('has expired (it was good until 100000 ms)');
    expect(explain(await sign({ exp: 300 }))).toContain('wrong or has expired');
    expect(explain('opaque')).toContain('wrong or has expired');
    expect(explain('')).toContain('A token is needed');
  });

  test('it outlives a reload in the store of the tab, and an empty one is taken out of it', () => {
    const items = new Map<string, string>();
    const store = {
      getItem: (name: string) => items.get(name) ?? null,
      setItem: (name: string, text: string) => void items.set(name, text),
      removeItem: (name: string) => void items.delete(name),
    };
    createTokenHolder(store).set('Bearer t');
    expect(createTokenHolder(store).value).toBe('t');
    createTokenHolder(store).set(' ');
    expect([items.size, createTokenHolder(store).value]).toEqual([0, '']);
  });
});
