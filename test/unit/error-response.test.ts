// The answers to errors.
import { XMLParser } from 'fast-xml-parser';
import { expect, test } from 'vitest';
import { errorResponse } from '../../src/error-response.ts';
import { S3Error } from '../../src/errors.ts';

const options = { requestId: 'r-1', resource: '/uploads/a&b<c>"d' };

test('an S3Error is told with its code, message, resource and request id', () => {
  const error = new S3Error('MethodNotAllowed', { detail: 'Not <this> way.', headers: [['Allow', 'PUT']] });
  const answer = errorResponse(error, options);
  expect(answer.status).toBe(405);
  expect(answer.headers).toEqual([
    ['Content-Type', 'application/xml'],
    ['Allow', 'PUT'],
  ]);
  expect(answer.body).toBe(
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<Error><Code>MethodNotAllowed</Code><Message>Not &lt;this&gt; way.</Message>' +
      '<Resource>/uploads/a&amp;b&lt;c&gt;&quot;d</Resource><RequestId>r-1</RequestId></Error>',
  );
  expect(new XMLParser().parse(answer.body ?? '').Error.Resource).toBe(options.resource);
});

test.each([new Error('secret at 10.0.0.1'), 'secret', undefined, null, { code: 'secret' }])(
  'anything else (%s) is InternalError with nothing of it',
  (thrown) => {
    const answer = errorResponse(thrown, options);
    expect(answer.status).toBe(500);
    expect(answer.body).toContain('<Code>InternalError</Code>');
    expect(JSON.stringify(answer)).not.toContain('secret');
  },
);

test('who signed for the wrong region is told the right one', () => {
  const headers = [['x-amz-bucket-region', 'eu-west-1']] as const;
  const { body } = errorResponse(new S3Error('AuthorizationHeaderMalformed', { headers }), options);
  expect(new XMLParser().parse(body ?? '').Error.Region).toBe('eu-west-1');
});

test('what S3 says besides stands behind the message', () => {
  const answer = errorResponse(new S3Error('RequestTimeTooSkewed', { elements: [['ServerTime', '<now>']] }), options);
  expect(answer.body).toContain('</Message><ServerTime>&lt;now&gt;</ServerTime><Resource>');
});

test('the cause is for the log alone', () => {
  const error = new S3Error('ServiceUnavailable', { cause: new Error('secret') });
  expect(JSON.stringify(errorResponse(error, options))).not.toContain('secret');
});

test('a code that a backend gave is told as it is', () => {
  const passed = { code: 'KMS.NotFoundException', status: 400 };
  const answer = errorResponse(new S3Error('InvalidRequest', { passed }), options);
  expect(answer.status).toBe(400);
  expect(answer.body).toContain('<Code>KMS.NotFoundException</Code>');
});

test.each([
  [undefined, '1'],
  [0, '1'],
  [1, '1'],
  [1000, '1'],
  [1001, '2'],
  [90_000, '90'],
])('after %s ms: Retry-After in whole seconds', (retryAfterMs, seconds) => {
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  const busy = [
    new S3Error('SlowDown', wait),
    new S3Error('ServiceUnavailable', wait),
    new S3Error('SlowDown', { ...wait, passed: { code: 'TooMany', status: 429 } }),
  ];
  for (const error of busy) expect(errorResponse(error, options).headers).toContainEqual(['Retry-After', seconds]);
  const broken = errorResponse(new S3Error('InternalError', wait), options);
  expect(broken.headers.map(([name]) => name)).not.toContain('Retry-After');
});
