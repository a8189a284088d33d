// The secret file of the embedded configuration.
import { execFile } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ConfigError } from '../../../src/config/config-error.ts';
import { readOrMakeSecret } from '../../../src/config/local-secret.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mizuchi-secret-'));
  path = join(folder, 'new', 'secret');
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(text: string, mode = 0o600): void {
  mkdirSync(join(folder, 'new'));
  writeFileSync(path, text);
  chmodSync(path, mode);
}

test('is made once, of 32 random bytes, for its owner alone', () => {
  const secret = readOrMakeSecret(path);
  expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder, 'new'))).toEqual(['secret']);
  expect(readOrMakeSecret(path)).toBe(secret);
  expect(readFileSync(path, 'utf8').trim()).toBe(secret);
  expect(readOrMakeSecret(join(folder, 'other'))).not.toBe(secret);
});

test('stays for its owner alone under any umask', () => {
  const umask = process.umask(0);
  try {
    readOrMakeSecret(path);
  } finally {
    process.umask(umask);
  }
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test.each([0o640, 0o604, 0o620, 0o601])('is not used when others may (mode %o)', (mode) => {
  write('Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya', mode);
  expect(() => readOrMakeSecret(path)).toThrow(ConfigError);
  expect(() => readOrMakeSecret(path)).toThrow('others than its owner may use the secret: chmod 600, or remove it');
});

const openedByMount = [0o660, 0o640, 0o610] as const;

test.each(openedByMount)(
  'that only its group may use (mode %o) is its owner’s alone again where that is allowed',
  (mode) => {
    write('Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya', mode);
    const said: string[] = [];
    const read = () => readOrMakeSecret(path, (sentence) => said.push(sentence));
    expect([read(), read()]).toEqual(Array(2).fill('Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya'));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(said).toEqual([
      `${path} was open to its group, as volumes with fsGroup are, and is now its owner's alone (mode 0600); remove it to have another made if somebody of the group may know it`,
    ]);
  },
);

test.each([0o604, 0o664, 0o661])('that everybody may use (mode %o) is refused there too', (mode) => {
  write('Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya', mode);
  const read = () => readOrMakeSecret(path, () => undefined);
  expect(read).toThrow('others than its owner may use the secret: chmod 600, or remove it');
  expect(statSync(path).mode & 0o777).toBe(mode);
});

test.each([
  ['', 'the secret must have at least 32 bytes; remove the file to have one made'],
  ['x'.repeat(40), 'again and again'],
  ['x'.repeat(5000), 'the file is too large for a secret'],
])('is not used when it is not fit', (text, message) => {
  write(text);
  expect(() => readOrMakeSecret(path)).toThrow(message);
  expect(readFileSync(path, 'utf8')).toBe(text);
});

test('is not looked for behind a link, nor in a folder', () => {
  write('Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya');
  symlinkSync(path, join(folder, 'link'));
  expect(() => readOrMakeSecret(join(folder, 'link'))).toThrow('the secret must not be a symbolic link');
  expect(() => readOrMakeSecret(folder)).toThrow('the secret must be a plain file');
  expect(() => readOrMakeSecret(join(path, 'below'))).toThrow('the secret cannot be read or made (ENOTDIR)');
});

test('is not used when it belongs to someone else', () => {
  readOrMakeSecret(path);
  const getuid = vi.spyOn(process, 'getuid').mockReturnValue(statSync(path).uid + 1);
  try {
    expect(() => readOrMakeSecret(path)).toThrow('the secret must belong to the user who starts the proxy');
    chmodSync(path, 0o660);
    expect(() => readOrMakeSecret(path, () => undefined)).toThrow('others than its owner may use the secret');
    expect(statSync(path).mode & 0o777).toBe(0o660);
  } finally {
    getuid.mockRestore();
  }
});

test('is one and the same for processes that start together', async () => {
  const module = new URL('../../../src/config/local-secret.ts', import.meta.url).href;
  const script = `import { readOrMakeSecret } from ${JSON.stringify(module)}; console.log(readOrMakeSecret(process.argv[1]));`;
  const starts = Array.from({ length: 4 }, () =>
    promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, path]),
  );
  const secrets = (await Promise.all(starts)).map(({ stdout }) => stdout.trim());
  expect(new Set(secrets).size).toBe(1);
  expect(readOrMakeSecret(path)).toBe(secrets[0]);
  expect(readdirSync(join(folder, 'new'))).toEqual(['secret']);
});
