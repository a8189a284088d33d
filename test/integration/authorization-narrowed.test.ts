// What a real OPA allows with conditions, over real HTTP and in a real store: what keeps to them arrives, of the rest nothing does.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  driveMultipart,
  outcomeOf,
  startAuthorizedBuckets,
  type AuthorizedBuckets,
  type Sender,
} from '../support/authorized-bucket.ts';
import { createAuthorizationChecks, uploadIdOf } from '../support/authorization-checks.ts';
import { createRandomBody } from '../support/random-body.ts';
import { openRawConnection } from '../support/raw-connection.ts';
import { createToken } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const MiB = 1024 * 1024;
const policy = `package mizuchi

narrowed := {"allow": true, "reason": "narrowed", "key_prefix": data.rules.prefix} if {
	data.rules.prefix
} else := {"allow": true, "max_object_size": data.rules.size} if {
	data.rules.size
} else := {"allow": true, "allowed_content_types": data.rules.types} if {
	data.rules.types
}

wrong := {"allow": true, "max_object_size": "10MiB"}
`;
const uncached = { cache_ttl_seconds: 0, timeout_seconds: 2 };
const parts = { multipart_threshold: 5 * MiB, part_size: 5 * MiB };

let buckets: AuthorizedBuckets;
let tester: Sender;
let key: string;
let keyCount = 0;
beforeAll(async () => {
  buckets = await startAuthorizedBuckets({
    policy,
    buckets: {
      narrowed: { opa: { ...uncached, policy_path: '/mizuchi/narrowed' }, upload: parts },
      wrong: { opa: { ...uncached, policy_path: '/v1/data/mizuchi/wrong/' } },
      undefined: { opa: { ...uncached, policy_path: '/v1/data/mizuchi/nothing' } },
    },
  });
  tester = buckets.as();
}, 180_000);
afterAll(() => buckets.stop());
beforeEach(() => {
  keyCount += 1;
  key = `folder/object-${keyCount}`;
});

const { setRules, put, seeRefused } = createAuthorizationChecks(() => ({ buckets, key }));

describe('a policy that narrows', () => {
  const bytes = (size: number): Buffer => createRandomBody(`${key}${size}`, size).bytes();

  test('the key must begin with its prefix', async () => {
    await setRules({ prefix: 'folder/' });
    expect(outcomeOf(await put(tester, 'narrowed', Buffer.from('x')))).toBe('200');
    await setRules({ prefix: 'folder/object-x' });
    await seeRefused(() => put(tester, 'narrowed', Buffer.from('y')));
    const upload = driveMultipart(tester, `/narrowed/${key}`);
    await seeRefused(() => upload.create());
    await seeRefused(() => upload.abort('x'));
  });

  test.each([
    ['known length', (size: number) => bytes(size)],
    ['unknown length', (size: number) => [bytes(size)]],
  ])('an object is no larger: %s', async (_, bodyOf) => {
    await setRules({ size: 1000 });
    expect(outcomeOf(await put(tester, 'narrowed', bodyOf(1000)))).toBe('200');
    await seeRefused(() => put(tester, 'narrowed', bodyOf(1001)), '413 EntityTooLarge');
    await setRules({ size: 11 * MiB });
    await seeRefused(() => put(tester, 'narrowed', bodyOf(11 * MiB + 1)), '413 EntityTooLarge');
  });

  test('a length that was announced is refused at once', async () => {
    await setRules({ size: 1000 });
    const connection = await openRawConnection(buckets.proxy.url);
    const fields = ['host: x', `authorization: Bearer ${await createToken()}`, 'content-length: 1001'];
    await connection.write(`PUT /narrowed/${key} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
    expect(outcomeOf({ ...(await connection.readAnswer()), headers: {} })).toBe('413 EntityTooLarge');
    connection.destroy();
  });

  test('nor is one of parts that the client has cut', async () => {
    await setRules({ size: 11 * MiB });
    const upload = driveMultipart(tester, `/narrowed/${key}`);
    const uploadId = uploadIdOf(await upload.create());
    await seeRefused(() => upload.part(uploadId, 1, bytes(11 * MiB + 1)), '413 EntityTooLarge');
    const etags: (readonly [number, string | undefined])[] = [];
    for (const number of [1, 2, 3]) {
      const { headers } = await upload.part(uploadId, number, bytes(number < 3 ? 5 * MiB : MiB + 1));
      etags.push([number, headers.etag]);
    }
    await seeRefused(() => upload.complete(uploadId, etags), '413 EntityTooLarge');
    expect(outcomeOf(await upload.complete(uploadId, etags.slice(0, 2)))).toBe('200');
  });

  test('an object is of one of its types', async () => {
    await setRules({ types: ['image/*', 'Text/Plain'] });
    for (const type of ['image/png', 'TEXT/plain; charset=utf-8']) {
      expect(outcomeOf(await put(tester, 'narrowed', Buffer.from('x'), { 'content-type': type }))).toBe('200');
    }
    const upload = driveMultipart(tester, `/narrowed/${key}`);
    for (const type of ['text/html', 'image', 'image/png, text/html', '']) {
      await seeRefused(
        () => put(tester, 'narrowed', Buffer.from('y'), { 'content-type': type }),
        '415 UnsupportedMediaType',
      );
      await seeRefused(() => upload.create({ 'content-type': type }), '415 UnsupportedMediaType');
    }
    const uploadId = uploadIdOf(await upload.create({ 'content-type': 'image/gif' }));
    const { etag } = (await upload.part(uploadId, 1, Buffer.from('a part'))).headers;
    expect(outcomeOf(await upload.complete(uploadId, [[1, etag]]))).toBe('200');
    await setRules({ types: [] });
    await seeRefused(() => put(tester, 'narrowed', Buffer.from('y')), '415 UnsupportedMediaType');
  });

  test('no type, or an empty one, is stored as what was allowed, whatever the key ends in', async () => {
    await setRules({ types: ['application/octet-stream'] });
    for (const headers of [{}, { 'content-type': '' }] as Record<string, string>[]) {
      const path = `/narrowed/${key}.html`;
      expect(outcomeOf(await tester({ method: 'PUT', path, body: Buffer.from('<p>'), headers }))).toBe('200');
      expect((await buckets.stored.head(`${key}.html`)).ContentType).toBe('application/octet-stream');
      const upload = driveMultipart(tester, path);
      const uploadId = uploadIdOf(await upload.create(headers));
      const { etag } = (await upload.part(uploadId, 1, Buffer.from('<p>'))).headers;
      expect(outcomeOf(await upload.complete(uploadId, [[1, etag]]))).toBe('200');
      expect((await buckets.stored.head(`${key}.html`)).ContentType).toBe('application/octet-stream');
    }
  });

  test('an obligation of the wrong type allows nothing, and its fault is for the log', async () => {
    const answer = await seeRefused(() => put(tester, 'wrong', Buffer.from('x')), '503 ServiceUnavailable');
    expect(answer.body).not.toMatch(/OPA|max_object_size/i);
    await waitFor(async () => buckets.proxy.logs().includes('OPA’s max_object_size is not of its type'));
  });

  test('a rule that is undefined refuses', async () => {
    await seeRefused(() => put(tester, 'undefined', Buffer.from('x')));
  });
});
