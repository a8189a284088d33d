// Secrets of this machine, such as the embedded configuration's: made at first start, kept where only their owner reads them.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
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
const groupMask = 0o070;

/**
 * The secret in the file at `path`, which is made with 32 random bytes in base64url and mode 0600 if it is not there.
 * @param onClosed allows a file of this user's that its group may use: its mode is made 0600, and this is told a sentence.
 * @throws ConfigError when the file is not a plain one of this user's, others may read or write it, it holds no fit
 * secret, or it cannot be read or made.
 */
export function readOrMakeSecret(path: string, onClosed?: (sentence: string) => void): string {
  try {
    return readSecret(path, onClosed) ?? makeSecret(path);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    if (code === 'ELOOP') throw fault(path, 'the secret must not be a symbolic link');
    throw fault(path, `the secret cannot be read or made (${code})`);
  }
}

function readSecret(path: string, onClosed?: (sentence: string) => void): string | undefined {
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
    const isOwn = uid === process.getuid?.();
    const isClosable = onClosed !== undefined && isOwn && (mode & othersMask & ~groupMask) === 0;
    if ((mode & othersMask) !== 0 && !isClosable)
      throw fault(path, 'others than its owner may use the secret: chmod 600, or remove it');
    if (!isOwn) throw fault(path, 'the secret must belong to the user who starts the proxy');
    if (size > maxFileBytes) throw fault(path, 'the file is too large for a secret');
    const secret = readFileSync(file, 'utf8').trim();
    const secretFault = findSecretFault(secret);
    if (secretFault !== undefined) throw fault(path, `the secret ${secretFault}; remove the file to have one made`);
    if ((mode & groupMask) !== 0) {
      fchmodSync(file, 0o600);
      onClosed?.(
        `${path} was open to its group, as volumes with fsGroup are, and is now its owner's alone (mode 0600); remove it to have another made if somebody of the group may know it`,
      );
    }
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
