// What a bucket asks of uploads by itself, over real HTTP and in real stores: what is allowed arrives, of the rest nothing does.
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
import { createRandomBody } from '../support/random-body.ts';
import { presignS3Url } from '../support/sign-s3-request.ts';

const mib = 1024 * 1024;
const html = Buffer.from('<!doctype html><script>alert(1)</script>');
const aliceKey = { accessKey: 'AKIDALICE', secretKey: 'a-secret-key-of-alice-1234', region: 'us-east-1' };
const parts = { multipart_threshold: 5 * mib, part_size: 5 * mib };
const bytesOf = (seed: string, size: number): Buffer => createRandomBody(seed, size).bytes();

const buckets = {
  'by-sub': { upload: { ...parts, key_prefix: '{sub}/' } },
  types: { upload: { allowed_content_types: ['image/*', 'Application/PDF'] } },
  refusing: { upload: { ...parts, refused_headers: ['x-amz-object-lock-*', 'x-amz-storage-class', 'cache-control'] } },
  'any-type': { upload: { allowed_content_types: ['application/octet-stream'] } },
  sniff: { upload: { ...parts, sniff_content_type: true } },
  sizes: { upload: { ...parts, max_object_size: 11 * mib, min_object_size: 100 } },
  metadata: { upload: { required_metadata: ['Album', 'by'], forced_headers: { 'x-amz-meta-by': '{sub}' } } },
  forced: {
    upload: {
      ...parts,
      forced_headers: {
        'Content-Disposition': 'attachment',
        'cache-control': 'no-store',
        'x-amz-meta-uploaded-by': 'user:{sub}/{tenant.id}',
      },
    },
  },
  bound: { upload: { ...parts, bind_multipart_to_creator: true, key_prefix: 'shared/' } },
  local: { access: { allow_ips: ['127.0.0.0/8'], deny_ips: ['127.0.0.2'] } },
  elsewhere: { access: { allow_ips: ['10.0.0.0/8', '2001:db8::/32'], deny_ips: ['10.0.0.66'] } },
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
    proxied = await startPolicyBuckets({ start, buckets, server: { trusted_proxies: ['127.0.0.1'] } });
    alice = proxied.asUser({ sub: 'alice', tenant: { id: 'acme' } });
    bob = proxied.asUser({ sub: 'bob', tenant: { id: 7 } });
    aliceByKey = proxied.asKeyOf('alice');
  });
  afterAll(() => proxied.stop());

  const { storedIn, seeRefused, seeRefusedByHead } = createPolicyChecks<BucketName>(() => proxied);

  describe('addresses', () => {
    test('are let in by the list', async () => {
      expect(outcomeOf(await put(alice, '/local/a', png))).toBe('200');
      const through = { 'x-forwarded-for': '10.1.2.3' };
      expect(outcomeOf(await put(alice, '/elsewhere/a', png, through))).toBe('200');
      expect(outcomeOf(await put(alice, '/elsewhere/b', png, { 'x-forwarded-for': '2001:DB8::1' }))).toBe('200');
    });

    test.each([
      ['elsewhere', undefined],
      ['elsewhere', '10.0.0.66'],
      ['elsewhere', '11.0.0.1'],
      ['elsewhere', '2001:db9::1'],
      ['local', '127.0.0.2'],
      ['local', '10.0.0.1'],
    ] as const)('%s refuses %s before it asks for credentials', async (name, address) => {
      const headers: Record<string, string> = address === undefined ? {} : { 'x-forwarded-for': address };
      for (const send of [alice, aliceByKey, proxied.asNobody]) {
        await seeRefused(name, '403 AccessDenied', () => put(send, `/${name}/refused`, png, headers));
      }
      const ofBucket = await proxied.asNobody({ method: 'HEAD', path: `/${name}`, headers });
      expect(ofBucket.status).toBe(403);
    });
  });

  describe('allowed_content_types', () => {
    test.each(['image/png', 'IMAGE/svg+xml', 'application/pdf;v=1', 'image/png ; a="x, y"'])(
      '%s is one',
      async (type) => {
        for (const send of [alice, aliceByKey]) {
          expect(outcomeOf(await put(send, '/types/a', png, { 'content-type': type }))).toBe('200');
          const created = await driveMultipart(send, '/types/b').create({ 'content-type': type });
          expect(created.status).toBe(200);
          const { UploadId: uploadId = '' } = fieldsOf(created);
          expect(outcomeOf(await driveMultipart(send, '/types/b').part(uploadId, 1, png))).toBe('200');
          expect(outcomeOf(await driveMultipart(send, '/types/b').abort(uploadId))).toBe('204');
        }
      },
    );

    test.each([
      'text/html',
      'image',
      'image/',
      'image/png, text/html',
      'image/png;a, text/html',
      'imagex/png',
      undefined,
    ])('%s is none', async (type) => {
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
      for (const send of [alice, aliceByKey]) {
        await seeRefused('types', '415 UnsupportedMediaType', () => put(send, '/types/c', png, headers));
        await seeRefused('types', '415 UnsupportedMediaType', () => driveMultipart(send, '/types/c').create(headers));
      }
    });

    test('no type, or an empty one, is stored as what was allowed, whatever the key ends in', async () => {
      for (const headers of [{}, { 'content-type': '' }] as Record<string, string>[]) {
        for (const [key, body] of [
          ['a.html', html],
          ['b.html', [html]],
          ['c.html', large(html)],
        ] as const) {
          expect(outcomeOf(await put(alice, `/any-type/${key}`, body, headers))).toBe('200');
          const stored = await storedIn('any-type').read(key);
          expect(stored.headers.get('content-type')).toBe('application/octet-stream');
        }
      }
      expect(outcomeOf(await put(alice, '/by-sub/a.html', html, { 'content-type': '' }))).toBe('200');
      expect((await storedIn('by-sub').read('alice/a.html')).headers.get('content-type')).not.toBe('text/html');
    });

    test('nothing of the body is waited for', () =>
      seeRefusedByHead('/types/c', '415 UnsupportedMediaType', ['content-type: text/html', 'content-length: 1000000']));
  });

  describe('sniff_content_type', () => {
    test.each([
      ['image/png', png],
      ['image/png', large(png)],
      ['application/octet-stream', elf],
      ['text/plain', Buffer.from('The free software')],
      ['text/html', html],
      ['image/png', Buffer.alloc(0)],
    ])('%s', async (type, body) => {
      const headers = { 'content-type': type };
      expect(outcomeOf(await put(alice, '/sniff/a', body, headers))).toBe('200');
      expect(outcomeOf(await put(aliceByKey, '/sniff/a', body, headers))).toBe('200');
      const trickled = [...body.subarray(0, 1100)].map((byte) => Buffer.from([byte]));
      expect(outcomeOf(await put(alice, '/sniff/a', [...trickled, body.subarray(1100)], headers))).toBe('200');
      expect((await storedIn('sniff').read('a')).bytes.equals(body)).toBe(true);
    });

    test.each([
      ['image/png', elf],
      ['image/png', html],
      ['image/jpeg', png],
      ['text/html', png],
      ['image/png', large(elf)],
      ['image/png', Buffer.from('x')],
      ['application/pdf', large(html)],
    ])('%s it is not', async (type, body) => {
      const headers = { 'content-type': type };
      const expected = '415 UnsupportedMediaType';
      await seeRefused('sniff', expected, () => put(alice, '/sniff/b', body, headers));
      await seeRefused('sniff', expected, () => put(aliceByKey, '/sniff/b', body, headers));
      await seeRefused('sniff', expected, () => put(alice, '/sniff/b', [body], headers));
      const trickled = [...body.subarray(0, 1100)].map((byte) => Buffer.from([byte]));
      await seeRefused('sniff', expected, () => put(alice, '/sniff/b', [...trickled, body.subarray(1100)], headers));
    });

    test('an encoded body cannot be looked into', () =>
      seeRefused('sniff', '415 UnsupportedMediaType', () =>
        put(alice, '/sniff/b', png, { 'content-type': 'image/png', 'content-encoding': 'gzip' }),
      ));

    test('a multipart upload remembers what was declared', async () => {
      const multipart = driveMultipart(alice, '/sniff/multi');
      const { UploadId: uploadId = '' } = fieldsOf(await multipart.create({ 'content-type': 'image/png' }));
      expect(outcomeOf(await multipart.part(uploadId, 1, elf))).toBe('415 UnsupportedMediaType');
      expect(fieldsOf(await multipart.list(uploadId))['Part']).toBeUndefined();
      const second = await multipart.part(uploadId, 2, elf);
      expect(outcomeOf(second)).toBe('200');
      expect(outcomeOf(await multipart.complete(uploadId, [[2, second.headers.etag]]))).toBe('400 InvalidPart');
      const first = await multipart.part(uploadId, 1, large(png));
      const etags = [first, second].map(({ headers }, index) => [index + 1, headers.etag] as const);
      expect(outcomeOf(await multipart.complete(uploadId, etags))).toBe('200');
      expect((await storedIn('sniff').read('multi')).headers.get('content-type')).toBe('image/png');

      const free = fieldsOf(await multipart.create())['UploadId'] ?? '';
      const only = await multipart.part(free, 9, elf);
      expect(outcomeOf(await multipart.complete(free, [[9, only.headers.etag]]))).toBe('200');
      const forged = fieldsOf(await multipart.create({ 'content-type': 'image/png' }))['UploadId'] ?? '';
      const [backendId = '', , code = ''] = forged.split(/\.(?=[^.]*\.[^.]*$)|\.(?=[^.]*$)/);
      const unknown = Buffer.from('application/octet-stream').toString('base64url');
      for (const id of [backendId, `${backendId}.${unknown}.${code}`, `${backendId}..${code}`]) {
        expect(outcomeOf(await multipart.part(id, 1, elf))).toBe('404 NoSuchUpload');
      }
      expect(outcomeOf(await multipart.abort(forged))).toBe('204');
    });
  });

  describe('sizes', () => {
    const max = 11 * mib;

    test.each([100, 5 * mib + 1, max])('%i bytes are taken', async (size) => {
      const body = bytesOf(`size ${size}`, size);
      for (const [send, sent] of [
        [alice, body],
        [aliceByKey, body],
        [alice, [body]],
      ] as const) {
        expect(outcomeOf(await put(send, '/sizes/a', sent))).toBe('200');
        expect((await storedIn('sizes').read('a')).bytes.equals(body)).toBe(true);
      }
    });

    test.each([
      [0, '400 EntityTooSmall'],
      [99, '400 EntityTooSmall'],
      [max + 1, '413 EntityTooLarge'],
    ])('%i bytes are %s', async (size, expected) => {
      const body = bytesOf(`size ${size}`, size);
      await seeRefused('sizes', expected, () => put(alice, '/sizes/b', body));
      await seeRefused('sizes', expected, () => put(aliceByKey, '/sizes/b', body));
      await seeRefused('sizes', expected, () => put(alice, '/sizes/b', [body]));
      if (size > 0) await seeRefusedByHead('/sizes/b', expected, [`content-length: ${size}`]);
    });

    test.each([
      [[100], '200'],
      [[99], '400 EntityTooSmall'],
      [[5 * mib, 6 * mib], '200'],
      [[5 * mib, 6 * mib + 1], '413 EntityTooLarge'],
      [[5 * mib, 5 * mib, mib + 1], '413 EntityTooLarge'],
    ])('parts of %j bytes make %s', async (sizes, expected) => {
      const multipart = driveMultipart(sizes.length === 2 ? aliceByKey : alice, '/sizes/multi');
      const { UploadId: uploadId = '' } = fieldsOf(await multipart.create());
      const etags: [number, string | undefined][] = [];
      for (const [index, size] of sizes.entries()) {
        const part = await multipart.part(uploadId, index * 3 + 1, bytesOf(`part ${index}`, size));
        expect(outcomeOf(part)).toBe('200');
        etags.push([index * 3 + 1, part.headers.etag]);
      }
      const complete = () => multipart.complete(uploadId, etags);
      if (expected !== '200') {
        await seeRefused('sizes', expected, complete);
        expect(outcomeOf(await multipart.abort(uploadId))).toBe('204');
        return;
      }
      expect(outcomeOf(await complete())).toBe('200');
      // As after an answer that was lost.
      expect(outcomeOf(await complete())).toBe('200');
    });

    test('a part that is not there as it is named counts for nothing', async () => {
      const multipart = driveMultipart(alice, '/sizes/multi-2');
      const { UploadId: uploadId = '' } = fieldsOf(await multipart.create());
      const first = await multipart.part(uploadId, 1, bytesOf('a', 200));
      for (const etags of [
        [[1, '"d41d8cd98f00b204e9800998ecf8427e"']],
        [
          [1, first.headers.etag],
          [2, first.headers.etag],
        ],
      ] as const) {
        await seeRefused('sizes', '400 InvalidPart', () => multipart.complete(uploadId, etags));
      }
      expect(outcomeOf(await multipart.abort(uploadId))).toBe('204');
    });

    test('a part above it is refused itself', async () => {
      const multipart = driveMultipart(alice, '/sizes/multi-3');
      const { UploadId: uploadId = '' } = fieldsOf(await multipart.create());
      expect(outcomeOf(await multipart.part(uploadId, 1, Buffer.alloc(max + 1)))).toBe('413 EntityTooLarge');
      expect(outcomeOf(await multipart.abort(uploadId))).toBe('204');
    });
  });

  test('of a body in chunks the payload counts, not its framing', async () => {
    for (const mode of ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'] as const) {
      const send = proxied.asKeyOf('alice', mode);
      expect(outcomeOf(await put(send, '/sizes/framed', bytesOf('a', 100)))).toBe('200');
      expect(outcomeOf(await put(send, '/sizes/framed', bytesOf('a', 11 * mib)))).toBe('200');
      await seeRefused('sizes', '400 EntityTooSmall', () => put(send, '/sizes/framed', bytesOf('a', 99)));
      await seeRefused('sizes', '413 EntityTooLarge', () => put(send, '/sizes/framed', bytesOf('a', 11 * mib + 1)));
      const headers = { 'content-type': 'image/png' };
      expect(outcomeOf(await put(send, '/sniff/framed', large(png), headers))).toBe('200');
      await seeRefused('sniff', '415 UnsupportedMediaType', () => put(send, '/sniff/framed', large(elf), headers));
      await seeRefused('sniff', '415 UnsupportedMediaType', () => put(send, '/sniff/framed', elf, headers));
    }
  });

  test('required_metadata', async () => {
    const album = { 'x-amz-meta-album': 'summer' };
    for (const send of [alice, aliceByKey]) {
      expect(outcomeOf(await put(send, '/metadata/a', png, album))).toBe('200');
      const created = await driveMultipart(send, '/metadata/b').create(album);
      expect(created.status).toBe(200);
      const uploadId = fieldsOf(created)['UploadId'] ?? '';
      expect(outcomeOf(await driveMultipart(send, '/metadata/b').part(uploadId, 1, png))).toBe('200');
      expect(outcomeOf(await driveMultipart(send, '/metadata/b').abort(uploadId))).toBe('204');
      for (const headers of [{}, { 'x-amz-meta-album': '' }, { 'x-amz-meta-albums': 'x' }]) {
        await seeRefused('metadata', '400 InvalidRequest', () => put(send, '/metadata/c', png, headers));
        await seeRefused('metadata', '400 InvalidRequest', () => driveMultipart(send, '/metadata/c').create(headers));
      }
    }
    expect((await put(alice, '/metadata/c', png)).body).toContain('x-amz-meta-album');
    await seeRefusedByHead('/metadata/c', '400 InvalidRequest', ['content-length: 1000000']);
  });

  describe('refused_headers', () => {
    test.each([
      ['x-amz-object-lock-mode', 'GOVERNANCE'],
      ['x-amz-object-lock-legal-hold', 'ON'],
      ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
      ['cache-control', 'no-store'],
    ])('%s, in a header or a presigned URL', async (name, value) => {
      const { host } = new URL(proxied.proxy.url);
      const headers = { [name]: value };
      const runs = [alice, aliceByKey].flatMap((send) => [
        () => put(send, '/refusing/a', png, headers),
        () => put(send, '/refusing/a', [png], headers),
        () => driveMultipart(send, '/refusing/a').create(headers),
      ]);
      if (name.startsWith('x-amz-')) {
        const query = [`${name.replace('x-amz', 'X-Amz')}=${value}`];
        const url = presignS3Url({ credential: aliceKey, method: 'PUT', host, path: '/refusing/a', query });
        runs.push(() => put(proxied.asNobody, url, png));
      }
      for (const run of runs) {
        await seeRefused('refusing', '403 AccessDenied', run);
        expect((await run()).body).toContain(`the header ${name}.`);
      }
      await seeRefusedByHead('/refusing/a', '403 AccessDenied', [`${name}: ${value}`, 'content-length: 1000000']);
    });

    test('and no others', async () => {
      const headers = { 'content-language': 'de', 'x-amz-meta-cache-control': 'x' };
      for (const send of [alice, aliceByKey]) {
        expect(outcomeOf(await put(send, '/refusing/b', large(png), headers))).toBe('200');
        expect((await storedIn('refusing').read('b')).headers.get('x-amz-meta-cache-control')).toBe('x');
      }
    });
  });

  describe('forced_headers', () => {
    const claimed = {
      'x-amz-meta-uploaded-by': 'mallory',
      'content-disposition': 'inline',
      'x-amz-meta-own': 'kept',
      'content-type': 'image/png',
    };
    const expected = {
      'content-disposition': 'attachment',
      'cache-control': 'no-store',
      'x-amz-meta-uploaded-by': 'user:alice/acme',
      'x-amz-meta-own': 'kept',
      'content-type': 'image/png',
    };
    const fieldsOfObject = async (key: string) => {
      const { headers } = await storedIn('forced').read(key);
      return Object.fromEntries(Object.keys(expected).map((name) => [name, headers.get(name)]));
    };

    test('win over the client’s, in one PUT, in parts, and in a multipart upload', async () => {
      for (const [key, body] of [
        ['a', png],
        ['b', large(png)],
        ['c', [png]],
        ['d', [large(png)]],
      ] as const) {
        expect(outcomeOf(await put(alice, `/forced/${key}`, body, claimed))).toBe('200');
        expect(await fieldsOfObject(key)).toEqual(expected);
      }
      const multipart = driveMultipart(alice, '/forced/e');
      const { UploadId: uploadId = '' } = fieldsOf(await multipart.create(claimed));
      const part = await multipart.part(uploadId, 1, png);
      expect(outcomeOf(await multipart.complete(uploadId, [[1, part.headers.etag]]))).toBe('200');
      expect(await fieldsOfObject('e')).toEqual(expected);
    });

    test.each(['a\r\nx-amz-meta-admin: 1', 'müller', ' a', 'a ', '', 'a\tb', 'a\u007f'])(
      'refuse the claim %j',
      async (sub) => {
        const send = proxied.asUser({ sub, tenant: { id: 'acme' } });
        await seeRefused('forced', '403 AccessDenied', () => put(send, '/forced/f', png));
        await seeRefused('forced', '403 AccessDenied', () => driveMultipart(send, '/forced/f').create());
      },
    );

    test('refuse whoever has no such claim', async () => {
      await seeRefused('forced', '403 AccessDenied', () => put(aliceByKey, '/forced/f', png));
      await seeRefusedByHead('/forced/f', '403 AccessDenied', ['content-length: 1000000']);
    });
  });

  describe('bind_multipart_to_creator', () => {
    test('a multipart upload is its creator’s alone', async () => {
      const nobodyYet = await storedIn('bound').openUploads();
      expect(nobodyYet).toEqual([]);
      const others: readonly Sender[] = [
        bob,
        aliceByKey,
        proxied.asKeyOf('bob'),
        proxied.asUser({ sub: 'alice', iss: 'https://other.example' }),
        proxied.asUser({ sub: 'Alice' }),
      ];
      const mine = driveMultipart(alice, '/bound/x');
      const { UploadId: uploadId = '', Key: key } = fieldsOf(await mine.create());
      expect(key).toBe('x');
      const part = await mine.part(uploadId, 1, png);
      expect(outcomeOf(part)).toBe('200');
      const expected = '404 NoSuchUpload';
      for (const send of others) {
        const theirs = driveMultipart(send, '/bound/x');
        await seeRefused('bound', expected, () => theirs.part(uploadId, 1, elf));
        await seeRefused('bound', expected, () => theirs.list(uploadId));
        await seeRefused('bound', expected, () => theirs.complete(uploadId, [[1, part.headers.etag]]));
        await seeRefused('bound', expected, () => theirs.abort(uploadId));
      }
      const elsewhere = driveMultipart(alice, '/bound/y');
      await seeRefused('bound', expected, () => elsewhere.part(uploadId, 1, elf));
      const backendId = uploadId.slice(0, uploadId.lastIndexOf('.', uploadId.lastIndexOf('.') - 1));
      for (const id of [backendId, `${uploadId}x`, uploadId.slice(0, -1), `${backendId}..`, '..', '.', 'x.y.z']) {
        expect(outcomeOf(await mine.list(id))).toBe(expected);
      }
      expect(fieldsOf(await mine.list(uploadId))).toMatchObject({ UploadId: uploadId, Key: 'x' });
      expect(outcomeOf(await mine.complete(uploadId, [[1, part.headers.etag]]))).toBe('200');
      expect((await storedIn('bound').read('shared/x')).bytes).toEqual(png);
    });

    test('a key’s owner has theirs, and a token without sub none', async () => {
      const mine = driveMultipart(aliceByKey, '/bound/z');
      const { UploadId: uploadId = '' } = fieldsOf(await mine.create());
      expect(outcomeOf(await driveMultipart(alice, '/bound/z').abort(uploadId))).toBe('404 NoSuchUpload');
      expect(outcomeOf(await mine.abort(uploadId))).toBe('204');
      const nameless = proxied.asUser({ sub: undefined });
      await seeRefused('bound', '403 AccessDenied', () => driveMultipart(nameless, '/bound/z').create());
      expect(outcomeOf(await put(nameless, '/bound/z', large(png)))).toBe('200');
    });
  });
});
