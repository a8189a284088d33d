// Presigned URLs: what is made is accepted, and is what the SDK makes.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createAuthenticator } from '../../../../src/auth/authenticate.ts';
import { presignUrl, type PresignOptions } from '../../../../src/auth/sigv4/presign.ts';
import { accessKey, secretKey, sigv4Config, toRequest } from '../../../support/sigv4.ts';

const nowMs = Date.UTC(2026, 1, 3, 4, 5, 6);
const options: PresignOptions = {
  method: 'PUT',
  url: 'https://h.example:8443/b/k',
  credential: { accessKey, secretKey },
  region: 'us-east-1',
  service: 's3',
  expiresSeconds: 60,
  nowMs,
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: nowMs });
});
afterEach(() => {
  vi.useRealTimers();
});

function authenticate(url: string, fields: Record<string, string> = {}, sessionToken?: string) {
  const credentials = [{ accessKey, secretKey, subject: 's', ...(sessionToken !== undefined && { sessionToken }) }];
  const replays = { claim() {}, async close() {} };
  const authenticate = createAuthenticator({ enabled: true, sigv4: { ...sigv4Config, credentials } }, { replays });
  const { host, pathname, search } = new URL(url);
  return authenticate(
    toRequest({ method: 'PUT', rawPath: pathname, rawQuery: search.slice(1), fields: { host, ...fields } }),
  );
}

test.each([
  ['a plain key', 'https://h.example:8443/b/k'],
  ['the default port', 'https://h.example:443/b/k'],
  ['an encoded key', "http://h.example/b/a%20b/%E3%83%9F(x)'+%2F%2b"],
  ['a query', 'http://h.example/b/k?uploadId=a%2Fb+c%3D&partNumber=1&x'],
])('are accepted: %s', async (_, url) => {
  const made = presignUrl({ ...options, url });
  expect(await authenticate(made)).toMatchObject({ principal: { expiresAtMs: nowMs + 60_000 } });
  expect(new URL(made).origin).toBe(new URL(url).origin);
  expect(made).toMatch(/^[\w:/?&=.%~-]+$/);
});

test('with fields that must be sent', async () => {
  const fields = { 'Content-Type': ' text/plain;  a=b', 'X-Amz-Meta-A': '1', 'x-amz-content-sha256': 'a'.repeat(64) };
  const made = presignUrl({ ...options, headers: fields });
  expect(made).toContain('X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-content-sha256%3Bx-amz-meta-a');
  const sent = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]));
  expect(await authenticate(made, sent)).toMatchObject({ payload: { sha256: 'a'.repeat(64) } });
  await expect(authenticate(made, { ...sent, 'x-amz-meta-a': '2' })).rejects.toMatchObject({
    code: 'SignatureDoesNotMatch',
  });
});

test('with a session token', async () => {
  const sessionToken = 'a+b/c==';
  const made = presignUrl({ ...options, credential: { accessKey, secretKey, sessionToken } });
  expect(await authenticate(made, {}, sessionToken)).toBeDefined();
});

test.each([0, 604_801, 1.5, NaN])('are not made for %d seconds', (expiresSeconds) => {
  expect(() => presignUrl({ ...options, expiresSeconds })).toThrow(RangeError);
});
