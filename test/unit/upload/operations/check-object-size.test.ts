// Whether a client's parts make an object of a size that the bucket takes, as the backend lists them.
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import type { CompletedPart, ListedPart, PartsPage, Storage } from '../../../../src/storage/storage.ts';
import { checkFirstPart, checkObjectSize } from '../../../../src/upload/operations/check-object-size.ts';
import type { UploadSettings } from '../../../../src/upload/operation-context.ts';

const upload = { bucket: 'b', key: 'k', uploadId: 'u' };
const limits = {
  minPartBytes: 5,
  maxPartBytes: 100_000,
  maxParts: 10_000,
  maxPutBytes: 100_000,
  maxObjectBytes: 1_000_000,
  streamsAnyLength: false,
  wantsChecksum: false,
};
const listed = (partNumber: number, size: number): ListedPart => ({
  partNumber,
  size,
  etag: `"e${partNumber}"`,
  lastModified: new Date(0),
  checksums: [],
});
const named = (partNumber: number, etag = `"e${partNumber}"`): CompletedPart => ({ partNumber, etag });

interface Setup {
  readonly stored?: readonly ListedPart[];
  readonly settings?: Partial<UploadSettings>;
  readonly listParts?: Storage['listParts'];
  readonly headers?: ReadonlyMap<string, string>;
}

/** @returns what was refused, and how often the backend was asked. */
async function check(
  parts: readonly CompletedPart[],
  { stored = [], settings, headers = new Map(), ...rest }: Setup,
  run = checkObjectSize,
) {
  const asked: { marker: number; headers: ReadonlyMap<string, string> }[] = [];
  const listPage = (marker: number, maxParts: number): PartsPage => {
    const after = stored.filter(({ partNumber }) => partNumber > marker);
    const page = after.slice(0, maxParts);
    const isTruncated = after.length > page.length;
    const none = { storageClass: undefined, checksumAlgorithm: undefined, checksumType: undefined };
    return {
      ...none,
      parts: page,
      isTruncated,
      nextPartNumberMarker: isTruncated ? page.at(-1)?.partNumber : undefined,
    };
  };
  const storage = {
    limits,
    listParts: async (...args: Parameters<Storage['listParts']>) => {
      const [, { partNumberMarker, maxParts }, fields] = args;
      asked.push({ marker: partNumberMarker, headers: fields });
      return rest.listParts === undefined ? listPage(partNumberMarker, maxParts) : rest.listParts(...args);
    },
  };
  const context = {
    storage: storage as Partial<Storage> as Storage,
    request: { signal: new AbortController().signal } as never,
    settings: {
      maxObjectBytes: 1000,
      minObjectBytes: 0,
      retry: { maxAttempts: 3, baseDelayMs: 0, maxDelayMs: 0 },
      ...settings,
    } as UploadSettings,
  };
  const outcome = await run(context, upload, parts, headers).then(
    () => 'taken',
    (error: unknown) => (error instanceof S3Error ? error.code : String(error)),
  );
  return { outcome, asked };
}

test('the backend is not asked where its own limits are the bucket’s', async () => {
  const settings = { maxObjectBytes: limits.maxObjectBytes };
  expect(await check([named(1)], { settings })).toEqual({ outcome: 'taken', asked: [] });
});

describe('limits', () => {
  const stored = [listed(1, 600), listed(2, 400), listed(3, 1)];

  test.each([
    [{}, [1, 2], 'taken'],
    [{}, [1, 2, 3], 'EntityTooLarge'],
    [{ maxObjectBytes: 1001 }, [1, 2, 3], 'taken'],
    // As a policy narrows them for one request.
    [{ maxObjectBytes: 599 }, [1], 'EntityTooLarge'],
    [{ maxObjectBytes: limits.maxObjectBytes, minObjectBytes: 401 }, [2], 'EntityTooSmall'],
    [{ maxObjectBytes: limits.maxObjectBytes, minObjectBytes: 401 }, [2, 3], 'taken'],
  ])('%j with the parts %j: %s', async (settings, numbers, outcome) => {
    const parts = numbers.map((number) => named(number));
    expect(await check(parts, { stored, settings })).toMatchObject({ outcome });
  });

  test('a part that is not there as it is named could become any size', async () => {
    expect(await check([named(1), named(4)], { stored })).toMatchObject({ outcome: 'InvalidPart' });
    expect(await check([named(1, '"other"')], { stored })).toMatchObject({ outcome: 'InvalidPart' });
    expect(await check([named(1, 'e1')], { stored })).toMatchObject({ outcome: 'taken' });
  });
});

describe('the first part', () => {
  const stored = [listed(1, 5), listed(2, 400)];

  test.each([
    ['is as long as a part must be', stored, [named(1), named(2)], 'taken', 1],
    ['is shorter', [listed(1, 4), listed(2, 400)], [named(1), named(2)], 'EntityTooSmall', 1],
    ['is empty', [listed(1, 0), listed(2, 400)], [named(1), named(2)], 'EntityTooSmall', 1],
    ['is shorter, and the only one', [listed(1, 4)], [named(1)], 'taken', 0],
    ['is not among them', stored, [named(2)], 'InvalidPart', 0],
    ['is not the first', stored, [named(2), named(1)], 'InvalidPart', 0],
    ['is not there', [listed(2, 400)], [named(1), named(2)], 'InvalidPart', 1],
    ['is another one', stored, [named(1, '"other"'), named(2)], 'InvalidPart', 1],
    ['cannot be, as there are none', stored, [], 'InvalidPart', 0],
  ])('%s', async (_, backend, parts, outcome, questions) => {
    const checked = await check(parts, { stored: backend }, checkFirstPart);
    expect([checked.outcome, checked.asked.length]).toEqual([outcome, questions]);
  });

  test('is not looked for in an upload that is not there any more', async () => {
    const listParts = () => Promise.reject(new S3Error('NoSuchUpload'));
    expect(await check([named(1), named(2)], { listParts }, checkFirstPart)).toMatchObject({ outcome: 'taken' });
  });
});

describe('pages', () => {
  const stored = Array.from({ length: 2500 }, (_, index) => listed(index + 1, 1));

  test('are asked for as far as the last part that is named, and no further', async () => {
    const all = await check(
      stored.map(({ partNumber }) => named(partNumber)),
      { stored, settings: { maxObjectBytes: 2499 } },
    );
    expect(all.outcome).toBe('EntityTooLarge');
    expect(all.asked.map(({ marker }) => marker)).toEqual([0, 1000, 2000]);
    const few = await check([named(1000)], { stored });
    expect(few).toMatchObject({ outcome: 'taken', asked: [{ marker: 0 }] });
    const outOfOrder = await check([named(2500), named(1)], { stored });
    expect(outOfOrder.outcome).toBe('taken');
  });

  test('that lead nowhere are not asked for again', async () => {
    const page: PartsPage = {
      parts: [],
      isTruncated: true,
      nextPartNumberMarker: 0,
      storageClass: undefined,
      checksumAlgorithm: undefined,
      checksumType: undefined,
    };
    const { outcome, asked } = await check([named(9)], { listParts: async () => page });
    expect([outcome, asked.length]).toEqual(['InvalidPart', 1]);
  });
});

test('fields that parts were sent with come along, and no condition does', async () => {
  const customer = 'x-amz-server-side-encryption-customer-key';
  const headers = new Map([
    [customer, 'k'],
    ['x-amz-expected-bucket-owner', '1'],
    ['if-none-match', '*'],
    ['x-amz-mp-object-size', '1'],
  ]);
  const { asked } = await check([named(1)], { stored: [listed(1, 1)], headers });
  expect([...(asked[0]?.headers.keys() ?? [])]).toEqual([customer, 'x-amz-expected-bucket-owner']);
});

test('an upload that is gone is left to the storage; a failure is not', async () => {
  const failing = (error: S3Error) =>
    check([named(1)], {
      listParts: async () => {
        throw error;
      },
    });
  expect(await failing(new S3Error('NoSuchUpload'))).toMatchObject({ outcome: 'taken' });
  const away = await failing(new S3Error('ServiceUnavailable', { retryable: true }));
  expect([away.outcome, away.asked.length]).toEqual(['ServiceUnavailable', 3]);
  expect(await failing(new S3Error('AccessDenied'))).toMatchObject({ outcome: 'AccessDenied' });
});
