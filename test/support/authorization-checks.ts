// What tests of authorization send to a bucket, and how they see that nothing of what is refused has come there.
import { expect } from 'vitest';
import { outcomeOf, type AuthorizedBuckets, type Sender } from './authorized-bucket.ts';
import { fieldsOf } from './policy-buckets.ts';
import type { Answer } from './send-request.ts';

export const uploadIdOf = (answer: Answer): string => fieldsOf(answer)['UploadId'] ?? '';

/** @param now called in tests only: the buckets, and the key that the test is about. */
export function createAuthorizationChecks(now: () => { readonly buckets: AuthorizedBuckets; readonly key: string }) {
  const setRules = (rules: object): Promise<void> => now().buckets.opa.putData('/rules', rules);
  const put = (send: Sender, bucket: string, body: Buffer | Iterable<Buffer>, headers: Record<string, string> = {}) =>
    send({ method: 'PUT', path: `/${bucket}/${now().key}`, body, headers });

  /** Runs what must be refused, and sees that nothing has changed in the store. */
  async function seeRefused(run: () => Promise<Answer>, expected = '403 AccessDenied'): Promise<Answer> {
    const before = await now().buckets.look(now().key);
    const answer = await run();
    expect(outcomeOf(answer)).toBe(expected);
    await now().buckets.proxy.waitUntilIdle();
    expect(await now().buckets.look(now().key)).toEqual(before);
    return answer;
  }

  return { setRules, put, seeRefused };
}
