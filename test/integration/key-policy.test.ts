// Keys that a bucket gives to uploads or asks of them, over real HTTP and in real stores: made of claims, after a pattern, from a template.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import {
  driveMultipart,
  fieldsOf,
  outcomeOf,
  startPolicyBuckets,
  type PolicyBuckets,
  type Sender,
} from '../support/policy-buckets.ts';
import { createPolicyChecks, put } from '../support/policy-checks.ts';
import { elf, large, png } from '../support/typed-bodies.ts';

const mib = 1024 * 1024;
const parts = { multipart_threshold: 5 * mib, part_size: 5 * mib };

const buckets = {
  'by-sub': { upload: { ...parts, key_prefix: '{sub}/' } },
  'by-tenant': { upload: { key_prefix: 'in/{tenant.id}-x/' } },
  'by-nobody': { auth: { enabled: false }, upload: { key_prefix: '{sub}/' } },
  pattern: { upload: { key_prefix: '{sub}/', key_pattern: '[a-z]+/[a-z0-9]+\\.(?:png|jpg)' } },
  template: { upload: { ...parts, key_prefix: '{sub}/', key_template: '{yyyy}/{mm}/{dd}/{tenant.id}/{uuid}{ext}' } },
} as const;
type BucketName = keyof typeof buckets;

describe.each([
  ['MinIO', startMinio],
  ['a folder', undefined],
])('%s', (_, start) => {
  let proxied: PolicyBuckets;
  let alice: Sender;
  let aliceByKey: Sender;
  let bob: Sender;
  beforeAll(async () => {
    proxied = await startPolicyBuckets({ start, buckets });
    alice = proxied.asUser({ sub: 'alice', tenant: { id: 'acme' } });
    bob = proxied.asUser({ sub: 'bob', tenant: { id: 7 } });
    aliceByKey = proxied.asKeyOf('alice');
  });
  afterAll(() => proxied.stop());

  const { storedIn, seeRefused, seeRefusedByHead } = createPolicyChecks<BucketName>(() => proxied);

  describe('key_prefix', () => {
    test.each([
      ['a token', () => alice],
      ['a signature', () => aliceByKey],
    ])('is filled from %s, in one PUT, in parts, and in a multipart upload', async (how, sender) => {
      const send = sender();
      const stored = storedIn('by-sub');
      const key = `dir/${how} &.bin`;
      const path = `/by-sub/${encodeURIComponent(key).replaceAll('%2F', '/')}`;
      expect(outcomeOf(await put(send, path, png))).toBe('200');
      expect((await stored.read(`alice/${key}`)).bytes).toEqual(png);
      expect(outcomeOf(await put(send, path, large(elf)))).toBe('200');
      expect((await stored.read(`alice/${key}`)).bytes.equals(large(elf))).toBe(true);

      const multipart = driveMultipart(send, path);
      const created = fieldsOf(await multipart.create());
      expect(created).toMatchObject({ Bucket: 'by-sub', Key: key });
      const uploadId = created['UploadId'] ?? '';
      const part = await multipart.part(uploadId, 1, png);
      expect(outcomeOf(part)).toBe('200');
      expect(fieldsOf(await multipart.list(uploadId))).toMatchObject({ Key: key, UploadId: uploadId });
      const completed = await multipart.complete(uploadId, [[1, part.headers.etag]]);
      expect(fieldsOf(completed)).toMatchObject({ Key: key, Location: `${proxied.proxy.url}${path}` });
      expect(completed.body).not.toContain('alice');
      expect((await stored.read(`alice/${key}`)).bytes).toEqual(png);
      expect(await stored.openUploads()).toEqual([]);
    });

    test('of two users lies apart, also for a body of unknown length', async () => {
      expect(outcomeOf(await put(alice, '/by-tenant/same', [png]))).toBe('200');
      expect(outcomeOf(await put(bob, '/by-tenant/same', [elf]))).toBe('200');
      expect((await storedIn('by-tenant').keys()).toSorted()).toEqual(['in/7-x/same', 'in/acme-x/same']);
      const bobs = await driveMultipart(bob, '/by-sub/x').create();
      const stolen = driveMultipart(alice, '/by-sub/x');
      const uploadId = fieldsOf(bobs)['UploadId'] ?? '';
      expect(outcomeOf(await stolen.part(uploadId, 1, png))).toBe('404 NoSuchUpload');
      // MinIO says 204 of an upload that it does not know.
      await stolen.abort(uploadId);
      expect(outcomeOf(await driveMultipart(bob, '/by-sub/x').list(uploadId))).toBe('200');
      expect(outcomeOf(await driveMultipart(bob, '/by-sub/x').abort(uploadId))).toBe('204');
    });

    test.each([
      '',
      '.',
      '..',
      '../alice',
      'a/b',
      '/',
      'a\0b',
      'a\nb',
      'a\u0085b',
      '\ud800',
      null,
      true,
      ['a'],
      { a: 1 },
      1.5,
    ])('refuses the claim %j', async (id) => {
      const send = proxied.asUser({ tenant: { id } });
      await seeRefused('by-tenant', '403 AccessDenied', () => put(send, '/by-tenant/k', png));
      await seeRefused('by-tenant', '403 AccessDenied', () => driveMultipart(send, '/by-tenant/k').create());
    });

    test('refuses whoever has no such claim', async () => {
      await seeRefused('by-tenant', '403 AccessDenied', () => put(aliceByKey, '/by-tenant/k', png));
      await seeRefused('by-tenant', '403 AccessDenied', () => put(proxied.asUser({}), '/by-tenant/k', png));
      await seeRefused('by-nobody', '403 AccessDenied', () => put(proxied.asNobody, '/by-nobody/k', png));
      await seeRefusedByHead('/by-tenant/k', '403 AccessDenied', ['content-length: 1000000']);
    });

    test('counts for the longest key', async () => {
      const rest = 'k'.repeat(1024 - 'alice/'.length);
      // A file's name can be no longer than 255 bytes.
      const spread = rest.replaceAll(/.{200}/g, (run) => `${run.slice(1)}/`);
      expect(outcomeOf(await put(alice, `/by-sub/${spread}`, png))).toBe('200');
      await seeRefused('by-sub', '400 KeyTooLongError', () => put(alice, `/by-sub/${spread}k`, png));
      const longName = proxied.asUser({ sub: 's'.repeat(1025) });
      await seeRefused('by-sub', '400 KeyTooLongError', () => put(longName, '/by-sub/k', png));
    });
  });

  test('key_pattern is of the whole key', async () => {
    expect(outcomeOf(await put(alice, '/pattern/a1.png', png))).toBe('200');
    expect(outcomeOf(await put(aliceByKey, '/pattern/a2.jpg', png))).toBe('200');
    for (const key of ['a1.png.exe', 'b/a1.png', 'A1.png', 'a1.pngx', 'a1.png%0A']) {
      await seeRefused('pattern', '403 AccessDenied', () => put(alice, `/pattern/${key}`, png));
      await seeRefused('pattern', '403 AccessDenied', () => driveMultipart(alice, `/pattern/${key}`).create());
    }
    await seeRefusedByHead('/pattern/a1.exe', '403 AccessDenied', ['content-length: 1000000']);
  });

  describe('key_template', () => {
    const madeKey = /^\d{4}\/\d{2}\/\d{2}\/acme\/[0-9a-f-]{36}\.png$/;

    test('names what is PUT to the bucket', async () => {
      const answer = await put(alice, '/template/', png, { 'content-type': 'image/png; q=1' });
      expect(outcomeOf(answer)).toBe('200');
      const key = String(answer.headers['x-mizuchi-key']);
      expect(key).toMatch(madeKey);
      expect(answer.headers.location).toBe(`${proxied.proxy.url}/template/${key}`);
      expect((await storedIn('template').read(`alice/${key}`)).bytes).toEqual(png);
      const other = await put(alice, '/template/', png, { 'content-type': 'image/png' });
      expect(other.headers['x-mizuchi-key']).not.toBe(key);
      const unknown = await put(alice, '/template/', [large(png)]);
      expect(unknown.headers['x-mizuchi-key']).toMatch(/\/[0-9a-f-]{36}$/);
      const stored = await storedIn('template').read(`alice/${String(unknown.headers['x-mizuchi-key'])}`);
      expect(stored.bytes.equals(large(png))).toBe(true);
    });

    test('names a multipart upload, which goes on under that name', async () => {
      const created = await driveMultipart(alice, '/template/').create({ 'content-type': 'image/png' });
      const { Key: key = '', UploadId: uploadId = '' } = fieldsOf(created);
      expect(key).toMatch(madeKey);
      expect(created.headers).toMatchObject({
        'x-mizuchi-key': key,
        location: `${proxied.proxy.url}/template/${key}`,
      });
      const multipart = driveMultipart(alice, `/template/${key}`);
      const part = await multipart.part(uploadId, 1, png);
      expect(outcomeOf(await multipart.complete(uploadId, [[1, part.headers.etag]]))).toBe('200');
      expect((await storedIn('template').read(`alice/${key}`)).bytes).toEqual(png);
    });

    test('names nothing else', async () => {
      const send = (method: string, path: string, query?: string) => alice({ method, path, ...(query && { query }) });
      await seeRefused('template', '405 MethodNotAllowed', () => put(alice, '/template', png));
      for (const [method, query] of [
        ['POST', undefined],
        ['DELETE', undefined],
        ['GET', 'uploadId=x'],
        ['PUT', 'partNumber=1&uploadId=x'],
        ['POST', 'uploadId=x'],
        ['DELETE', 'uploadId=x'],
      ] as const) {
        await seeRefused('template', '405 MethodNotAllowed', () => send(method, '/template/', query));
      }
      await seeRefused('template', '501 NotImplemented', () => send('PUT', '/template/', 'policy='));
      await seeRefused('template', '403 AccessDenied', () => put(aliceByKey, '/template/', png));
      await seeRefused('by-sub', '405 MethodNotAllowed', () => put(alice, '/by-sub/', png));
      await seeRefused('by-sub', '405 MethodNotAllowed', () => driveMultipart(alice, '/by-sub/').create());
      expect((await proxied.asNobody({ method: 'HEAD', path: '/template/' })).status).toBe(401);
      expect((await alice({ method: 'HEAD', path: '/template/' })).status).toBe(200);
    });
  });
});
