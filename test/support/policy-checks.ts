// What tests of upload policies send to a bucket, and how they see that nothing of what is refused has come there.
import { expect } from 'vitest';
import { outcomeOf, type PolicyBuckets, type Sender, type StoredView } from './policy-buckets.ts';
import { openRawConnection } from './raw-connection.ts';
import { createToken } from './start-proxy.ts';

export const put = (
  send: Sender,
  path: string,
  body: Buffer | Iterable<Buffer>,
  headers: Record<string, string> = {},
) => send({ method: 'PUT', path, body, headers });

/** @param proxied called in tests only, so that the buckets may be started after this. */
export function createPolicyChecks<BucketName extends string>(proxied: () => PolicyBuckets) {
  const storedIn = (name: BucketName): StoredView => {
    const view = proxied().storedIn.get(name);
    if (view === undefined) throw new Error(name);
    return view;
  };

  /** Runs what must be refused, and sees that nothing in the bucket has changed. */
  async function seeRefused(name: BucketName, expected: string, run: () => ReturnType<Sender>): Promise<void> {
    const stored = storedIn(name);
    const before = [await stored.keys(), await stored.openUploads()];
    const answer = await run();
    expect(outcomeOf(answer)).toBe(expected);
    await proxied().proxy.waitUntilIdle();
    expect([await stored.keys(), await stored.openUploads()]).toEqual(before);
  }

  /** Sees that the answer comes though nothing of the body does. */
  async function seeRefusedByHead(path: string, expected: string, fields: readonly string[], token?: string) {
    const connection = await openRawConnection(proxied().proxy.url);
    const bearer = token ?? (await createToken({ sub: 'alice' }));
    const lines = [`PUT ${path} HTTP/1.1`, 'host: x', `authorization: Bearer ${bearer}`, ...fields];
    await connection.write(`${lines.join('\r\n')}\r\n\r\n`);
    const answer = await connection.readAnswer();
    expect(outcomeOf({ ...answer, headers: {} })).toBe(expected);
    connection.destroy();
  }

  return { storedIn, seeRefused, seeRefusedByHead };
}
