// What uWebSockets.js answers by itself, as README says under "Behaviour worth knowing": in HTML, and never with success.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRawConnection } from '../support/raw-connection.ts';
import { startProxy, type RunningProxy } from '../support/start-proxy.ts';

let proxy: RunningProxy;
beforeAll(async () => {
  proxy = await startProxy({
    config: { buckets: [{ name: 'uploads', filesystem: { root: './objects' }, auth: { enabled: false } }] },
  });
});
afterAll(() => proxy.stop());

async function answerTo(text: string): Promise<string> {
  const connection = await openRawConnection(proxy.url);
  await connection.write(text);
  await connection.closed;
  return connection.unread();
}
const put = (fields: readonly string[], body = ''): string =>
  ['PUT /uploads/a HTTP/1.1', ...fields, '', body].join('\r\n');
const manyFields = Array.from({ length: 101 }, (_, i) => `X-Field-${i}: x`);

test.each([
  ['a Content-Length that is no number', put(['Host: proxy', 'Content-Length: abc']), 400],
  ['two framings', put(['Host: proxy', 'Content-Length: 1', 'Transfer-Encoding: chunked'], 'x'), 400],
  ['no Host', put(['Content-Length: 1'], 'x'), 400],
  ['a chunk size that is none', put(['Host: proxy', 'Transfer-Encoding: chunked'], 'zz\r\n'), 400],
  ['a head that is too large', put(['Host: proxy', `X-Long: ${'x'.repeat(20_000)}`, 'Content-Length: 1'], 'x'), 431],
  ['too many fields', put(['Host: proxy', ...manyFields, 'Content-Length: 1'], 'x'), 431],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 505],
  ['a target that is no path', 'OPTIONS * HTTP/1.1\r\nHost: proxy\r\n\r\n', 505],
  ['a whole URL as target', 'GET http://proxy/ HTTP/1.1\r\nHost: proxy\r\n\r\n', 505],
])('%s', async (_, request, status) => {
  const answer = await answerTo(request);
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [^]*<h1>`, 'u'));
  expect(answer).not.toContain('x-amz-request-id');
});

test('a head that is not HTTP is not answered', async () => {
  const faults = ['X-Field: one\r\n two', 'X-Field: o\0ne', 'X-Field : one'];
  const answers = faults.map((fault) => answerTo(put(['Host: proxy', fault, 'Content-Length: 1'], 'x')));
  expect(await Promise.all(answers)).toEqual(['', '', '']);
});
