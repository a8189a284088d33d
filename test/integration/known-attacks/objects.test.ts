// Attacks on objects by clients whose credentials are right: out of the bucket by dot segments, and over an object that is
// already there by requests that are no upload.
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answeredCode } from '../../support/answered-code.ts';
import {
  jwt,
  sigv4,
  startAttackedBuckets,
  ways,
  type AttackedBuckets,
  type BucketName,
  type Way,
} from '../../support/attacked-buckets.ts';
import type { BucketView } from '../../support/s3-client.ts';
import type { Answer } from '../../support/send-request.ts';

const precious = 'what lies there already';
const names: readonly BucketName[] = ['tokens', 'signed', 'mixed'];
let buckets: AttackedBuckets;
/** Open uploads of the key `other` in each bucket. */
const uploadIds = new Map<string, string>();

beforeAll(async () => {
  buckets = await startAttackedBuckets({
    more: (s3) => [
      { name: 'team-*', s3, auth: { jwt, sigv4 } },
      { name: 'files', filesystem: { root: './files/objects' }, auth: { jwt, sigv4 } },
      { name: 'files-*', filesystem: { root: './files/objects' }, auth: { jwt, sigv4 } },
    ],
  });
  for (const name of [...names, 'files']) {
    const credential = name === 'signed' ? 'header' : 'token';
    const created = await buckets.send(credential, { method: 'POST', path: `/${name}/other`, query: 'uploads' });
    uploadIds.set(name, /<UploadId>(?<id>[^<]+)</u.exec(created.body)?.groups?.['id'] ?? '');
  }
});
afterAll(() => buckets.stop());

beforeEach(async () => {
  const views = names.map((name) => buckets.stored[name]);
  await Promise.all(
    views.map(({ client, bucket }) =>
      client.send(new PutObjectCommand({ Bucket: bucket, Key: 'precious', Body: precious })),
    ),
  );
});

/** What was there before is as it was, and there is nothing else. */
afterEach(() => Promise.all(names.map((name) => seeUnchanged(buckets.stored[name]))));

async function seeUnchanged(stored: BucketView): Promise<void> {
  const [keys, bytes, uploads] = await Promise.all([
    stored.listKeys(),
    stored.readBytes('precious'),
    stored.listOpenUploads(),
  ]);
  expect([keys, String(bytes), uploads]).toEqual([['precious'], precious, ['other']]);
}

const idOf = (name: string): string => encodeURIComponent(uploadIds.get(name) ?? '');
const filesInFolder = async (): Promise<string[]> => {
  const entries = await readdir(buckets.proxy.folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return files.filter((file) => !file.startsWith(path.join(buckets.proxy.folder, 'state'))).toSorted();
};

/** Method and query of every call that has a body or an upload. */
const calls = (name: string, uploadId: string = idOf(name)): readonly (readonly [method: string, query: string])[] => [
  ['PUT', ''],
  ['POST', 'uploads'],
  ['PUT', `partNumber=1&uploadId=${uploadId}`],
  ['POST', `uploadId=${uploadId}`],
  ['DELETE', `uploadId=${uploadId}`],
  ['GET', `uploadId=${uploadId}`],
];
const completion =
  '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"d41d8cd98f00b204e9800998ecf8427e"</ETag></Part></CompleteMultipartUpload>';

describe('dot segments', () => {
  const wires: readonly string[] = [
    '..',
    '../x',
    'a/..',
    'a/../x',
    'a/../../store-of-signed/x',
    '../store-of-signed/x',
    '..%2fstore-of-signed%2fx',
    '%2e%2e/store-of-signed/x',
    '%2E%2E%2fstore-of-signed/x',
    '.%2e/store-of-signed/x',
    '%2e./x',
    'a%2f..%2f..%2fx',
    'a/%2e%2e%2f%2e%2e/x',
    '../../../../../../../../../../tmp/escaped',
    '..%2f..%2f..%2f..%2fstate%2fx',
    '.',
    './x',
    'a/./x',
    '%2e/precious',
    'a/../precious',
  ];

  test.each([...ways, { bucket: 'files', credential: 'token' }, { bucket: 'files', credential: 'header' }] as const)(
    'in keys of $bucket, by $credential: refused in every call, and nobody is asked',
    async ({ bucket, credential }) => {
      buckets.takeAsked();
      const before = await filesInFolder();
      for (const [method, query] of calls(bucket)) {
        const sent = wires.map((wire) =>
          buckets.send(credential, { method, path: `/${bucket}/${wire}`, query, body: 'escaped' }),
        );
        const codes = (await Promise.all(sent)).map(answeredCode);
        expect(codes.flatMap((code, at) => (code === 'InvalidURI' ? [] : [[code, wires[at]]]))).toEqual([]);
      }
      expect(buckets.takeAsked()).toEqual([]);
      expect(await filesInFolder()).toEqual(before);
    },
  );

  test.each([
    '/tokens%2fx',
    '/files%2Fx',
    '/tokens%2f..%2fsigned/x',
    '/tokens%2F%2E%2E%2Fsigned%2Fx',
    '/../signed/x',
    '/%2e%2e/signed/x',
    '/./signed/x',
    '//signed/x',
    '/..%2fstore-of-signed/x',
    '/team-a%2f..%2fstore-of-signed/x',
    '/team-%2e%2e/x',
    '/team-a%5c..%5cx/y',
    '/files-a%2f..%2f..%2fescaped/x',
    '/files-..%2fx/y',
  ])('where the bucket is named (%s): there is no such bucket', async (wire) => {
    buckets.takeAsked();
    const before = await filesInFolder();
    const sent = (['token', 'header', 'url'] as const).flatMap((credential) =>
      calls('mixed').map(([method, query]) => buckets.send(credential, { method, path: wire, query, body: 'escaped' })),
    );
    for (const answer of await Promise.all(sent)) {
      expect(['NoSuchBucket', 'InvalidURI', undefined]).toContain(answeredCode(answer));
      expect([400, 404]).toContain(answer.status);
    }
    expect(buckets.takeAsked()).toEqual([]);
    expect(await filesInFolder()).toEqual(before);
  });

  test.each([
    ['..%5cx', '..\\x'],
    ['..%5C..%5Cstore-of-signed%5Cx', '..\\..\\store-of-signed\\x'],
    ['..\\x', '..\\x'],
    ['%252e%252e%252fx', '%2e%2e%2fx'],
    ['..;/x', '..;/x'],
    ['.../x', '.../x'],
    ['..%c0%af..%c0%afx', undefined],
    ['..%00/x', undefined],
    ['%uff0e%uff0e/x', undefined],
  ])('what only looks like one (%s) is a name like any other, or refused', async (wire, key) => {
    const stored = buckets.stored.mixed;
    const answer = await buckets.send('token', { method: 'PUT', path: `/mixed/${wire}`, body: 'named' });
    if (answer.status === 200) {
      expect(new Set(await stored.listKeys())).toEqual(new Set([key, 'precious']));
      expect(String(await stored.readBytes(key ?? ''))).toBe('named');
      await stored.deleteObjects([key ?? '']);
    } else expect(answer.status).toBe(400);

    const before = await filesInFolder();
    const onDisk = await buckets.send('token', { method: 'PUT', path: `/files/${wire}`, body: 'named' });
    expect(onDisk.status).toBe(key === undefined ? 400 : 200);
    const added = (await filesInFolder()).filter((file) => !before.includes(file));
    const root = path.join(buckets.proxy.folder, 'files/objects/files/');
    expect(added.filter((file) => !file.startsWith(root))).toEqual([]);
  });

  test.each(['../../../x', '..%2f..%2f..%2fx', '%2e%2e', '.', '', '0'.repeat(32), '/etc', 'a%00b'])(
    'in an upload id (%s): there is no such upload',
    async (uploadId) => {
      const before = await filesInFolder();
      for (const bucket of ['files', 'mixed']) {
        for (const [method, query] of calls(bucket, uploadId).slice(2)) {
          const answer = await buckets.send('token', { method, path: `/${bucket}/other`, query, body: completion });
          // MinIO does not say which uploads it does not know when they are aborted, and takes no dots anywhere.
          const expected = bucket === 'files' ? [404] : method === 'DELETE' ? [204, 400, 404] : [400, 404];
          expect(expected).toContain(answer.status);
        }
      }
      expect(await filesInFolder()).toEqual(before);
    },
  );

  test('in an upload id that leads to an upload of the client’s own making: there is no such upload', async () => {
    const record = JSON.stringify({ key: 'other', headers: {} });
    const own = await buckets.send('token', { method: 'PUT', path: '/files/own/upload.json', body: record });
    expect(own.status).toBe(200);
    const before = await filesInFolder();
    for (const uploadId of ['..%2fown+', '..%2Fown%2B', '../own%2b', '%2e%2e%2fown%2b', './../own+']) {
      for (const [method, query] of calls('files', uploadId).slice(2)) {
        const answer = await buckets.send('token', { method, path: '/files/other', query, body: completion });
        expect([method, uploadId, answer.status]).toEqual([method, uploadId, 404]);
      }
    }
    expect(await filesInFolder()).toEqual(before);
  });
});

describe.each(ways)('nothing overwrites an object of $bucket, by $credential:', ({ bucket, credential }: Way) => {
  const attack = (method: string, query: string, headers: Record<string, string> = {}): Promise<Answer> =>
    buckets.send(credential, { method, path: `/${bucket}/precious`, query, headers, body: completion });

  /** Each is refused with one of the statuses. */
  async function seeRefused(
    attacks: readonly (readonly [method: string, query: string, headers?: Record<string, string>])[],
    ...statuses: readonly number[]
  ): Promise<void> {
    const answers = await Promise.all(attacks.map(([method, query, headers]) => attack(method, query, headers)));
    const others = answers.flatMap(({ status }, at) => (statuses.includes(status) ? [] : [[status, attacks[at]]]));
    expect(others).toEqual([]);
  }

  test('half of what a part needs', async () => {
    buckets.takeAsked();
    const queries = ['partNumber=1', 'uploadId=x', 'partNumber=&uploadId=x', 'partNumber=1&uploadId=x&uploadId=y'];
    const numbers = ['0', '-1', '10001', '1e1', '0x1', '1.0', '%2B1', '99999999999999999999'];
    queries.push(...numbers.map((number) => `partNumber=${number}&uploadId=x`), 'partNumber=1&partNumber=2&uploadId=x');
    await seeRefused(
      queries.map((query) => ['PUT', query]),
      400,
    );
    await seeRefused(
      [
        ['PUT', 'partNumber=1&uploadId='],
        ['PUT', 'partNumber=1&uploadId'],
        ['POST', 'uploadId='],
        ['DELETE', 'uploadId='],
      ],
      404,
    );
    expect(buckets.takeAsked()).toEqual([]);
  });

  test('an upload that is not there, is another key’s, or another bucket’s', async () => {
    const elsewhere = bucket === 'signed' ? 'mixed' : 'signed';
    for (const uploadId of ['none', idOf(bucket), idOf(elsewhere), idOf('files')]) {
      const uses = calls(bucket, uploadId).slice(2);
      await seeRefused(
        uses.filter(([method]) => method !== 'DELETE'),
        404,
      );
      await seeRefused([['DELETE', `uploadId=${uploadId}`]], 204, 404);
    }
  });

  test('other methods, and other uses of these', async () => {
    await seeRefused(
      [
        ['POST', ''],
        ['DELETE', ''],
        ['DELETE', 'versionId=null'],
        ['PUT', 'uploads'],
        ['DELETE', 'uploads'],
        ['PATCH', ''],
        ['COPY', ''],
      ],
      405,
    );
    await seeRefused(
      [
        ['PUT', 'versionId=null'],
        ['POST', 'uploadId=x&uploads'],
      ],
      400,
    );
  });

  test('sub-resources, known or not', async () => {
    const known =
      'acl tagging retention legal-hold restore torrent policy object-lock attributes select append renameObject';
    const queries = known.split(' ').flatMap((name) => [name, `${name}=`, `${name}=1`, `partNumber=1&${name}`]);
    queries.push('unknown', 'unknown=', 'ACL', 'Tagging=', '%61cl', 'x-id=PutObject&tagging', 'a=b&unknown');
    for (const method of ['PUT', 'POST', 'DELETE']) {
      await seeRefused(
        queries.map((query) => [method, query]),
        501,
      );
    }
  });

  const source = '/store-of-mixed/other';
  test('header fields that make an upload something else', async () => {
    const fields = [
      { 'x-amz-copy-source': source },
      { 'x-amz-copy-source': source, 'x-amz-copy-source-range': 'bytes=0-1' },
      { 'x-amz-copy-source': '' },
      { 'x-amz-rename-source': source },
      { 'x-amz-write-offset-bytes': '0' },
      { 'x-amz-acl': 'public-read' },
      { 'x-amz-grant-read': 'uri="http://acs.amazonaws.com/groups/global/AllUsers"' },
    ];
    for (const query of ['', `partNumber=1&uploadId=${idOf(bucket)}`]) {
      await seeRefused(
        fields.map((headers) => ['PUT', query, headers]),
        400,
        501,
      );
    }
  });

  test('the same fields in the query', async () => {
    const encoded = encodeURIComponent(source);
    const queries = [
      `x-amz-copy-source=${encoded}`,
      `X-Amz-Copy-Source=${encoded}`,
      `X-AMZ-COPY-SOURCE=${encoded}`,
      `x%2Damz-copy%2dsource=${encoded}`,
      'x-amz-copy-source',
      `x-amz-rename-source=${encoded}`,
      'X-Amz-Write-Offset-Bytes=0',
      'X-Amz-Acl=public-read',
      'x-amz-grant-read=id%3D1',
    ];
    for (const part of ['', `partNumber=1&uploadId=${idOf(bucket)}&`]) {
      await seeRefused(
        queries.map((query) => ['PUT', part + query]),
        400,
        501,
      );
    }
  });

  test('an archive that MinIO would unpack over it', async () => {
    const body = tarOf('precious', 'unpacked');
    const name = 'x-amz-meta-snowball-auto-extract';
    for (const value of ['true', 'xtruey', 'false']) {
      const inHeader = { path: `/${bucket}/archive.tar`, headers: { [name]: value }, body };
      const inQuery = { path: inHeader.path, query: `X-Amz-Meta-Snowball-Auto-Extract=${value}`, body };
      for (const request of [inHeader, inQuery]) {
        const answer = await buckets.send(credential, { method: 'PUT', ...request });
        expect([400, 501]).toContain(answer.status);
      }
    }
    await seeRefused(
      [name, 'x-amz-meta-minio-snowball-prefix', 'x-amz-meta-minio-object-perf', 'x-amz-meta-x-minio-internal-a'].map(
        (field) => ['POST', 'uploads', { [field]: 'true' }],
      ),
      501,
    );
  });
});

/** One file (POSIX.1-2017, pax, "ustar Interchange Format"). */
function tarOf(file: string, content: string): Buffer {
  const archive = Buffer.alloc(4 * 512);
  archive.write(file, 0);
  archive.write('0000644\0', 100);
  archive.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  archive.write('00000000000\0        0', 136);
  archive.write('ustar\u000000', 257);
  const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  archive.write(`${sum.toString(8).padStart(6, '0')}\0`, 148);
  archive.write(content, 512);
  return archive;
}
