// What a call has promised outlives a loss of power: bytes are on the disk before their name is, and the name before the answer.
import type * as fileSystem from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createFilesystemStorage } from '../../../../src/storage/filesystem/filesystem-storage.ts';
import type { Storage } from '../../../../src/storage/storage.ts';
import { createCountedBody } from '../../../contract/storage/counted-body.ts';

/** Synced: what is at `to`; made: the folder `to`; moved: from `from` to `to`. */
interface Step {
  readonly kind: 'synced' | 'made' | 'moved';
  readonly from?: string;
  readonly to: string;
}
const steps = vi.hoisted((): Step[] => []);

vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof fileSystem>();
  const open: typeof real.open = async (...args) => {
    const handle = await real.open(...args);
    const sync = handle.sync.bind(handle);
    handle.sync = async () => {
      await sync();
      steps.push({ kind: 'synced', to: String(args[0]) });
    };
    return handle;
  };
  const noted =
    (move: typeof real.rename): typeof real.rename =>
    async (from, to) => {
      await move(from, to);
      steps.push({ kind: 'moved', from: String(from), to: String(to) });
    };
  const mkdir = async (folder: string, options?: { recursive: boolean }) => {
    const made = await real.mkdir(folder, options);
    steps.push({ kind: 'made', to: folder });
    return made;
  };
  return { ...real, open, mkdir, rename: noted(real.rename), link: noted(real.link) };
});

const never = new AbortController().signal;
const object = { bucket: 'uploads', key: 'a/b/object' };
let root: string;
let storage: Storage;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'mizuchi-filesystem-'));
  storage = createFilesystemStorage({ root });
});
afterEach(async () => {
  await storage.close();
  await rm(root, { recursive: true });
});

const temporaryFolder = (): string => path.join(root, 'uploads', '%tmp');
const isTemporary = (file: string): boolean => path.dirname(file) === temporaryFolder();

/** @returns what is wrong with the steps of the call. */
async function findUnsynced(call: () => Promise<unknown>): Promise<string[]> {
  steps.length = 0;
  await call();
  expect(steps.some(({ kind }) => kind === 'moved')).toBe(true);
  return steps.flatMap(({ kind, from, to }, i) => {
    const isSynced = (file: string, among: readonly Step[]): boolean =>
      among.some((step) => step.kind === 'synced' && step.to === file);
    if (kind === 'synced' || (kind === 'made' && (to === root || isTemporary(to)))) return [];
    const faults: string[] = [];
    // What goes to the temporary folder is removed: its name goes from where it was.
    const changed = path.dirname(from !== undefined && isTemporary(to) ? from : to);
    if (!isSynced(changed, steps.slice(i))) faults.push(`${to} in its folder`);
    if (from !== undefined && !isTemporary(to) && !isSynced(from, steps.slice(0, i))) faults.push(`the bytes of ${to}`);
    return faults;
  });
}

test.each([
  ['a new object', { 'if-none-match': '*' }],
  ['one that may take the place of another', {}],
])('%s', async (_, headers) => {
  const put = () =>
    storage.putObject(object, new Map(Object.entries(headers)), createCountedBody(Buffer.from('x')), never);
  expect(await findUnsynced(put)).toEqual([]);
});

test('an upload, its parts, and the object that they become', async () => {
  let uploadId = '';
  const create = async () => {
    ({ uploadId } = await storage.createMultipartUpload(object, new Map(), never));
  };
  expect(await findUnsynced(create)).toEqual([]);
  const upload = { ...object, uploadId };
  let etag = '';
  const sendPart = async () => {
    ({ etag } = await storage.uploadPart(upload, 1, new Map(), createCountedBody(Buffer.from('x')), never));
  };
  expect(await findUnsynced(sendPart)).toEqual([]);
  const complete = () => storage.completeMultipartUpload(upload, [{ partNumber: 1, etag }], new Map(), never);
  expect(await findUnsynced(complete)).toEqual([]);
});

test('an upload that was given up', async () => {
  const { uploadId } = await storage.createMultipartUpload(object, new Map(), never);
  expect(await findUnsynced(() => storage.abortMultipartUpload({ ...object, uploadId }, never))).toEqual([]);
});
