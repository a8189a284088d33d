// What of a request is asked about, and what its answer holds it to.
import { describe, expect, test } from 'vitest';
import {
  authorizeRequest,
  enforceObligations,
  type DecisionProgress,
  type RequestToAuthorize,
} from '../../src/authorize-request.ts';
import type { Question } from '../../src/authz/authorizer.ts';
import type { Verdict } from '../../src/authz/merge-verdicts.ts';
import { S3Error } from '../../src/errors.ts';
import { ClientGone, RequestHeaders, type HttpRequest } from '../../src/http.ts';
import { plainPayload } from '../../src/payload.ts';
import type { Operation } from '../../src/routing/operation.ts';
import { jwtPrincipal } from '../support/questions.ts';

const operations: readonly Operation[] = [
  { name: 'PutObject' },
  { name: 'CreateMultipartUpload' },
  { name: 'UploadPart', uploadId: 'u', partNumber: 3 },
  { name: 'CompleteMultipartUpload', uploadId: 'u' },
  { name: 'AbortMultipartUpload', uploadId: 'u' },
  { name: 'ListParts', uploadId: 'u', maxParts: 1000, partNumberMarker: 0 },
];
const resource = { bucket: 'uploads', key: 'a/b', backendBucket: 'backend' };
const allowed: Verdict = { decision: { allow: true }, engine: 'opa', cached: false, failedOpen: [] };

interface Parts extends Partial<Omit<RequestToAuthorize, 'headers' | 'request'>> {
  readonly headers?: Readonly<Record<string, string>> | readonly string[];
  readonly bodyLength?: number | undefined;
  readonly signal?: AbortSignal;
}

function create({ headers = {}, signal, ...parts }: Parts = {}): RequestToAuthorize {
  const fields = Array.isArray(headers) ? (headers as string[]) : Object.entries(headers).flat();
  const request: Partial<HttpRequest> = {
    method: 'PUT',
    clientIp: '192.0.2.1',
    body: { length: 'bodyLength' in parts ? parts.bodyLength : 5 } as HttpRequest['body'],
    signal: signal ?? new AbortController().signal,
  };
  return {
    request: request as HttpRequest,
    operation: { name: 'PutObject' },
    principal: jwtPrincipal({ sub: 'alice' }),
    payload: plainPayload,
    resource,
    ...parts,
    headers: new RequestHeaders(fields),
  };
}

async function questionOf(parts: Parts): Promise<Question | undefined> {
  let asked: Question | undefined;
  const ask = (question: Question) => {
    asked = question;
    return allowed;
  };
  await authorizeRequest(ask, create(parts), {});
  return asked;
}

describe('what is asked', () => {
  test.each(operations.map((operation) => [operation.name, operation] as const))('of %s', async (name, operation) => {
    const question = await questionOf({ operation });
    const action = name === 'AbortMultipartUpload' ? 'abort' : name === 'ListParts' ? 'list_parts' : 'upload';
    expect(question).toMatchObject({ action, resource, context: { operation: name, method: 'PUT' } });
    expect(question?.context.uploadId).toBe('uploadId' in operation ? 'u' : undefined);
    expect(question?.context.partNumber).toBe(name === 'UploadPart' ? 3 : undefined);
  });

  test.each(['HeadBucket', 'GetBucketLocation'] as const)('of %s: nothing', async (name) => {
    const nobody = () => Promise.reject(new Error('asked'));
    const asked = create({ operation: { name } });
    const progress: DecisionProgress = {};
    const permission = await authorizeRequest(nobody, asked, progress);
    expect(permission).toEqual({ headers: asked.headers, maxObjectBytes: Infinity });
    expect(progress).toEqual({});
  });

  const chunked = { kind: 'aws-chunked', hasTrailer: false, isSigned: true, signatures: undefined } as const;
  test.each<readonly [Parts, number | undefined]>([
    [{ bodyLength: 0 }, 0],
    [{ bodyLength: undefined }, undefined],
    [{ payload: chunked, headers: { 'x-amz-decoded-content-length': '3' } }, 3],
    [{ payload: chunked, headers: { 'x-amz-decoded-content-length': '3x' } }, undefined],
    [{ payload: chunked, headers: { 'x-amz-decoded-content-length': '-3' } }, undefined],
    [{ payload: chunked }, undefined],
    [{ headers: { 'x-amz-decoded-content-length': '3' } }, 5],
  ])('the length of the payload: %j', async (parts, length) => {
    expect((await questionOf(parts))?.context.contentLength).toBe(length);
  });

  test('the fields', async () => {
    const headers = ['x-amz-meta-a', '1', 'x-amz-meta-__proto__', 'p', 'x-amz-meta-a', '2', 'x-amz-metadata', 'no'];
    const context = (await questionOf({ headers: [...headers, 'content-type', 'a/b', 'user-agent', 'ua'] }))?.context;
    expect(context).toMatchObject({ contentType: 'a/b', userAgent: 'ua' });
    expect(Object.entries(context?.metadata ?? {})).toEqual([
      ['a', '1, 2'],
      ['__proto__', 'p'],
    ]);
  });
});

describe('a client that leaves', () => {
  test('before it is asked about is not', async () => {
    const signal = AbortSignal.abort(new ClientGone());
    const nobody = () => Promise.reject(new Error('asked'));
    await expect(authorizeRequest(nobody, create({ signal }), {})).rejects.toThrow(ClientGone);
  });

  test('meanwhile goes no further, whatever is decided', async () => {
    for (const allow of [true, false]) {
      const controller = new AbortController();
      const ask = async () => {
        controller.abort(new ClientGone());
        return { ...allowed, decision: { allow } };
      };
      const asked = create({ signal: controller.signal });
      await expect(authorizeRequest(ask, asked, {})).rejects.toThrow(ClientGone);
    }
  });

  test('meanwhile has left, even where nobody could decide', async () => {
    const controller = new AbortController();
    const ask = async () => {
      controller.abort(new ClientGone());
      throw new S3Error('ServiceUnavailable');
    };
    const progress: DecisionProgress = {};
    await expect(authorizeRequest(ask, create({ signal: controller.signal }), progress)).rejects.toThrow(ClientGone);
    expect(progress.authorizeMs).toBeGreaterThanOrEqual(0);
  });
});

test('the decision is told with its time', async () => {
  const refused: Verdict = {
    decision: { allow: false, reason: 'no' },
    engine: 'openfga',
    cached: true,
    failedOpen: ['opa'],
  };
  for (const ask of [() => refused, () => Promise.resolve(refused)]) {
    const progress: DecisionProgress = {};
    await expect(authorizeRequest(ask, create(), progress)).rejects.toThrow('Access Denied');
    expect(progress).toEqual({
      decision: { engine: 'openfga', allow: false, cached: true, reason: 'no', failedOpen: ['opa'] },
      authorizeMs: expect.any(Number),
    });
  }
});

test('the time is told of an engine that cannot be asked too', async () => {
  const progress: DecisionProgress = {};
  const away = new Error('away');
  await expect(authorizeRequest(() => Promise.reject(away), create(), progress)).rejects.toBe(away);
  expect(progress).toEqual({ authorizeMs: expect.any(Number) });
});

test('what it is allowed with binds it', async () => {
  const allow = (obligations: object) => () => ({ ...allowed, decision: { allow: true, obligations } as const });
  const asked = create();
  const permission = await authorizeRequest(allow({ keyPrefix: 'a/', maxObjectBytes: 7 }), asked, {});
  expect(permission).toEqual({ headers: asked.headers, maxObjectBytes: 7 });
  await expect(authorizeRequest(allow({ keyPrefix: 'b/' }), asked, {})).rejects.toThrow('Access Denied');
});

describe('bounds', () => {
  test('the prefix holds for every operation', () => {
    for (const operation of operations) {
      expect(() => enforceObligations({ keyPrefix: 'a/' }, create({ operation }))).not.toThrow();
      expect(() => enforceObligations({ keyPrefix: 'b/' }, create({ operation }))).toThrow('Access Denied');
      expect(() => enforceObligations({ keyPrefix: 'a/b/' }, create({ operation }))).toThrow('Access Denied');
    }
  });

  test.each([
    ['image/png', true],
    ['IMAGE/png; a=b', true],
    ['text/plain', false],
    ['image/png, text/html', false],
    [undefined, false],
  ])('types: %s', (type, isAllowed) => {
    for (const operation of operations) {
      const isNew = operation.name === 'PutObject' || operation.name === 'CreateMultipartUpload';
      const asked = create({ operation, headers: type === undefined ? {} : { 'content-type': type } });
      const enforce = () => enforceObligations({ allowedContentTypes: ['Image/*'] }, asked);
      if (isAllowed || !isNew) expect(enforce).not.toThrow();
      else expect(enforce).toThrow(expect.objectContaining({ code: 'UnsupportedMediaType', status: 415 }));
    }
  });

  test('no type is octets', () => {
    expect(() => enforceObligations({ allowedContentTypes: ['application/octet-stream'] }, create())).not.toThrow();
  });
});
