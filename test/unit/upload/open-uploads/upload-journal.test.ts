// The journal across processes: entries of a living process are left alone, those of a killed one are found.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isAbandoned } from '../../../../src/upload/open-uploads/process-lock.ts';
import { openJournal } from '../../../../src/upload/open-uploads/upload-journal.ts';

/** Names of folders that cannot be listed now. */
const unreadable = new Set<string>();
vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs/promises')>();
  const list = (folder: string): Promise<string[]> =>
    unreadable.has(basename(folder))
      ? Promise.reject(Object.assign(new Error('too many open files'), { code: 'EMFILE' }))
      : real.readdir(folder);
  return { ...real, readdir: list };
});

const entry = { bucketName: 'uploads', bucket: 'backend', key: 'a/ö b', uploadId: 'id-1' };
let stateDir: string;

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'mizuchi-journal-'));
});

afterEach(() => rm(stateDir, { recursive: true, force: true }));

/** Starts another process that opens the journal, adds the entry, and stays. */
async function startOther() {
  const script = `
    import { openJournal } from '${new URL('../../../../src/upload/open-uploads/upload-journal.ts', import.meta.url).href}';
    const journal = await openJournal(${JSON.stringify(stateDir)});
    await journal.add(${JSON.stringify(entry)});
    process.stdout.write('added');
    setInterval(() => {}, 1000);`;
  const other = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(other.stdout, 'data');
  return other;
}

describe('the journal', () => {
  test('leaves a living process alone, and finds what it left once it is killed', async () => {
    const journal = await openJournal(stateDir);
    const other = await startOther();
    try {
      expect(await journal.findAbandoned()).toEqual([]);
    } finally {
      other.kill('SIGKILL');
      await once(other, 'exit');
    }
    const found = await journal.findAbandoned();
    expect(found.map((one) => one.entry)).toEqual([entry]);
    expect(await found[0]?.remove()).toBe(true);
    expect(await found[0]?.remove()).toBe(false);
    expect(await journal.findAbandoned()).toEqual([]);
    await journal.close();
    expect(await readdir(join(stateDir, 'open-uploads'))).toEqual([]);
  });

  test('forgets what was completed, and keeps its folder only while something is open', async () => {
    const journal = await openJournal(stateDir);
    const forget = await journal.add(entry);
    await journal.add({ ...entry, uploadId: 'id-2' });
    await forget();
    await journal.close();
    // What is left can be found, although this process still lives: it may start anew within itself.
    const folders = await readdir(join(stateDir, 'open-uploads'));
    expect(folders).toHaveLength(1);
    const files = await readdir(join(stateDir, 'open-uploads', folders[0]!));
    expect(files.filter((name) => name !== 'process.json')).toHaveLength(1);
    const next = await openJournal(stateDir);
    expect((await next.findAbandoned()).map((one) => one.entry.uploadId)).toEqual(['id-2']);
    await next.close();
  });

  test('removes no folder that it cannot list', async () => {
    const journal = await openJournal(stateDir);
    const [own = ''] = await readdir(join(stateDir, 'open-uploads'));
    await journal.add(entry);
    unreadable.add(own);
    await journal.close();
    const next = await openJournal(stateDir);
    expect(await next.findAbandoned()).toEqual([]);
    unreadable.clear();
    expect((await next.findAbandoned()).map((one) => one.entry)).toEqual([entry]);
    await next.close();
  });
});

describe('isAbandoned', () => {
  test('is not deceived by a process id that was given to another process', async () => {
    const journal = await openJournal(stateDir);
    const [folder] = await readdir(join(stateDir, 'open-uploads'));
    const path = join(stateDir, 'open-uploads', folder!);
    expect(await isAbandoned(path)).toBe(false);
    const own = JSON.parse(await readFile(join(path, 'process.json'), 'utf8')) as object;
    await writeFile(join(path, 'process.json'), JSON.stringify({ ...own, started: 'earlier' }));
    expect(await isAbandoned(path)).toBe(true);
    await journal.close();
  });

  test('waits for a process whose host has the same name, but other process ids', async () => {
    const owner = { host: hostname(), pid: 4_194_305, started: 'earlier' };
    await writeFile(join(stateDir, 'process.json'), JSON.stringify(owner));
    expect(await isAbandoned(stateDir)).toBe(false);
    const longAgo = Date.now() / 1000 - 301;
    await utimes(join(stateDir, 'process.json'), longAgo, longAgo);
    expect(await isAbandoned(stateDir)).toBe(true);
  });

  test('waits for a process of another host, and for a folder that has no lock yet', async () => {
    await writeFile(join(stateDir, 'process.json'), JSON.stringify({ host: 'elsewhere', pid: 1, started: '' }));
    expect(await isAbandoned(stateDir)).toBe(false);
    await rm(join(stateDir, 'process.json'));
    expect(await isAbandoned(stateDir)).toBe(false);
  });
});
