// The stored key is exactly the decoded one, or the request is refused; nothing is ever rewritten.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { startVersitygw } from '../servers/start-versitygw.ts';
import { prefix, startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { encodeKey } from '../support/send-request.ts';

/** Wire form and the key that it means. */
const keys: readonly (readonly [wire: string, key: string])[] = [
  ['two%20words%20%20two%20spaces', 'two words  two spaces'],
  ['%20leading%20and%20trailing%20', ' leading and trailing '],
  ['plus+plus', 'plus+plus'],
  ['plus%2Bencoded', 'plus+encoded'],
  ['slash%2Fencoded', 'slash/encoded'],
  ['percent%2541', 'percent%41'],
  ['hundred%25', 'hundred%'],
  ['nfc-%C3%A9', 'nfc-\u00e9'],
  ['nfd-e%CC%81', 'nfd-e\u0301'],
  ['lower-%c3%a9-hex', 'lower-\u00e9-hex'],
  ['emoji-%F0%9F%A6%88', 'emoji-🦈'],
  ["quotes-%22'%60%3C%3E%26", 'quotes-"\'`<>&'],
  ['marks-!*()_-.~$,;=:@', 'marks-!*()_-.~$,;=:@'],
  ['question%3Fhash%23', 'question?hash#'],
  ['back%5Cslash', 'back\\slash'],
  ['unencoded-[]{}|^', 'unencoded-[]{}|^'],
  ['dots/..a/.b/c../...', 'dots/..a/.b/c../...'],
  ['control-%01%1F%7F', 'control-\u0001\u001f\u007f'],
];
/** MinIO and a POSIX store do not take these at all: what they store must still never be another key. */
const keysThatStoresMayRefuse: readonly (readonly [wire: string, key: string])[] = [
  ['double//slash', 'double//slash'],
  ['/leading-slash', '/leading-slash'],
  ['trailing/', 'trailing/'],
  ['newline-%0A%0D', 'newline-\n\r'],
];

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('%s', (_, start) => {
  let bucket: ProxiedBucket;
  beforeAll(async () => {
    bucket = await startProxiedBucket({ start });
  });
  afterAll(() => bucket.stop());

  test.each(keys)('%s is stored as itself', async (wire, key) => {
    const answer = await bucket.send({ method: 'PUT', path: `${prefix}/${wire}`, body: `body of ${wire}` });
    expect(answer).toMatchObject({ status: 200, body: '' });
    expect((await bucket.stored.readBytes(key)).toString()).toBe(`body of ${wire}`);
  });

  test('a key of 1,024 bytes is stored; one of 1,025 is refused', async () => {
    // Segments of 200, because a POSIX store has names of at most 255 bytes.
    const key = `${'é'.repeat(100)}/`.repeat(5) + 'x'.repeat(19);
    expect(Buffer.byteLength(key)).toBe(1024);
    expect(await bucket.put(key, 'long')).toMatchObject({ status: 200, body: '' });
    expect((await bucket.stored.readBytes(key)).toString()).toBe('long');
    const before = await bucket.stored.listKeys();
    const refused = await bucket.put(`${key}x`, 'too long');
    expect(refused.status).toBe(400);
    expect(refused.body).toContain('<Code>KeyTooLongError</Code>');
    expect(await bucket.stored.listKeys()).toEqual(before);
  });

  test.each(keysThatStoresMayRefuse)('%s is stored as itself or refused', async (wire, key) => {
    const before = await bucket.stored.listKeys();
    const answer = await bucket.send({ method: 'PUT', path: `${prefix}/${wire}`, body: 'body' });
    if (answer.status === 200) {
      expect((await bucket.stored.readBytes(key)).toString()).toBe('body');
      return;
    }
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(answer.body).toMatch(/^<\?xml [^>]*>\s*<Error><Code>\w+<\/Code>/u);
    expect(await bucket.stored.listKeys()).toEqual(before);
  });

  test.each([
    ['%00', 'NUL'],
    ['a%00b', 'NUL within'],
    ['a%', 'an escape cut short'],
    ['a%4', 'an escape of one digit'],
    ['a%zz', 'an escape of other letters'],
    ['%ff', 'no UTF-8'],
    ['%C3', 'UTF-8 cut short'],
    ['%ED%A0%80', 'a lone surrogate'],
    ['%C0%AE', 'overlong UTF-8'],
    ['.', 'a dot segment'],
    ['..', 'two dots'],
    ['a/../b', 'two dots within'],
    ['a/./b', 'a dot within'],
    ['%2e%2e/b', 'encoded dots'],
    ['a%2F..%2Fb', 'dots between encoded slashes'],
    ['a/..', 'two dots at the end'],
  ])('%s (%s) is refused and nothing is stored', async (wire) => {
    const before = await bucket.stored.listKeys();
    const answer = await bucket.send({ method: 'PUT', path: `${prefix}/${wire}`, body: 'body' });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatch(/<Code>Invalid(URI|Argument|Request)<\/Code>/u);
    expect(answer.headers['x-amz-request-id']).toBeTruthy();
    expect(await bucket.stored.listKeys()).toEqual(before);
  });

  test('a multipart upload of the proxy stores the same key', async () => {
    const key = 'multi part+%/é🦈';
    const body = Buffer.alloc(51 * 1024 * 1024, 7);
    expect(await bucket.put(key, body)).toMatchObject({ status: 200, body: '' });
    expect((await bucket.stored.head(key)).ContentLength).toBe(body.length);
    expect(encodeKey(key)).toBe('multi%20part%2B%25/%C3%A9%F0%9F%A6%88');
  });
});
