// The upload page's route, without a server: what it answers, and when it leaves a request to S3.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RequestHeaders, type HttpRequest, type HttpResponse } from '../../../src/http.ts';
import { createPageRoute, type PageRoute } from '../../../src/ui/serve-page.ts';

let folder: string;
let route: PageRoute;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-page-'));
  writeFileSync(path.join(folder, 'page.html'), '<script type="application/json">{{settings}}</script>');
  writeFileSync(path.join(folder, 'main-ABC.js'), 'void 0;');
  writeFileSync(path.join(folder, 'notes.txt'), 'not for others');
  route = createPageRoute({ version: '1', buckets: [{ ...bucket, name: '</script><b>$&' }] }, folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const bucket = { path: null, needsToken: true, maxObjectBytes: 1, minObjectBytes: 0, allowedContentTypes: [] };

function ask(
  rawPath: string,
  options: { method?: string; query?: string; fields?: string[]; bodyBytes?: number } = {},
) {
  const { method = 'GET', query = '', fields = ['accept', 'text/html'], bodyBytes = 0 } = options;
  const request = {
    method,
    rawPath,
    rawQuery: query,
    headers: new RequestHeaders(fields),
    body: { length: bodyBytes },
  };
  return route(request as HttpRequest);
}
const field = (answer: HttpResponse | undefined, name: string) => answer?.headers.find(([one]) => one === name)?.[1];

describe('the page', () => {
  test('has its settings in it, and no name can end their block', () => {
    const text = String(ask('/')?.body);
    expect(text.match(/<\/script>/g)).toHaveLength(1);
    expect(JSON.parse(/json">(?<json>.*)<\/script>$/u.exec(text)?.groups?.['json'] ?? '')).toMatchObject({
      buckets: [{ name: '</script><b>$&' }],
    });
  });

  test.each([
    ['a program', '/', { fields: ['accept', '*/*'] }],
    ['who signs', '/', { fields: ['accept', 'text/html', 'authorization', 'AWS4-HMAC-SHA256 …'] }],
    ['a query', '/', { query: 'list-type=2' }],
    ['a body', '/', { bodyBytes: 3 }],
    ['another method', '/', { method: 'POST' }],
    ['a bucket', '/uploads', {}],
    ['the built page by its name', '/-/ui/page.html', {}],
    ['what is not part of it', '/-/ui/notes.txt', {}],
    ['what lies beside it', '/-/ui/../page.html', {}],
  ])('is not for %s', (_, rawPath, options) => {
    expect(ask(rawPath, options)).toBeUndefined();
  });

  test('is compressed for those who take that', () => {
    const plain = ask('/-/ui/main-ABC.js');
    expect([plain?.body, field(plain, 'Content-Encoding')]).toEqual(['void 0;', undefined]);
    const br = ask('/-/ui/main-ABC.js', { fields: ['accept-encoding', 'gzip, deflate, br;q=1.0, zstd'] });
    expect([field(br, 'Content-Encoding'), gunzipSync(br?.body as Uint8Array).toString()]).toEqual(['gzip', 'void 0;']);
    const best = ask('/-/ui/main-ABC.js', { fields: ['accept-encoding', 'gzip, br'] });
    expect(brotliDecompressSync(best?.body as Uint8Array).toString()).toBe('void 0;');
    const none = ask('/-/ui/main-ABC.js', { fields: ['accept-encoding', 'gzip;q=0'] });
    expect(field(none, 'Content-Encoding')).toBeUndefined();
  });
});

test('where it has not been built, the start fails and says what to run', () => {
  expect(() => createPageRoute({ version: '1', buckets: [] }, path.join(folder, 'missing'))).toThrow(
    'the upload page has not been built: run `npm run build`, or set ui.enabled to false',
  );
});
