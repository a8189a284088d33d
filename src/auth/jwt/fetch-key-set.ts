// One fetch of an identity provider's JWK set (RFC 7517, section 5), and what must be so before its keys are believed.
import { createLocalJWKSet, errors, type JSONWebKeySet, type LocalJWKSet } from 'jose';
import type { CallTrace } from '../../call-trace.ts';
import type { KeySet } from './key-source.ts';
import { Fault } from '../../fault.ts';

/** A large provider's set has some ten keys and some ten KiB. */
const maxBytes = 1024 * 1024;

export interface FetchedKeySet extends KeySet {
  /** As it was received. */
  readonly text: string;
  /** Whether a token can be verified with one of its keys. */
  readonly isUsable: boolean;
}

export interface KeySetRequest {
  readonly url: string;
  /** For the whole answer. */
  readonly timeoutMs: number;
  /** `alg` values that tokens may have. */
  readonly algorithms: readonly string[];
  readonly trace?: CallTrace | undefined;
}

/**
 * A set is what the provider says, also when none of its keys is of use here: those that are no longer in it were taken back.
 * @param previous returned again when nothing has changed.
 * @throws Error for whatever goes wrong on the way, and for anything but a JWK set.
 */
export async function fetchKeySet(
  { url, timeoutMs, algorithms, trace }: KeySetRequest,
  previous?: FetchedKeySet,
): Promise<FetchedKeySet> {
  const response = await fetch(url, {
    // A redirect would let whoever can cause one choose the keys.
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
    headers: { accept: 'application/jwk-set+json, application/json', ...Object.fromEntries(trace?.fields ?? []) },
  });
  trace?.onAnswer?.({ status: response.status });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Fault(`the JWK set was answered with status ${response.status}`);
  }
  const text = await readText(response);
  if (text === previous?.text) return previous;
  const find = createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
  return { text, find, isUsable: await hasUsableKey(find, algorithms) };
}

async function readText(response: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    size += piece.length;
    if (size > maxBytes) throw new Fault(`the JWK set is longer than ${maxBytes} bytes`);
    pieces.push(piece);
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces));
}

async function hasUsableKey(find: LocalJWKSet, algorithms: readonly string[]): Promise<boolean> {
  for (const alg of algorithms) {
    try {
      await find({ alg });
      return true;
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) continue;
      // Those that cannot be imported are left out.
      for await (const _ of error) return true;
    }
  }
  return false;
}
