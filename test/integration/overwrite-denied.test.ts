// `overwrite: deny`, in real stores: what is there stays as it is, and of many at once one writes.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import { startVersitygw } from '../servers/start-versitygw.ts';
import {
  driveMultipart,
  fieldsOf,
  outcomeOf,
  startPolicyBuckets,
  type PolicyBuckets,
  type StoredView,
} from '../support/policy-buckets.ts';
import { elf, large, png } from '../support/typed-bodies.ts';
import { createRandomBody } from '../support/random-body.ts';

const mib = 1024 * 1024;
const bytesOf = (seed: string, size: number): Buffer => createRandomBody(seed, size).bytes();
const buckets = { new: { upload: { multipart_threshold: 5 * mib, part_size: 5 * mib, overwrite: 'deny' } } };

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
  ['a folder', undefined],
])('%s', (_, start) => {
  let proxied: PolicyBuckets;
  let stored: StoredView;
  beforeAll(async () => {
    proxied = await startPolicyBuckets({ start, buckets });
    stored = proxied.storedIn.get('new') as StoredView;
  });
  afterAll(() => proxied.stop());

  const refused = '412 PreconditionFailed';
  const bodies = { small: png, large: large(png) };
  const senders = () => ({ token: proxied.asUser({ sub: 'alice' }), key: proxied.asKeyOf('alice') });

  test.each([
    ['small', 'token'],
    ['large', 'token'],
    ['small', 'key'],
    ['large', 'key'],
  ] as const)('a %s object by %s stays as it is', async (size, who) => {
    const send = senders()[who];
    const body = bodies[size];
    const path = `/new/${size}-${who}`;
    const key = `${size}-${who}`;
    expect(outcomeOf(await send({ method: 'PUT', path, body }))).toBe('200');
    for (const headers of [{}, { 'if-none-match': '*' }, { 'if-match': '*' }] as Record<string, string>[]) {
      for (const other of [elf, large(elf)]) {
        expect(outcomeOf(await send({ method: 'PUT', path, body: other, headers }))).toBe(refused);
      }
    }
    if (who === 'token') {
      expect(outcomeOf(await send({ method: 'PUT', path, body: [elf] }))).toBe(refused);
      expect(outcomeOf(await send({ method: 'PUT', path, body: [large(elf)] }))).toBe(refused);
    }
    const multipart = driveMultipart(send, path);
    const { UploadId: uploadId = '' } = fieldsOf(await multipart.create());
    const part = await multipart.part(uploadId, 1, elf);
    for (const headers of [{}, { 'if-match': '*' }] as Record<string, string>[]) {
      expect(outcomeOf(await multipart.complete(uploadId, [[1, part.headers.etag]], headers))).toBe(refused);
    }
    expect(outcomeOf(await multipart.abort(uploadId))).toBe('204');
    expect((await stored.read(key)).bytes.equals(body)).toBe(true);
    expect(await stored.openUploads()).toEqual([]);
  });

  test('If-Match is refused where there is nothing yet', async () => {
    const headers = { 'if-match': '"x"' };
    const answer = await senders().token({ method: 'PUT', path: '/new/absent', body: png, headers });
    expect(outcomeOf(answer)).toBe(refused);
    expect(await stored.keys()).not.toContain('absent');
  });

  test('of many at once, one writes', async () => {
    const send = senders().token;
    for (const round of [1, 2, 3]) {
      const path = `/new/race-${round}`;
      const writeParts = async (body: Buffer) => {
        const multipart = driveMultipart(send, path);
        const { UploadId: uploadId = '' } = fieldsOf(await multipart.create());
        const part = await multipart.part(uploadId, 1, body);
        const answer = await multipart.complete(uploadId, [[1, part.headers.etag]]);
        if (answer.status !== 200) await multipart.abort(uploadId);
        return answer;
      };
      const bodyOf = (index: number): Buffer => bytesOf(`${round} ${index}`, index % 3 === 1 ? 6 * mib : 1000 + index);
      const outcomes = await Promise.all(
        Array.from({ length: 12 }, async (_, index) => {
          const body = bodyOf(index);
          const answer = index % 3 === 2 ? await writeParts(body) : await send({ method: 'PUT', path, body });
          return outcomeOf(answer);
        }),
      );
      const writers = outcomes.flatMap((outcome, index) => (outcome === '200' ? [index] : []));
      expect(writers).toHaveLength(1);
      // S3 says so of a writer that meets another one: API reference of PutObject, 409.
      const losers = outcomes.filter((outcome) => outcome !== '200');
      expect(losers.filter((one) => ![refused, '409 ConditionalRequestConflict'].includes(one))).toEqual([]);
      const { bytes } = await stored.read(`race-${round}`);
      expect(bytes.equals(bodyOf(writers[0] ?? -1))).toBe(true);
    }
    expect(await stored.openUploads()).toEqual([]);
  });
});
