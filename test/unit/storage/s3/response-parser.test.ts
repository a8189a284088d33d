// The answers that a backend may give, and those that are refused.
import { describe, expect, test } from 'vitest';
import { MalformedAnswer, ResponseParser, type Answer } from '../../../../src/storage/s3/response-parser.ts';

/** @param cutBytes size of the pieces; 0 = all at once. */
function parse(text: string, { isClosed = false, cutBytes = 0 } = {}): Answer | undefined {
  const parser = new ResponseParser();
  const bytes = Buffer.from(text, 'latin1');
  const size = cutBytes === 0 ? bytes.length : cutBytes;
  for (let at = 0; at < bytes.length; at += size) {
    const piece = Buffer.from(bytes.subarray(at, at + size));
    parser.write(piece);
    // The memory belongs to the caller again.
    piece.fill(0);
  }
  if (isClosed) return parser.finish();
  return parser.isDone ? parser.answer : undefined;
}

const ok = 'HTTP/1.1 200 OK\r\n';
const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`;

describe.each([0, 1, 7])('in pieces of %i bytes', (cutBytes) => {
  test('a body by its length', () => {
    const answer = parse(`${ok}ETag: "e"\r\nX-Amz-Meta:  two  words \t\r\nContent-Length: 5\r\n\r\nhello`, {
      cutBytes,
    });
    expect(answer).toMatchObject({ status: 200, keepAlive: true });
    expect(answer?.body.toString()).toBe('hello');
    expect(Object.fromEntries(answer?.headers ?? [])).toEqual({
      etag: '"e"',
      'x-amz-meta': 'two  words',
      'content-length': '5',
    });
  });

  test('a body in chunks, with extensions and a trailer', () => {
    const chunks = '5;name="v"\r\nhello\r\n000006 \r\n world\r\n0;last\r\nX-Trailer: 1\r\n\r\n';
    const answer = parse(`${ok}Transfer-Encoding: Chunked\r\n\r\n${chunks}`, { cutBytes });
    expect(answer?.body.toString()).toBe('hello world');
    expect(answer?.keepAlive).toBe(true);
    expect(answer?.headers.has('x-trailer')).toBe(false);
  });

  test('a body until the connection closes', () => {
    expect(parse(`${ok}\r\nhel`, { cutBytes })).toBeUndefined();
    const answer = parse(`${ok}\r\nhello`, { cutBytes, isClosed: true });
    expect(answer).toMatchObject({ keepAlive: false });
    expect(answer?.body.toString()).toBe('hello');
  });

  test('interim answers are passed over', () => {
    const interim = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\n\r\n';
    const answer = parse(`${interim}HTTP/1.1 204 No Content\r\n\r\n`, { cutBytes });
    expect(answer).toMatchObject({ status: 204, keepAlive: true });
    expect(answer?.headers.size).toBe(0);
  });

  test('fields of one name are joined, equal lengths are one', () => {
    const answer = parse(`${ok}Vary: a\r\nContent-Length: 1\r\nvary: b\r\nContent-Length: 1\r\n\r\nx`, { cutBytes });
    expect(answer?.headers.get('vary')).toBe('a, b');
    expect(answer?.body.toString()).toBe('x');
  });

  test('bytes behind the answer end the connection’s use', () => {
    expect(parse(`${ok}Content-Length: 0\r\n\r\nHTTP/1.1 200`, { cutBytes })?.keepAlive).toBe(false);
  });
});

test.each([
  ['HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', { status: 304, keepAlive: true }],
  ['HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', { status: 200, keepAlive: true }],
  ['HTTP/1.1 503 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n', { status: 503, keepAlive: false }],
  [`${ok}Content-Length: 0\r\nConnection: foo, Close\r\n\r\n`, { keepAlive: false }],
  [`${ok}Content-Length: 0\r\nConnection: keep-alive\r\n\r\n`, { keepAlive: true }],
  [`${ok}Content-Length: 0\r\nConnection: closed, not-close\r\n\r\n`, { keepAlive: true }],
  ['HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', { keepAlive: false }],
])('%j', (text, expected) => {
  expect(parse(text)).toMatchObject(expected);
});

test.each([
  ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
  ['something before the status line', `x${ok}Content-Length: 0\r\n\r\n`],
  ['another version', 'HTTP/2 200\r\n\r\n'],
  ['no status', 'HTTP/1.1 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a folded field', `${ok}A: b\r\n c\r\n\r\n`],
  ['a folded field with a colon', `${ok}A: b\r\n c: d\r\nContent-Length: 0\r\n\r\n`],
  ['a field of some letters without colon', `${ok}Content-Length: 0\r\nServer\r\n\r\n`],
  ['a field without colon', `${ok}A\r\n\r\n`],
  ['a field without name', `${ok}: b\r\n\r\n`],
  ['a space before the colon', `${ok}Content-Length : 0\r\n\r\n`],
  ['a bare line feed', `${ok}A: b\nContent-Length: 0\r\n\r\n`],
  ['a bare carriage return', `${ok}A: b\rC: d\r\n\r\n`],
  ['a NUL', `${ok}A: \0\r\n\r\n`],
  ['two lengths', `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`],
  ['a list of lengths', `${ok}Content-Length: 1, 1\r\n\r\nx`],
  ['a signed length', `${ok}Content-Length: +1\r\n\r\nx`],
  ['a hexadecimal length', `${ok}Content-Length: 0x1\r\n\r\nx`],
  ['a length and a coding', `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx`],
  ['another coding', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`],
  ['chunked twice', `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['a chunk size that is none', `${ok}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`],
  ['a chunk size with something behind it', `${ok}Transfer-Encoding: chunked\r\n\r\n1 x\r\nx\r\n`],
  ['a signed chunk size', `${ok}Transfer-Encoding: chunked\r\n\r\n-1\r\n`],
  ['no chunk size', `${ok}Transfer-Encoding: chunked\r\n\r\n\r\n`],
  ['a chunk size of nine digits', `${ok}Transfer-Encoding: chunked\r\n\r\n000000001\r\nx\r\n`],
  ['a chunk longer than its size', `${ok}Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n`],
  ['a chunk line with a bare line feed', `${ok}Transfer-Encoding: chunked\r\n\r\n1\nx\r\n`],
  ['a chunk line with a bare line feed behind an extension', `${chunked}1;\nx\r\n0\r\n\r\n`],
  ['a bare line feed behind data that ends in a carriage return', `${chunked}2\r\na\r\n0\r\n\r\n`],
  ['a trailer that is none', `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nx y\r\n\r\n`],
  ['a body over 1 MiB by its length', `${ok}Content-Length: 1048577\r\n\r\n`],
  ['a chunk over 1 MiB', `${ok}Transfer-Encoding: chunked\r\n\r\n100001\r\n`],
  ['a body over 1 MiB until the close', `${ok}\r\n${'x'.repeat(1_048_577)}`],
  [
    'chunks of more than 1 MiB together',
    `${ok}Transfer-Encoding: chunked\r\n\r\n${`80000\r\n${'x'.repeat(0x80000)}\r\n`.repeat(3)}`,
  ],
  ['a head over 64 KiB', `${ok}A: ${'x'.repeat(65_536)}\r\n\r\n`],
  ['a head without end', 'x'.repeat(65_537)],
  ['interim answers without end', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(3000)],
  ['a chunk line without end', `${ok}Transfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(5000)}`],
  ['trailers without end', `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\n${'A: b\r\n'.repeat(20_000)}`],
])('%s is refused, also in pieces', (_, text) => {
  expect(() => parse(text)).toThrow(MalformedAnswer);
  expect(() => parse(text, { cutBytes: 997 })).toThrow(MalformedAnswer);
});

const headOf = (length: number, field = 'Content-Length: 0'): string => {
  const rest = `${ok}A: \r\n${field}\r\n\r\n`;
  return rest.replace('A: ', `A: ${'x'.repeat(length - rest.length)}`);
};

describe.each([0, 997])('at its bounds, in pieces of %i bytes', (cutBytes) => {
  test.each([
    ['a body of 1 MiB by its length', `${ok}Content-Length: 1048576\r\n\r\n${'x'.repeat(1_048_576)}`, false],
    ['a body of 1 MiB until the close', `${ok}\r\n${'x'.repeat(1_048_576)}`, true],
    ['chunks of 1 MiB together', `${chunked}${`80000\r\n${'x'.repeat(0x80000)}\r\n`.repeat(2)}0\r\n\r\n`, false],
  ])('%s is taken whole', (_, text, isClosed) => {
    const answer = parse(text, { cutBytes, isClosed });
    expect(answer?.body.equals(Buffer.alloc(1_048_576, 'x'))).toBe(true);
  });

  test('a head may be 64 KiB long, those of interim answers and trailers included', () => {
    const interim = 'HTTP/1.1 100 Continue\r\n\r\n';
    const trailers = 'A: b\r\n\r\n';
    expect(parse(headOf(65_536), { cutBytes })).toMatchObject({ status: 200 });
    expect(() => parse(headOf(65_537), { cutBytes })).toThrow(MalformedAnswer);
    expect(parse(interim + headOf(65_536 - interim.length), { cutBytes })).toMatchObject({ status: 200 });
    expect(() => parse(interim + headOf(65_537 - interim.length), { cutBytes })).toThrow(MalformedAnswer);
    const withTrailers = (length: number) => `${headOf(length, 'Transfer-Encoding: chunked')}0\r\n${trailers}`;
    const fits = 65_536 - trailers.length;
    expect(parse(withTrailers(fits), { cutBytes })).toMatchObject({ status: 200 });
    expect(() => parse(withTrailers(fits + 1), { cutBytes })).toThrow(MalformedAnswer);
  });

  test('a chunk line may be 4 KiB long', () => {
    const ofLine = (length: number) => `${chunked}1;${'x'.repeat(length - 3)}\r\nx\r\n0\r\n\r\n`;
    expect(parse(ofLine(4096), { cutBytes })?.body.toString()).toBe('x');
    expect(() => parse(ofLine(4097), { cutBytes })).toThrow(MalformedAnswer);
  });
});

test.each(['', 'HTT', ok, `${ok}Content-Length: 2\r\n\r\nx`, `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\n`])(
  'cut off after %j',
  (text) => {
    expect(parse(text)).toBeUndefined();
    expect(() => parse(text, { isClosed: true })).toThrow(MalformedAnswer);
  },
);

test('nothing mends an answer that was refused', () => {
  const parser = new ResponseParser();
  expect(() => parser.write(Buffer.from('nonsense\r\n\r\n'))).toThrow(MalformedAnswer);
  expect(() => parser.write(Buffer.from(`${ok}Content-Length: 0\r\n\r\n`))).toThrow(MalformedAnswer);
  expect(() => parser.finish()).toThrow(MalformedAnswer);
});
