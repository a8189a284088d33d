// Any body, cut anywhere, that ends or fails anywhere: the file holds the bytes, or the failure is told; each chunk comes back once.
import * as fc from 'fast-check';
import { createHash } from 'node:crypto';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRecord } from '../../src/storage/filesystem/object-record.ts';
import { writeBody } from '../../src/storage/filesystem/write-body.ts';
import { createCountedBody, failureOf } from '../contract/storage/counted-body.ts';
import { createRandomBody } from '../support/random-body.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-bodies-'));
});
afterAll(() => rm(folder, { recursive: true }));

const never = new AbortController().signal;
const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 600_000 })), {
  minLength: 1,
  maxLength: 9,
});

test('bodies', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 4_000_000 })),
      cuts,
      fc.option(fc.nat({ max: 4_000_000 }), { nil: undefined }),
      fc.boolean(),
      async (sizeBytes, sizes, failAfterBytes, isAnnounced) => {
        // Crumbs of a large body take long and show nothing that those of a small one do not.
        fc.pre(sizeBytes < 5000 || sizes.some((size) => size > 10_000));
        const bytes = createRandomBody('body', sizeBytes).bytes();
        const failure = new Error('the client left');
        const body = createCountedBody(bytes, {
          cuts: sizes,
          ...(isAnnounced ? {} : { length: undefined }),
          ...(failAfterBytes === undefined ? {} : { stop: { afterBytes: failAfterBytes, failure } }),
        });
        const filePath = path.join(folder, 'body');
        const file = await open(filePath, 'w');
        const writing = writeBody(body, file, { maxBytes: 5_000_000, signal: never });
        const fails = failAfterBytes !== undefined && failAfterBytes <= sizeBytes;
        const outcome = await writing.catch((error: unknown) => error);
        expect(outcome).toEqual(fails ? failure : { sizeBytes, md5: createHash('md5').update(bytes).digest() });
        expect(fails || (await readFile(filePath)).equals(bytes)).toBe(true);
        expect(body.chunksOut).toBe(0);
        await file.close();
      },
    ),
    { numRuns: 150 },
  );
});

test('a body of unknown length ends where the limit is', async () => {
  const file = await open(path.join(folder, 'limited'), 'w');
  const write = async (sizeBytes: number) => {
    const body = createCountedBody(Buffer.alloc(sizeBytes), { length: undefined });
    const failure = await failureOf(writeBody(body, file, { maxBytes: 1_000_000, signal: never }));
    expect(body.chunksOut).toBe(0);
    return failure;
  };
  expect(await write(1_000_000)).toBeUndefined();
  expect(await write(1_000_001)).toMatchObject({ code: 'EntityTooLarge' });
  await file.close();
});

test('a record of any content is one that fits, or none', async () => {
  const filePath = path.join(folder, 'record');
  const fields = fc.record(
    Object.fromEntries(
      ['key', 'etag', 'size', 'mtimeNs', 'ino', 'headers', 'checksums', 'previous'].map((name) => [
        name,
        fc.oneof(fc.jsonValue(), fc.constantFrom('5', 5, '1', {})),
      ]),
    ),
    { requiredKeys: [] },
  );
  const { failed, counterexample } = await fc.check(
    fc.asyncProperty(
      fc.oneof(
        fc.string(),
        fc.json(),
        fields.map((value) => JSON.stringify(value)),
      ),
      async (text) => {
        const file = await open(filePath, 'w');
        await file.writeFile(text);
        await file.close();
        const record = await readRecord(filePath, { size: 5, mtimeNs: 5n, ino: 1n });
        return record === undefined || (record.size === 5 && record.mtimeNs === '5' && typeof record.etag === 'string');
      },
    ),
    { numRuns: 1000 },
  );
  expect({ failed, counterexample }).toEqual({ failed: false, counterexample: null });
});
