// What is told of a request that is refused before anything was made of it: by the server's edge, or for its address.
import { expect, test } from 'vitest';
import { S3Error } from '../../src/errors.ts';
import {
  createRefusal,
  createRequestHandler,
  type Bucket,
  type HandlerOptions,
  type Outcome,
} from '../../src/handle-request.ts';
import { RequestHeaders, type HttpRequest } from '../../src/http.ts';
import { createAddressParser, createBucketFinder } from '../../src/routing/parse-address.ts';

const target = { name: 'uploads' } as Bucket;
const routes = [{ name: 'uploads', pathPrefix: undefined, backendBucket: 'store', backend: 'aws', target }];

function refuse(method: string, url: string): Partial<Outcome> {
  const [rawPath = '', rawQuery = ''] = url.split('?');
  const headers = new RequestHeaders(['content-length', '5']);
  const request = { id: 'ID', method, rawPath, rawQuery, headers } as unknown as HttpRequest;
  const outcomes: Outcome[] = [];
  const refusal = createRefusal({
    parseAddress: createAddressParser(routes),
    findBucket: createBucketFinder(routes),
    watch: () => ({ enter: (bucket) => bucket, answerFields: [], end: (outcome) => void outcomes.push(outcome) }),
  });
  const answer = refusal(new S3Error('SlowDown', { retryAfterMs: 1000 }), request);
  expect([answer.status, outcomes.length]).toEqual([503, 1]);
  return outcomes[0] ?? {};
}

test.each([
  ['PUT', '/uploads/a', 'PutObject'],
  ['PUT', '/uploads/a?partNumber=3&uploadId=u', 'UploadPart'],
  ['POST', '/uploads/a?uploadId=u', 'CompleteMultipartUpload'],
])('%s %s is the operation that it asks for', (method, url, name) => {
  expect(refuse(method, url)).toMatchObject({ bucket: 'uploads', code: 'SlowDown', operation: { name } });
});

test.each([
  ['PUT', '/uploads/a?acl', 'uploads'],
  ['PATCH', '/uploads/a', 'uploads'],
  ['PUT', '/uploads/%', 'uploads'],
  ['PUT', '/nowhere/a', undefined],
])('%s %s, which asks for none, is refused as it would be', (method, url, bucket) => {
  expect(refuse(method, url)).toMatchObject({ bucket, code: 'SlowDown', operation: undefined });
});

test.each([
  ['/uploads/a', 'PutObject'],
  ['/uploads/a?acl', undefined],
])('%s from an address that may not come is told with its operation: %s', async (url, name) => {
  const [rawPath = '', rawQuery = ''] = url.split('?');
  const headers = new RequestHeaders(['content-length', '5']);
  const request = {
    id: 'ID',
    method: 'PUT',
    rawPath,
    rawQuery,
    headers,
    clientIp: '192.0.2.1',
  } as unknown as HttpRequest;
  const outcomes: Outcome[] = [];
  const guarded = [{ ...routes[0], target: { ...target, checkAccess: refuseAddress } }] as typeof routes;
  const handle = createRequestHandler({
    parseAddress: createAddressParser(guarded),
    findBucket: createBucketFinder(guarded),
    answerStatus: () => undefined,
    watch: () => ({ enter: (bucket) => bucket, answerFields: [], end: (outcome) => void outcomes.push(outcome) }),
  } as Partial<HandlerOptions> as HandlerOptions);
  expect((await handle(request)).status).toBe(403);
  expect(outcomes[0]).toMatchObject({ bucket: 'uploads', bucketName: 'uploads', code: 'AccessDenied' });
  expect(outcomes[0]?.operation?.name).toBe(name);
});

function refuseAddress(): never {
  throw new S3Error('AccessDenied');
}
