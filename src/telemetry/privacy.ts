// How far keys and persons are told of in lines: as they are, as a keyed hash by which the same is known again, or not at all.
import { LRUCache } from 'lru-cache';
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import type { Config, Privacy } from '../config/config.ts';
import { readOrMakeSecret } from '../config/local-secret.ts';

type Tell = (text: string | undefined) => string | undefined;

export interface PrivacyRules {
  /** Of object keys. */
  readonly tellKey: Tell;
  /** Whether faults are told in our own words alone, as those of others and paths can hold keys. */
  readonly hidesDetails: boolean;
  /** Whether a policy's words are for debugging alone, as they may hold keys and names. */
  readonly hidesReasons: boolean;
  /** Of whatever says who: subjects, access keys, addresses. */
  readonly tellPerson: Tell;
  /** Of ids by which somebody could act: never as they are. */
  readonly hash: (text: string) => string;
}

const hashHexDigits = 16;
const maxRemembered = 10_000;
const maxRememberedChars = 256;
/** A key has at most as many bytes; a claim can be longer. */
const maxPlainChars = 1024;

/**
 * @param onClosed as of readOrMakeSecret, for the secret of the hashes.
 * @throws ConfigError when that can neither be read nor made.
 */
export function createPrivacyRules(
  { logging: { keys, subjects }, server: { stateDir } }: Pick<Config, 'logging' | 'server'>,
  onClosed?: (sentence: string) => void,
): PrivacyRules {
  const secret = readOrMakeSecret(join(stateDir, 'log-hash-secret'), onClosed);
  const hash = (text: string) => createHmac('sha256', secret).update(text).digest('hex').slice(0, hashHexDigits);
  return {
    tellKey: createTell(keys, hash),
    hidesDetails: keys !== 'plain',
    hidesReasons: keys !== 'plain' || subjects !== 'plain',
    tellPerson: createTell(subjects, rememberHashes(hash)),
    hash,
  };
}

function createTell(privacy: Privacy, hash: (text: string) => string): Tell {
  switch (privacy) {
    case 'plain':
      return (text) => (text === undefined || text.length <= maxPlainChars ? text : `${text.slice(0, maxPlainChars)}…`);
    case 'hashed':
      return (text) => (text === undefined ? undefined : hash(text));
    case 'off':
      return () => undefined;
  }
}

/** For what comes again and again. */
function rememberHashes(hash: (text: string) => string): (text: string) => string {
  const remembered = new LRUCache<string, string>({ max: maxRemembered });
  return (text) => {
    if (text.length > maxRememberedChars) return hash(text);
    const known = remembered.get(text);
    if (known !== undefined) return known;
    const hashed = hash(text);
    remembered.set(text, hashed);
    return hashed;
  };
}
