// The signing secret of the embedded configuration: made at first start, kept where only its owner reads it.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { ConfigError } from './config-error.ts';
import { findSecretFault } from './find-secret-fault.ts';

const secretBytes = 32;
const maxFileBytes = 4096;
const othersMask = 0o077;

/**
 * The secret in the file at `path`, which is made with 32 random bytes in base64url and mode 0600 if it is not there.
 * @throws ConfigError when the file is not a plain one of this user's, others may read or write it, it holds no fit
 * secret, or it cannot be read or made.
 */
export function readOrMakeSecret(path: string): string {
  try {
    return readSecret(path) ?? makeSecret(path);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    if (code === 'ELOOP') throw fault(path, 'the secret must not be a symbolic link');
    throw fault(path, `the secret cannot be read or made (${code})`);
  }
}

function readSecret(path: string): string | undefined {
  let file: number;
  try {
    // A link could lead to a file that someone else has chosen; a pipe would block for ever.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    const { mode, uid, size } = fstatSync(file);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw fault(path, 'the secret must be a plain file');
    if ((mode & othersMask) !== 0)
      throw fault(path, 'others than its owner may use the secret: chmod 600, or remove it');
    if (uid !== process.getuid?.()) throw fault(path, 'the secret must belong to the user who starts the proxy');
    if (size > maxFileBytes) throw fault(path, 'the file is too large for a secret');
    const secret = readFileSync(file, 'utf8').trim();
    const secretFault = findSecretFault(secret);
    if (secretFault !== undefined) throw fault(path, `the secret ${secretFault}; remove the file to have one made`);
    return secret;
  } finally {
    closeSync(file);
  }
}

/** Whole or not there: it gets its name only when it is written, and never takes the name of another. */
function makeSecret(path: string): string {
  const secret = randomBytes(secretBytes).toString('base64url');
  const unnamed = `${path}.${randomBytes(6).toString('hex')}`;
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(unnamed, 'wx', 0o600);
  try {
    writeSync(file, `${secret}\n`);
    fsyncSync(file);
    linkSync(unnamed, path);
    return secret;
  } catch (error) {
    // Another process was first: its secret is the one that counts.
    const theirs = isCode(error, 'EEXIST') ? readSecret(path) : undefined;
    if (theirs === undefined) throw error;
    return theirs;
  } finally {
    closeSync(file);
    unlinkSync(unnamed);
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function fault(path: string, message: string): ConfigError {
  return new ConfigError(path, [{ path: '', message }]);
}
