// Lines arrive whole, in order and soon; none is lost when the process ends; one that nobody reads costs no upload its time.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LineWriter } from '../../../../src/line-writer.ts';

let folder: string;
let file: string;
let fd: number;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-lines-'));
  file = path.join(folder, 'lines');
  fd = openSync(file, 'a');
});
afterEach(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

const written = (): string => readFileSync(file, 'utf8');
const numbered = (count: number, width = 100): string[] =>
  Array.from({ length: count }, (_, index) => `${String(index).padStart(width, '.')}\n`);

test('lines are gathered, and written soon without being asked for', async () => {
  const writer = new LineWriter({ fd });
  writer.write('one\n');
  writer.write('two\n');
  expect(written()).toBe('');
  await expect.poll(written, { timeout: 10_000 }).toBe('one\ntwo\n');
});

test('an urgent line goes at once, behind those before it', async () => {
  const writer = new LineWriter({ fd });
  writer.write('one\n');
  writer.write('urgent\n', true);
  // Earlier than any timer of the writer.
  await new Promise((resolve) => setImmediate(resolve));
  await expect.poll(written, { interval: 1, timeout: 10_000 }).toBe('one\nurgent\n');
});

test('for people each line is there when write returns', () => {
  const writer = new LineWriter({ fd, isImmediate: true });
  writer.write('one\n');
  expect(written()).toBe('one\n');
});

test('many lines of every length arrive whole and in order', async () => {
  const writer = new LineWriter({ fd });
  const lines = numbered(2000).map((line, index) => (index % 100 === 0 ? `${'é'.repeat(20_000)}${line}` : line));
  for (const line of lines) writer.write(line);
  await new Promise<void>((resolve) => writer.flush(resolve));
  expect(written() === lines.join('')).toBe(true);
});

test('flushed is said when there was nothing to write, too', async () => {
  const writer = new LineWriter({ fd });
  await new Promise<void>((resolve) => writer.flush(resolve));
  expect(written()).toBe('');
});

test('flushed is said where lines are lost, too', async () => {
  const unwritable = openSync(file, 'r');
  const writer = new LineWriter({ fd: unwritable });
  writer.onDropped = () => expect.unreachable('nothing has been taken yet');
  writer.write('one\n');
  await new Promise<void>((resolve) => writer.flush(resolve));
  closeSync(unwritable);
});

interface Ended {
  readonly lines: readonly string[];
  readonly code: number | null;
}

/** Runs a program that has `writer`, on its standard output, and `line(n)`. */
function start(program: string) {
  const script = `
    const { standardOutput } = await import(${JSON.stringify(path.resolve('src/line-writer.ts'))});
    const writer = standardOutput();
    const line = (n) => String(n).padStart(300, '.') + '\\n';
    ${program}`;
  return spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['pipe', 'pipe', 'pipe'] });
}

async function readAll(child: ReturnType<typeof start>): Promise<Ended> {
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  const [code] = (await once(child, 'close')) as [number | null];
  return { lines: Buffer.concat(pieces).toString().split('\n').slice(0, -1), code };
}

describe('nothing is lost at the end of the process', () => {
  const count = 3000;
  const all = Array.from({ length: count }, (_, index) => String(index).padStart(300, '.'));
  test.each([
    ['process.exit', 'process.exit(0);', 0],
    ['the end of the program', '', 0],
    ['an uncaught fault', 'throw new Error("unforeseen");', 1],
    ['an uncaught fault later', 'setImmediate(() => { throw new Error("unforeseen"); });', 1],
    ['a rejection that nobody handles', 'Promise.reject(new Error("unforeseen"));', 1],
    [
      'a signal with a handler',
      'process.on("SIGTERM", () => process.exit(0)); process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1000);',
      0,
    ],
  ])('%s', async (_, end, expectedCode) => {
    const child = start(`for (let n = 0; n < ${count}; n++) writer.write(line(n)); ${end}`);
    const { lines, code } = await readAll(child);
    expect(code).toBe(expectedCode);
    // A write that is under way when the process ends may come behind the others.
    expect(lines.toSorted()).toEqual(all);
  });
});

test('while nobody reads, the process goes on and memory is bounded; what was dropped is told', async () => {
  const child = start(`
    writer.onDropped = (lines) => { process.stderr.write('dropped ' + lines); };
    for (let n = 0; n < 60_000; n++) writer.write(line(n));
    setTimeout(() => process.stderr.write('alive '), 300);
    process.stdin.once('data', () => writer.flush(() => process.exit(0)));`);
  let told = '';
  child.stderr.on('data', (piece: Buffer) => (told += piece.toString()));
  child.stdout.pause();
  await expect.poll(() => told, { timeout: 9000 }).toContain('alive');
  const read = readAll(child);
  child.stdout.resume();
  child.stdin.write('read\n');
  const { lines } = await read;
  const dropped = Number(/dropped (?<lines>\d+)/u.exec(told)?.groups?.['lines']);
  expect(dropped).toBeGreaterThan(10_000);
  expect(lines).toHaveLength(60_000 - dropped);
  expect(lines).toEqual(lines.toSorted());
});

test('a full disk is not written to over and over; once it has room, what was dropped is told', async () => {
  const child = start(`
    const fs = await import('node:fs');
    const { write, writeSync } = fs;
    let attempts = 0;
    fs.default.write = (...given) => (attempts++, write(...given));
    fs.default.writeSync = (...given) => (attempts++, writeSync(...given));
    (await import('node:module')).syncBuiltinESMExports();
    const writeTo = (file) => {
      fs.closeSync(1);
      // What is opened has the number that has become free.
      if (fs.openSync(file, 'a') !== 1) throw new Error('not standard output');
    };
    writeTo('/dev/full');
    writer.onDropped = (lines) => writer.write('dropped ' + lines + '\\n', true);
    writer.write('one\\n', true);
    writer.write('two\\n', true);
    setTimeout(() => {
      process.stderr.write('attempts ' + attempts);
      writeTo(${JSON.stringify(file)});
      writer.write('three\\n', true);
    }, 300);`);
  let told = '';
  child.stderr.on('data', (piece: Buffer) => (told += piece.toString()));
  await readAll(child);
  expect(told).toMatch(/^attempts [1-3]$/u);
  expect(written()).toBe('three\ndropped 2\n');
});

test('when nobody will ever read again, nothing is kept and nothing fails', async () => {
  const child = start(`
    process.stdin.once('data', () => {
      for (let n = 0; n < 1000; n++) writer.write(line(n), true);
      writer.flush(() => { writer.write(line(0)); process.exit(7); });
    });`);
  child.stdout.destroy();
  child.stdin.write('go\n');
  const [code] = (await once(child, 'exit')) as [number | null];
  expect(code).toBe(7);
});

/** What it writes to its standard output, a pipe as a shell makes it; spawn makes sockets. */
function startIntoPipe(program: string) {
  const fifo = path.join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const reading = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writing = openSync(fifo, 'w');
  const child = spawn(process.execPath, [program], { stdio: ['ignore', writing, 'pipe'] });
  closeSync(writing);
  return { child, output: new Socket({ fd: reading }) };
}

function startIntoSocket(program: string) {
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'pipe'] });
  return { child, output: child.stdout };
}

function writeProgram(text: string): string {
  const program = path.join(folder, 'program.mjs');
  const writer = JSON.stringify(path.resolve('src/line-writer.ts'));
  writeFileSync(program, `import cluster from 'node:cluster';\nimport { standardOutput } from ${writer};\n${text}`);
  return program;
}

describe.each([
  ['pipe', startIntoPipe],
  ['socket', startIntoSocket],
])('into a %s', (_, startInto) => {
  const perProcess = 6000;
  test.each([
    ['a process', 1],
    ['several that share it', 3],
  ])('a reader that is merely slower gets every line of %s, whole and in order', async (_, processes) => {
    const { child, output } = startInto(
      writeProgram(`
        if (${processes} > 1 && cluster.isPrimary) for (let n = 0; n < ${processes}; n++) cluster.fork();
        else {
          const writer = standardOutput();
          let n = 0;
          const writeSome = () => {
            for (let more = 0; more < 300; more++, n++) {
              const line = (cluster.worker?.id ?? 1) + ' ' + String(n).padStart(100 + n % 300, '.') + '\\n';
              writer.write(line, n % 50 === 0);
            }
            // The end comes while what was written waits for the reader.
            if (n < ${perProcess}) setTimeout(writeSome, 1); else process.exit(0);
          };
          writeSome();
        }`),
    );
    const pieces: Buffer[] = [];
    for await (const piece of output) {
      pieces.push(piece as Buffer);
      await sleep(5);
    }
    expect(child.exitCode ?? (await once(child, 'exit'))[0]).toBe(0);
    const lines = Buffer.concat(pieces).toString().split('\n').slice(0, -1);
    for (let id = 1; id <= processes; id++) {
      const own = lines.filter((line) => line.startsWith(`${id} `));
      const sent = Array.from({ length: perProcess }, (_, n) => `${id} ${String(n).padStart(100 + (n % 300), '.')}`);
      expect(own.join('\n') === sent.join('\n')).toBe(true);
    }
    expect(lines).toHaveLength(processes * perProcess);
  });

  test.each([
    ['process.exit', 'process.exit(0)', 0],
    ['the end of the program', '', 0],
    ['an uncaught fault', 'throw new Error("unforeseen")', 1],
  ])('a reader that stands still does not keep the process from ending: %s', async (_, end, expectedCode) => {
    const { child, output } = startInto(
      writeProgram(`
        const writer = standardOutput();
        for (let n = 0; n < 5000; n++) writer.write('.'.repeat(300) + '\\n');
        // Time for a write to be under way.
        setTimeout(() => { ${end} }, 300);`),
    );
    const [code] = (await once(child, 'exit')) as [number];
    output.destroy();
    expect(code).toBe(expectedCode);
  });

  test('a reader that stands still costs no time of the processor', async () => {
    const { child, output } = startInto(
      writeProgram(`
        const writer = standardOutput();
        for (let n = 0; n < 5000; n++) writer.write('.'.repeat(300) + '\\n');
        setTimeout(() => {
          const before = process.cpuUsage();
          setTimeout(() => {
            const { user, system } = process.cpuUsage(before);
            process.stderr.write(String((user + system) / 1000));
          }, 1000);
        }, 300);`),
    );
    let told = '';
    child.stderr?.on('data', (piece: Buffer) => (told += piece.toString()));
    await once(child, 'exit');
    output.destroy();
    expect(Number(told)).toBeLessThan(200);
  });
});
