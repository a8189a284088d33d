// The decisions of a bucket's own policy that need no server.
import { describe, expect, test } from 'vitest';
import type { Principal } from '../../../src/auth/principal.ts';
import type { UploadPolicyConfig } from '../../../src/config/config.ts';
import { S3Error } from '../../../src/errors.ts';
import { RequestHeaders } from '../../../src/http.ts';
import { createAccessCheck } from '../../../src/policy/access-list.ts';
import { createUploadPolicy, type PolicyQuestion, type UploadPolicy } from '../../../src/policy/upload-policy.ts';
import type { Operation } from '../../../src/routing/operation.ts';

const off: UploadPolicyConfig = {
  allowedContentTypes: [],
  sniffContentType: false,
  overwrite: 'allow',
  keyPrefix: '',
  keyPattern: '',
  keyTemplate: '',
  requiredMetadata: [],
  refusedHeaders: [],
  forcedHeaders: {},
  bindMultipartToCreator: false,
};
const alice: Principal = { kind: 'sigv4', subject: 'alice', accessKeyId: 'A', expiresAtMs: 0 };
const secret = () => 'a-secret-of-some-length';
const noSecret = () => {
  throw new Error('nobody needs it');
};

function policyOf(policy: Partial<UploadPolicyConfig>, uploadIdSecret = secret): UploadPolicy {
  const made = createUploadPolicy({ bucket: 'uploads', policy: { ...off, ...policy }, uploadIdSecret });
  if (made === undefined) throw new Error('asks for nothing');
  return made;
}

const question = (operation: Operation, more: Partial<PolicyQuestion> = {}): PolicyQuestion => ({
  request: { host: 'h:1', isTls: true, rawPath: '/uploads/k' },
  operation,
  backendBucket: 'b',
  key: 'k',
  principal: alice,
  headers: new RequestHeaders([]),
  ...more,
});
const put = { name: 'PutObject' } as const;
const create = { name: 'CreateMultipartUpload' } as const;
const part = { name: 'UploadPart', uploadId: 'u', partNumber: 1 } as const;
const complete = { name: 'CompleteMultipartUpload', uploadId: 'u' } as const;

test('a bucket that asks for nothing has none', () => {
  expect(createUploadPolicy({ bucket: 'b', policy: off, uploadIdSecret: noSecret })).toBeUndefined();
  const asking: Partial<UploadPolicyConfig>[] = [
    { allowedContentTypes: ['a/b'] },
    { overwrite: 'deny' },
    { keyPrefix: 'a' },
    { keyPattern: 'a' },
    { keyTemplate: '{uuid}' },
    { requiredMetadata: ['a'] },
    { refusedHeaders: ['expires'] },
    { forcedHeaders: { expires: '0' } },
  ];
  for (const policy of asking) expect(policyOf(policy, noSecret)).toBeDefined();
  expect(policyOf({ sniffContentType: true })).toBeDefined();
  expect(policyOf({ bindMultipartToCreator: true })).toBeDefined();
});

test('what is no object’s passes', () => {
  const policy = policyOf({ keyPrefix: '{none}/', keyTemplate: '{none}/{uuid}' });
  for (const name of ['HeadBucket', 'GetBucketLocation'] as const) {
    expect(policy.admit(question({ name }, { key: undefined }))).toBeUndefined();
  }
});

test('a template or pattern that is none is said at start', () => {
  expect(() => policyOf({ keyPrefix: '{' })).toThrow(TypeError);
  expect(() => policyOf({ keyPattern: '(' })).toThrow('missing closing');
  expect(() => policyOf({ forcedHeaders: { expires: '}' } })).toThrow(TypeError);
});

test('what nothing is asked of goes on as it was', () => {
  const headers = new RequestHeaders(['a', 'b']);
  expect(policyOf({ keyPattern: 'k' }).admit(question(put, { headers }))).toEqual({
    operation: put,
    clientKey: 'k',
    key: 'k',
    headers,
    inspector: undefined,
    toClientUploadId: undefined,
    needsFirstPart: false,
    answerFields: [],
  });
});

test('an object that the proxy names has its address in the answer', () => {
  const policy = policyOf({ keyPrefix: 'in/', keyTemplate: 'ä {sub}/{uuid}' });
  const request = { host: 'h:1', isTls: false, rawPath: '/up%6Coads/' };
  const admission = policy.admit(question(put, { request, key: undefined }));
  expect(admission?.key).toBe(`in/${admission?.clientKey}`);
  const encoded = `%C3%A4%20alice/${admission?.clientKey.split('/')[1]}`;
  expect(admission?.answerFields).toEqual([
    ['Location', `http://h:1/up%6Coads/${encoded}`],
    ['x-mizuchi-key', encoded],
  ]);
});

describe('overwrite: deny', () => {
  const policy = policyOf({ overwrite: 'deny' });
  const conditionOf = (operation: Operation, fields: readonly string[] = []) =>
    policy.admit(question(operation, { headers: new RequestHeaders(fields) }))?.headers.get('if-none-match');

  test('is a condition on what makes an object visible', () => {
    for (const operation of [put, complete]) {
      expect(conditionOf(operation)).toBe('*');
      expect(conditionOf(operation, ['if-none-match', '*'])).toBe('*');
      // Refused later, as not supported.
      expect(conditionOf(operation, ['if-none-match', '"x"'])).toBe('"x"');
      expect(() => conditionOf(operation, ['if-match', '"x"'])).toThrow(
        expect.objectContaining({ code: 'PreconditionFailed' }),
      );
    }
    for (const operation of [create, part]) expect(conditionOf(operation)).toBeUndefined();
  });

  test('leaves all other fields as they are', () => {
    const fields = ['x-amz-meta-a', '1', 'content-type', 'a/b'];
    const admission = policy.admit(question(put, { headers: new RequestHeaders(fields) }));
    expect([...(admission?.headers ?? [])].flat()).toEqual([...fields, 'if-none-match', '*']);
  });
});

describe('content types', () => {
  const codeOf = (
    policy: Partial<UploadPolicyConfig>,
    fields: readonly string[],
    operation: Operation = put,
  ): string => {
    try {
      policyOf(policy).admit(question(operation, { headers: new RequestHeaders(fields) }));
      return 'none';
    } catch (error) {
      return error instanceof S3Error ? error.code : String(error);
    }
  };

  test('are asked for where the object is made', () => {
    const policy = { allowedContentTypes: ['image/*'] };
    for (const operation of [put, create]) {
      expect(codeOf(policy, ['content-type', 'image/png'], operation)).toBe('none');
      expect(codeOf(policy, ['content-type', 'text/html'], operation)).toBe('UnsupportedMediaType');
      expect(codeOf(policy, [], operation)).toBe('UnsupportedMediaType');
    }
    for (const operation of [part, complete]) expect(codeOf(policy, [], operation)).toBe('none');
    expect(codeOf({ allowedContentTypes: ['application/octet-stream'] }, [])).toBe('none');
  });

  test('are one, or refused, also where the body alone is looked at', () => {
    for (const type of ['image', 'image/png, text/html']) {
      expect(codeOf({ sniffContentType: true }, ['content-type', type])).toBe('UnsupportedMediaType');
      expect(codeOf({ keyPrefix: 'a' }, ['content-type', type])).toBe('none');
    }
    const two = ['content-type', 'image/png', 'content-type', 'image/png'];
    expect(codeOf({ allowedContentTypes: ['image/png'] }, two)).toBe('UnsupportedMediaType');
  });

  test('that are left open are written out where somebody has looked', () => {
    const typeOf = (policy: Partial<UploadPolicyConfig>, fields: readonly string[], operation: Operation = put) =>
      policyOf(policy)
        .admit(question(operation, { headers: new RequestHeaders(fields) }))
        ?.headers.get('content-type');
    for (const policy of [{ allowedContentTypes: ['*/*'] }, { sniffContentType: true }]) {
      for (const operation of [put, create]) {
        expect(typeOf(policy, [], operation)).toBe('application/octet-stream');
        expect(typeOf(policy, ['content-type', ''], operation)).toBe('application/octet-stream');
        expect(typeOf(policy, ['content-type', 'A/b'], operation)).toBe('A/b');
      }
      expect(typeOf({ ...policy, forcedHeaders: { 'content-type': 'c/d' } }, [])).toBe('c/d');
    }
    expect(typeOf({ allowedContentTypes: ['*/*'] }, [], complete)).toBeUndefined();
    expect(typeOf({ keyPrefix: 'a' }, [])).toBeUndefined();
  });

  test.each([
    ['gzip', 'UnsupportedMediaType'],
    ['aws-chunked, GZIP', 'UnsupportedMediaType'],
    ['aws-chunked', 'none'],
    ['AWS-Chunked, identity', 'none'],
    ['', 'none'],
  ])('a body that is coded as %j', (coding, code) => {
    const fields = ['content-type', 'image/png', 'content-encoding', coding];
    expect(codeOf({ sniffContentType: true }, fields)).toBe(code);
    expect(codeOf({ allowedContentTypes: ['image/png'] }, fields)).toBe('none');
  });

  test('metadata that is asked for may come from the bucket', () => {
    const requiredMetadata = ['by'];
    expect(codeOf({ requiredMetadata }, [])).toBe('InvalidRequest');
    expect(codeOf({ requiredMetadata }, ['x-amz-meta-of', 'x', 'content-type', 'a/b'])).toBe('InvalidRequest');
    expect(codeOf({ requiredMetadata }, ['x-amz-meta-by', ' '])).toBe('InvalidRequest');
    expect(codeOf({ requiredMetadata }, ['x-amz-meta-by', '', 'x-amz-meta-by', ' '])).toBe('InvalidRequest');
    expect(codeOf({ requiredMetadata }, ['x-amz-meta-by', '', 'x-amz-meta-by', 'x'])).toBe('none');
    expect(codeOf({ requiredMetadata }, ['x-amz-meta-by', 'x'], create)).toBe('none');
    expect(codeOf({ requiredMetadata, forcedHeaders: { 'x-amz-meta-by': '{sub}' } }, [])).toBe('none');
    expect(codeOf({ requiredMetadata }, [], part)).toBe('none');
  });

  test('who cannot own an upload makes none', () => {
    const principal: Principal = { kind: 'jwt', subject: undefined, claims: {}, expiresAtMs: 0 };
    const bound = policyOf({ bindMultipartToCreator: true });
    expect(() => bound.admit(question(create, { principal }))).toThrow(
      expect.objectContaining({ code: 'AccessDenied' }),
    );
    expect(bound.admit(question(put, { principal }))).toBeDefined();
  });
});

describe('headers that are refused', () => {
  const refusedHeaders = ['x-amz-tagging', 'x-amz-object-lock-*', 'content-type', 'content-encoding', 'x-amz-server-*'];
  const refusalOf = (operation: Operation, name: string, value = 'a', more: Partial<UploadPolicyConfig> = {}) => {
    try {
      policyOf({ refusedHeaders, ...more }).admit(question(operation, { headers: new RequestHeaders([name, value]) }));
      return 'none';
    } catch (error) {
      return error instanceof S3Error ? `${error.code} ${error.message}` : String(error);
    }
  };

  test.each(['x-amz-tagging', 'x-amz-object-lock-mode', 'x-amz-server-side-encryption-context', 'content-type'])(
    '%s, by its name or its beginning',
    (name) => {
      for (const operation of [put, create]) {
        expect(refusalOf(operation, name)).toMatch(new RegExp(`^AccessDenied .*${name}`));
      }
      // Of these operations they go nowhere.
      for (const operation of [part, complete]) expect(refusalOf(operation, name)).toBe('none');
    },
  );

  test('a key of the client’s own in each call that states it', () => {
    const name = 'x-amz-server-side-encryption-customer-key';
    for (const operation of [put, create, part, complete]) expect(refusalOf(operation, name)).toContain('AccessDenied');
  });

  test('and no others', () => {
    for (const name of ['x-amz-meta-a', 'x-amz-tagging', 'expires']) {
      expect(refusalOf(put, name, 'a', { refusedHeaders: ['x-amz-meta-b', 'x-amz-taggins', 'expire'] })).toBe('none');
    }
    expect(refusalOf(put, 'x-amz-meta-a', 'aws-chunked', { refusedHeaders: ['x-amz-meta-a'] })).toContain(
      'AccessDenied',
    );
    for (const name of ['x-amz-tagging-directive', 'x-amz-date', 'x-amz-meta-x-amz-tagging', 'cache-control']) {
      expect(refusalOf(put, name)).toBe('none');
    }
    expect(refusalOf(put, 'content-encoding', 'AWS-Chunked')).toBe('none');
    expect(refusalOf(put, 'content-encoding', 'aws-chunked, gzip')).toContain('AccessDenied');
    for (const name of ['x-amz-date', 'authorization', 'host', 'content-length']) {
      expect(refusalOf(put, name, 'a', { refusedHeaders: ['*'] })).toBe('none');
    }
  });

  test('the bucket’s own field of that name is none of the client’s', () => {
    const forcedHeaders = { 'x-amz-tagging': 'by={sub}' };
    expect(refusalOf(put, 'x-amz-meta-a', 'a', { forcedHeaders })).toBe('none');
    expect(refusalOf(put, 'x-amz-tagging', 'a', { forcedHeaders })).toContain('AccessDenied');
  });
});

describe('sniff_content_type', () => {
  const policy = policyOf({ sniffContentType: true });
  const admit = (asked: PolicyQuestion) => policy.admit(asked);
  const headers = (type: string) => new RequestHeaders(['content-type', type]);
  const idOf = (type: string) =>
    admit(question(create, { headers: headers(type) }))?.toClientUploadId?.('backend') ?? '';

  test('looks at the first bytes alone', () => {
    const uploadId = idOf('image/png');
    const of = (operation: Operation) => admit(question(operation, { headers: headers('image/png') }));
    expect(of(put)?.inspector).toBeDefined();
    expect(of(create)?.inspector).toBeUndefined();
    expect(of({ ...part, uploadId })).toMatchObject({
      inspector: expect.anything(),
      operation: { uploadId: 'backend' },
    });
    expect(of({ ...part, uploadId, partNumber: 2 })?.inspector).toBeUndefined();
    expect(of({ ...complete, uploadId })).toMatchObject({ inspector: undefined, needsFirstPart: true });
    expect(of({ ...part, uploadId })?.needsFirstPart).toBe(false);
  });

  test('and only where something was declared', () => {
    const uploadId = idOf('');
    expect(admit(question({ ...part, uploadId }))?.inspector).toBeUndefined();
    expect(admit(question({ ...complete, uploadId }))?.needsFirstPart).toBe(false);
    expect(admit(question(put))?.inspector).toBeUndefined();
  });

  test('the type of an upload is the one that it was created with', () => {
    const admission = admit(question({ ...part, uploadId: idOf('image/png') }, { headers: headers('text/plain') }));
    expect(() => {
      admission?.inspector?.write(Buffer.from('text'));
      admission?.inspector?.finish();
    }).toThrow(expect.objectContaining({ code: 'UnsupportedMediaType' }));
  });

  test('the answer names the id that the client used', () => {
    const uploadId = idOf('image/png');
    const admission = admit(question({ name: 'ListParts', uploadId, maxParts: 1, partNumberMarker: 0 }));
    expect(admission?.toClientUploadId?.('backend')).toBe(uploadId);
  });
});

describe('addresses', () => {
  const isLetIn = (clientIp: string, allowIps: string[], denyIps: string[] = []): boolean => {
    try {
      createAccessCheck({ allowIps, denyIps })?.(clientIp);
      return true;
    } catch {
      return false;
    }
  };

  test('without a list there is nothing to check', () => {
    expect(createAccessCheck({ allowIps: [], denyIps: [] })).toBeUndefined();
  });

  test.each([
    ['10.1.2.3', ['10.0.0.0/8'], [], true],
    ['11.1.2.3', ['10.0.0.0/8'], [], false],
    ['10.1.2.3', ['10.0.0.0/8'], ['10.1.2.3'], false],
    ['10.1.2.3', [], ['10.1.2.3'], false],
    ['10.1.2.4', [], ['10.1.2.3'], true],
    ['2001:db8::1', ['10.0.0.0/8'], [], false],
    ['2001:db8::1', ['2001:db8::/32'], ['2001:db8::/64'], false],
    ['10.1.2.3', ['::ffff:10.0.0.0/104'], [], true],
    ['', ['10.0.0.0/8'], [], false],
  ])('%s', (address, allow, deny, expected) => {
    expect(isLetIn(address, allow, deny)).toBe(expected);
  });
});
