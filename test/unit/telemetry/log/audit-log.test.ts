// The audit log's file: lines stay whole whatever was written before them, and each that is lost is counted and told of.
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Outcome } from '../../../../src/handle-request.ts';
import type { Log } from '../../../../src/log.ts';
import { createAuditLog, type AuditLog } from '../../../../src/telemetry/audit-log.ts';
import type { RequestFigures } from '../../../../src/telemetry/observer.ts';
import { createPrivacyRules, type PrivacyRules } from '../../../../src/telemetry/privacy.ts';

let folder: string;
let file: string;
beforeEach(() => {
  vi.useFakeTimers();
  folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-audit-'));
  file = path.join(folder, 'audit.log');
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

const plain = (text: string | undefined) => text;
const privacy = { tellKey: plain, tellPerson: plain, hash: () => '' } as unknown as PrivacyRules;
const onLost = vi.fn<() => void>();
const error = vi.fn<(fields: object, message: string) => void>();
beforeEach(() => {
  onLost.mockClear();
  error.mockClear();
});
const open = (destination: string): AuditLog =>
  createAuditLog({ destination, privacy, log: { error, info: () => undefined } as unknown as Log, onLost });
const write = (audit: AuditLog, key: string): void =>
  audit.write(
    { request: {}, operation: { name: 'PutObject' }, object: { bucket: 'b', key } } as unknown as Outcome,
    {} as RequestFigures,
  );
const fragment = '{"stream":"audit","key":"torn';
const keysOf = (text: string): unknown[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => (line === fragment ? 'torn' : (JSON.parse(line) as { key: string }).key));
const keysIn = (name: string): unknown[] => keysOf(readFileSync(name, 'utf8'));

test('no line is added to one that an earlier process could write in part only', () => {
  writeFileSync(file, fragment);
  const audit = open(file);
  for (const key of ['a', 'b']) write(audit, key);
  audit.close();
  expect(keysIn(file)).toEqual(['torn', 'a', 'b']);
});

test('nor in a file that it goes on in', () => {
  const audit = open(file);
  write(audit, 'a');
  renameSync(file, `${file}.1`);
  appendFileSync(file, fragment);
  audit.reopen();
  for (const key of ['b', 'c']) write(audit, key);
  audit.close();
  expect(keysIn(`${file}.1`)).toEqual(['a']);
  expect(keysIn(file)).toEqual(['torn', 'b', 'c']);
});

test('behind whole lines nothing is put in between', () => {
  for (const key of ['a', 'b']) {
    const audit = open(file);
    write(audit, key);
    audit.close();
  }
  expect(keysIn(file)).toEqual(['a', 'b']);
});

test('a line that one process could write in part only does not take with it what another writes next', () => {
  const audit = open(file);
  write(audit, 'a');
  const limit = statSync(file).size + 20;
  const script = `
    const { createAuditLog } = await import('${import.meta.resolve('../../../../src/telemetry/audit-log.ts')}');
    const plain = (text) => text;
    const privacy = { tellKey: plain, tellPerson: plain, hash: plain };
    const log = { info() {}, error: (fields) => console.log(fields.err.message) };
    const audit = createAuditLog({ destination: ${JSON.stringify(file)}, privacy, log, onLost() {} });
    audit.write({ request: {}, operation: { name: 'PutObject' }, object: { bucket: 'b', key: 'torn' } }, {});`;
  const node = [process.execPath, '--input-type=module', '--eval', script];
  const said = execFileSync('prlimit', [`--fsize=${limit}`, ...node], { encoding: 'utf8' });
  expect(said).toBe('only a part of the line was written\n');
  write(audit, 'b');
  audit.close();
  expect(keysIn(file)).toEqual(['a', 'b']);
});

test('each line that is lost is counted at once, and said of within a second', () => {
  const audit = open('/dev/full');
  for (const key of ['a', 'b', 'c']) write(audit, key);
  expect(onLost).toHaveBeenCalledTimes(3);
  const said = () => error.mock.calls.map(([fields]) => (fields as { lines: number }).lines);
  expect(said()).toEqual([1]);
  vi.advanceTimersByTime(1000);
  expect(said()).toEqual([1, 2]);
  write(audit, 'd');
  audit.close();
  expect(said()).toEqual([1, 2, 1]);
  expect(error.mock.lastCall?.[0]).toMatchObject({ file: '/dev/full', err: { code: 'ENOSPC' } });
});

test.each([
  ['plain', 'plain'],
  ['hashed', 'hashed'],
  ['off', 'off'],
  ['plain', 'hashed'],
  ['off', 'plain'],
] as const)('keys %s and subjects %s: what is written, and by whom', (keys, subjects) => {
  const logging = { level: 'info', format: 'json', slowUploadMs: 0, auditDestination: file } as const;
  const told = { logging: { ...logging, keys, subjects }, server: { stateDir: folder } };
  const rules = createPrivacyRules(told as unknown as Parameters<typeof createPrivacyRules>[0]);
  const log = { error } as unknown as Log;
  const audit = createAuditLog({ destination: file, privacy: rules, log, onLost });
  const principal = { kind: 'sigv4', subject: 'alice', accessKeyId: 'AKIDALICE' };
  audit.write(
    {
      request: { clientIp: '192.0.2.1' },
      operation: { name: 'PutObject' },
      object: { bucket: 'b', key: 'a/key' },
      principal,
    } as unknown as Outcome,
    { uploadId: 'upload-id' } as RequestFigures,
  );
  audit.close();
  const line = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  const shown = { plain: (text: string) => text, hashed: rules.hash, off: () => undefined };
  const { key, subject, accessKey, clientIp, upload } = line;
  expect(key).toBe(shown[keys]('a/key'));
  expect([subject, accessKey, clientIp]).toEqual(['alice', 'AKIDALICE', '192.0.2.1'].map(shown[subjects]));
  // Whoever knows it could go on with the upload.
  expect(upload).toBe(rules.hash('upload-id'));
  expect(upload).toMatch(/^[0-9a-f]{16}$/u);
});
