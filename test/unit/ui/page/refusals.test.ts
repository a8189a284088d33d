// What people are told when an upload is refused, and the XML behind it.
import { describe, expect, test } from 'vitest';
import { errorResponse } from '../../../../src/error-response.ts';
import { S3Error, type S3ErrorCode } from '../../../../src/errors.ts';
import { explainRefusal } from '../../../../src/ui/page/explain-refusal.ts';
import { readPartList, readText, writePartList } from '../../../../src/ui/page/read-xml.ts';

/** As the proxy itself would refuse. */
function explain(code: S3ErrorCode, detail?: string) {
  const { status, headers, body } = errorResponse(new S3Error(code, detail === undefined ? {} : { detail }), {
    requestId: 'r',
    resource: '/uploads/a <b> & c',
  });
  const retryAfter = headers.find(([name]) => name === 'Retry-After')?.[1] ?? null;
  const { kind, message, retryAfterMs } = explainRefusal({ status, body: String(body), retryAfter });
  return { kind, message, retryAfterMs };
}

describe('explainRefusal', () => {
  test.each([
    ['Unauthorized', 'token', 'The token is wrong or has expired. Paste another one, and the upload goes on.'],
    ['EntityTooLarge', 'final', 'The file is larger than is allowed here.'],
    ['UnsupportedMediaType', 'final', 'Files of this kind are not allowed here.'],
    ['AccessDenied', 'final', 'You are not allowed to upload this here. Ask whoever gave you the token.'],
    ['NoSuchBucket', 'final', 'There is no such bucket. Check its name.'],
    ['NoSuchUpload', 'gone', 'The server no longer knows this upload. Try again to send the file from the start.'],
  ] as const)('%s', (code, kind, message) => {
    expect(explain(code)).toEqual({ kind, message, retryAfterMs: 0 });
  });

  test('SlowDown can be tried again, after the time that the server names', () => {
    expect(explain('SlowDown')).toMatchObject({ kind: 'busy', retryAfterMs: 1000 });
  });

  test('what the server says by itself is passed on where it tells more', () => {
    expect(explain('InvalidRequest', 'The header x-amz-meta-owner is required & missing.').message).toBe(
      'The server refused the file (400). The server says: The header x-amz-meta-owner is required & missing.',
    );
    expect(explain('AccessDenied', 'The key must match <pattern>.').message).toContain('must match <pattern>.');
  });

  test.each([
    [502, 'busy'],
    [500, 'busy'],
    [413, 'final'],
    [418, 'final'],
    [429, 'busy'],
    [401, 'token'],
  ])('%i without S3’s XML, as servers in between answer', (status, kind) => {
    const body = '<html><body><h1>Oh dear</h1></body></html>';
    expect(explainRefusal({ status, body, retryAfter: 'Wed, 21 Oct 2026 07:28:00 GMT' })).toMatchObject({
      kind,
      retryAfterMs: 0,
      message: expect.stringMatching(/^[A-Z][^<>]+\.$/u) as string,
    });
  });
});

describe('XML', () => {
  test('a page of parts, with and without more behind it', () => {
    const part = (number: number) =>
      `<Part><PartNumber>${number}</PartNumber><LastModified>x</LastModified><ETag>&quot;e${number}&#34;</ETag><Size>5</Size></Part>`;
    const page = `<?xml version="1.0"?><ListPartsResult xmlns="x"><UploadId>u</UploadId><NextPartNumberMarker>2</NextPartNumberMarker><IsTruncated>true</IsTruncated>${part(1)}${part(2)}</ListPartsResult>`;
    const parts = [
      { number: 1, etag: '"e1"', sizeBytes: 5 },
      { number: 2, etag: '"e2"', sizeBytes: 5 },
    ];
    expect(readPartList(page)).toEqual({ parts, nextMarker: 2 });
    expect(readPartList(page.replace('true', 'false'))).toEqual({ parts, nextMarker: undefined });
    expect(readPartList('<ListPartsResult></ListPartsResult>')).toEqual({ parts: [], nextMarker: undefined });
  });

  test('text is decoded once; what is no entity stays', () => {
    expect(readText('<A><Key>a&amp;lt;b &#x1F600; &nbsp; &#1114112;.</Key></A>', 'Key')).toBe('a&lt;b 😀 &nbsp; .');
    expect(readText('<Keys>no</Keys>', 'Key')).toBe('');
  });

  test('the list that completes is in order and escaped', () => {
    const xml = writePartList(
      new Map([
        [10, 'b&'],
        [9, '"a"'],
      ]),
    );
    expect(xml).toContain('<Part><PartNumber>9</PartNumber><ETag>"a"</ETag></Part><Part><PartNumber>10</PartNumber>');
    expect(xml).toContain('<ETag>b&amp;</ETag>');
  });
});
