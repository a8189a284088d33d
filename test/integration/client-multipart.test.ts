// A client drives a multipart upload itself, over plain HTTP with a bearer token.
import { XMLParser } from 'fast-xml-parser';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { startVersitygw } from '../servers/start-versitygw.ts';
import { prefix, startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomBody } from '../support/random-body.ts';
import { encodeKey, type Answer } from '../support/send-request.ts';

const MiB = 1024 * 1024;
const s3Namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';

interface ListedPart {
  readonly PartNumber: string;
  readonly ETag: string;
  readonly Size: string;
}
interface Result {
  readonly [field: string]: string | undefined;
}

const parser = new XMLParser({ parseTagValue: false, ignoreAttributes: false, isArray: (name) => name === 'Part' });

function parseResult(answer: Answer, root: string): Result & { readonly Part?: readonly ListedPart[] } {
  const document = parser.parse(answer.body);
  expect(Object.keys(document).filter((name) => name !== '?xml')).toEqual([root]);
  expect(document[root]['@_xmlns']).toBe(s3Namespace);
  return document[root];
}

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('%s', (_, start) => {
  let bucket: ProxiedBucket;
  beforeAll(async () => {
    bucket = await startProxiedBucket({ start });
  });
  afterAll(() => bucket.stop());

  const at = (key: string, query: string): string => `${prefix}/${encodeKey(key)}?${query}`;
  const createUpload = async (key: string, headers: Record<string, string> = {}): Promise<string> => {
    const answer = await bucket.send({ method: 'POST', path: at(key, 'uploads'), headers });
    expect(answer).toMatchObject({ status: 200 });
    const result = parseResult(answer, 'InitiateMultipartUploadResult');
    expect(result).toMatchObject({ Bucket: 'uploads', Key: key });
    return result['UploadId'] ?? '';
  };
  const uploadPart = async (key: string, uploadId: string, part: { number: number; body: Buffer }): Promise<string> => {
    const query = `partNumber=${part.number}&uploadId=${encodeURIComponent(uploadId)}`;
    const answer = await bucket.send({ method: 'PUT', path: at(key, query), body: part.body });
    expect(answer).toMatchObject({ status: 200, body: '' });
    expect(answer.headers.etag).toBe(`"${createHash('md5').update(part.body).digest('hex')}"`);
    return answer.headers.etag ?? '';
  };
  const complete = (key: string, uploadId: string, etags: readonly (readonly [number, string])[]): Promise<Answer> => {
    const parts = etags.map(([number, etag]) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`);
    const body = `<CompleteMultipartUpload xmlns="${s3Namespace}">${parts.join('')}</CompleteMultipartUpload>`;
    return bucket.send({ method: 'POST', path: at(key, `uploadId=${encodeURIComponent(uploadId)}`), body });
  };
  const listParts = async (key: string, uploadId: string, more = '') => {
    const path = at(key, `uploadId=${encodeURIComponent(uploadId)}${more}`);
    return parseResult(await bucket.send({ method: 'GET', path }), 'ListPartsResult');
  };

  test('Create, UploadPart, ListParts, Complete', async () => {
    const key = 'a dir/multi & part.bin';
    const bodies = [5 * MiB, 6 * MiB, 123].map((size, index) => createRandomBody(`part ${index}`, size).bytes());
    const uploadId = await createUpload(key, { 'content-type': 'video/x-test', 'x-amz-meta-from': 'client' });
    const etags = new Map<number, string>();
    // Out of order, with a gap in the numbers, and one part sent twice: all allowed (S3 User Guide, "Multipart upload").
    const numbers = [7, 1, 3] as const;
    const byNumber = new Map<number, Buffer | undefined>([
      [1, bodies[0]],
      [3, bodies[1]],
      [7, bodies[2]],
    ]);
    const sendPart = async (number: number): Promise<void> => {
      etags.set(number, await uploadPart(key, uploadId, { number, body: byNumber.get(number) ?? Buffer.alloc(0) }));
    };
    await Promise.all(numbers.map(sendPart));
    await sendPart(3);
    expect(await bucket.stored.listKeys('a dir/')).toEqual([]);

    const all = await listParts(key, uploadId);
    expect(all).toMatchObject({ Bucket: 'uploads', Key: key, UploadId: uploadId, IsTruncated: 'false' });
    expect(all.Part?.map((part) => [part.PartNumber, part.Size])).toEqual([
      ['1', String(5 * MiB)],
      ['3', String(6 * MiB)],
      ['7', '123'],
    ]);
    expect(all.Part?.map((part) => part.ETag)).toEqual([etags.get(1), etags.get(3), etags.get(7)]);
    const first = await listParts(key, uploadId, '&max-parts=2');
    expect(first).toMatchObject({ IsTruncated: 'true', MaxParts: '2', NextPartNumberMarker: '3' });
    expect(first.Part?.map((part) => part.PartNumber)).toEqual(['1', '3']);
    const rest = await listParts(key, uploadId, '&max-parts=2&part-number-marker=3');
    expect(rest).toMatchObject({ IsTruncated: 'false', PartNumberMarker: '3' });
    expect(rest.Part?.map((part) => part.PartNumber)).toEqual(['7']);

    const answer = await complete(
      key,
      uploadId,
      [...etags].toSorted(([a], [b]) => a - b),
    );
    expect(answer.status).toBe(200);
    const result = parseResult(answer, 'CompleteMultipartUploadResult');
    expect(result).toMatchObject({ Bucket: 'uploads', Key: key, ETag: (await bucket.stored.head(key)).ETag });
    expect(result['Location']).toBe(`${bucket.proxy.url}${prefix}/${encodeKey(key)}`);
    expect(answer.body).not.toContain(bucket.stored.bucket);
    expect(answer.body).not.toContain(String(bucket.server.port));
    expect((await bucket.stored.readBytes(key)).equals(Buffer.concat(bodies))).toBe(true);
    expect(await bucket.stored.head(key)).toMatchObject({ ContentType: 'video/x-test', Metadata: { from: 'client' } });
    expect(await bucket.stored.listOpenUploads()).toEqual([]);
  });

  test('Abort takes all of it away; afterwards there is no such upload', async () => {
    const key = 'to-abort';
    const uploadId = await createUpload(key);
    await uploadPart(key, uploadId, { number: 1, body: Buffer.alloc(1000, 1) });
    expect(await bucket.stored.listOpenUploads(key)).toEqual([key]);
    const path = at(key, `uploadId=${encodeURIComponent(uploadId)}`);
    expect(await bucket.send({ method: 'DELETE', path })).toMatchObject({ status: 204, body: '' });
    expect(await bucket.stored.listOpenUploads(key)).toEqual([]);
    expect(await bucket.stored.listKeys(key)).toEqual([]);
    const refusals = await Promise.all([
      bucket.send({ method: 'GET', path }),
      bucket.send({ method: 'PUT', path: `${path}&partNumber=1`, body: 'late' }),
      complete(key, uploadId, [[1, '"d41d8cd98f00b204e9800998ecf8427e"']]),
    ]);
    for (const refusal of refusals) {
      expect(refusal.status).toBe(404);
      expect(refusal.body).toContain('<Code>NoSuchUpload</Code>');
    }
  });

  test('Complete refuses wrong parts, and the upload stays open', async () => {
    const key = 'wrong-parts';
    const uploadId = await createUpload(key);
    const small = await uploadPart(key, uploadId, { number: 1, body: Buffer.alloc(1000, 1) });
    const last = await uploadPart(key, uploadId, { number: 2, body: Buffer.alloc(1000, 2) });
    const cases = [
      { parts: [[1, '"00000000000000000000000000000000"']], code: 'InvalidPart' },
      { parts: [[9, small]], code: 'InvalidPart' },
      {
        parts: [
          [2, last],
          [1, small],
        ],
        code: 'InvalidPartOrder',
      },
      {
        parts: [
          [1, small],
          [2, last],
        ],
        code: 'EntityTooSmall',
      },
      { parts: [], code: 'MalformedXML' },
    ] as const;
    // One after another: a store that is completing an upload may refuse a second Complete for that alone.
    const answers: Answer[] = [];
    for (const { parts } of cases) answers.push(await complete(key, uploadId, parts));
    expect(answers.map(({ status, body }) => [status, /<Code>(?<code>\w+)/u.exec(body)?.groups?.['code']])).toEqual(
      cases.map(({ code }) => [400, code]),
    );
    expect(await bucket.stored.listKeys(key)).toEqual([]);
    expect((await complete(key, uploadId, [[1, small]])).status).toBe(200);
    expect((await bucket.stored.readBytes(key)).equals(Buffer.alloc(1000, 1))).toBe(true);
  });

  test.each([
    ['not XML', 'InvalidXml'],
    ['another document', '<Delete><Object><Key>a</Key></Object></Delete>'],
    ['a document that never ends', '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>'],
    ['a part without a number', '<CompleteMultipartUpload><Part><ETag>"a"</ETag></Part></CompleteMultipartUpload>'],
    [
      'a document type with entities',
      '<!DOCTYPE a [<!ENTITY b "c">]><CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&b;</ETag></Part></CompleteMultipartUpload>',
    ],
    ['nothing', ''],
  ])('Complete refuses %s as MalformedXML', async (_name, body) => {
    const key = 'malformed';
    const uploadId = await createUpload(key);
    const path = at(key, `uploadId=${encodeURIComponent(uploadId)}`);
    const answer = await bucket.send({ method: 'POST', path, body });
    expect(answer.status).toBe(400);
    expect(answer.body).toContain('<Code>MalformedXML</Code>');
    expect((await bucket.send({ method: 'DELETE', path })).status).toBe(204);
  });

  test.each(['0', '10001', '-1', '1.5', 'x', '', '1&partNumber=2'])('part number %j is refused', async (number) => {
    const key = 'bad-number';
    const path = at(key, `partNumber=${number}&uploadId=some-id`);
    const answer = await bucket.send({ method: 'PUT', path, body: 'part' });
    expect(answer.status).toBe(400);
    expect(answer.body).toContain('<Code>InvalidArgument</Code>');
    expect(await bucket.stored.listKeys(key)).toEqual([]);
  });
});
