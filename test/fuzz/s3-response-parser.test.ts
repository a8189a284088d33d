// The backend's answers, cut and spoilt in every way: an answer or MalformedAnswer, the same for any cut.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { MalformedAnswer, ResponseParser } from '../../src/storage/s3/response-parser.ts';

interface Seen {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  readonly keepAlive: boolean;
}

/** Writes the bytes in pieces, then ends the connection unless the answer is whole. */
function parse(bytes: Uint8Array, cuts: readonly number[]): Seen | 'malformed' {
  const parser = new ResponseParser();
  try {
    let at = 0;
    for (const cut of [...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]) {
      const piece = Uint8Array.from(bytes.subarray(at, cut));
      parser.write(piece);
      piece.fill(0xff);
      at = cut;
    }
    const { status, headers, body, keepAlive } = parser.isDone ? parser.answer : parser.finish();
    return { status, headers: [...headers], body: body.toString('latin1'), keepAlive };
  } catch (error) {
    if (error instanceof MalformedAnswer) return 'malformed';
    throw error;
  }
}

const cuts = fc.array(fc.nat(100_000), { maxLength: 20 });
const sometimes = (text: string) => fc.constantFrom('', '', text);
const body = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const name = fc.constantFrom(
  'ETag',
  'x-amz-version-id',
  'Vary',
  'Server',
  'CONNECTION',
  'Content-Length',
  'Transfer-Encoding',
);
const value = fc.oneof(
  fc.constantFrom('close', 'keep-alive', 'chunked', '0', '5', '"e"', ' spaced\t'),
  fc.string({ maxLength: 20 }),
);
const field = fc.tuple(name, value).map(([fieldName, text]) => `${fieldName}: ${text}\r\n`);
const chunk = fc
  .tuple(body, fc.constantFrom('', ';a', ';a="b"', ' '))
  .map(([text, extension]) => (text === '' ? '' : `${text.length.toString(16)}${extension}\r\n${text}\r\n`));
const status = fc.constantFrom(100, 102, 200, 204, 301, 304, 400, 403, 404, 412, 429, 500, 503);
const framedBody = fc.oneof(
  body.map((text) => `Content-Length: ${text.length}\r\n\r\n${text}`),
  fc
    .array(chunk, { maxLength: 5 })
    .chain((chunks) =>
      sometimes('X-Sum: 1\r\n').map(
        (trailer) => `Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n${trailer}\r\n`,
      ),
    ),
  body.map((text) => `\r\n${text}`),
);
/** Mostly well formed. */
const answer = fc
  .tuple(
    sometimes('HTTP/1.1 100 Continue\r\n\r\n'),
    status,
    fc.array(field, { maxLength: 4 }),
    framedBody,
    sometimes('rest'),
  )
  .map(
    ([interim, code, fields, rest, surplus]) =>
      `${interim}HTTP/1.1 ${code} Reason\r\n${fields.join('')}${rest}${surplus}`,
  )
  .map((text) => Buffer.from(text, 'latin1'));
/** A few bytes of it replaced, taken out or put in. */
const spoilt = fc
  .tuple(
    answer,
    fc.array(fc.tuple(fc.nat(1000), fc.constantFrom(0, 1), fc.uint8Array({ maxLength: 3 })), { maxLength: 4 }),
  )
  .map(([bytes, edits]) =>
    edits.reduce((text, [at, taken, added]) => {
      const from = at % (text.length + 1);
      return Buffer.concat([text.subarray(0, from), added, text.subarray(from + taken)]);
    }, bytes),
  );
const anything = fc.oneof(
  { weight: 3, arbitrary: answer },
  { weight: 3, arbitrary: spoilt },
  fc.uint8Array({ maxLength: 500 }),
);

test('any bytes, cut anywhere, give the same answer or the same refusal', () => {
  fc.assert(
    fc.property(anything, cuts, (bytes, where) => {
      expect(parse(bytes, where)).toEqual(parse(bytes, []));
    }),
    { numRuns: 5000 },
  );
});

test('one byte at a time is no different', () => {
  fc.assert(
    fc.property(anything, (bytes) => {
      expect(parse(bytes, [...bytes.keys()])).toEqual(parse(bytes, []));
    }),
    { numRuns: 500 },
  );
});

test('a well-formed answer is read as it was meant', () => {
  fc.assert(
    fc.property(body, fc.array(body, { maxLength: 4 }), cuts, (text, texts, where) => {
      const sized = `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
      expect(parse(Buffer.from(sized, 'latin1'), where)).toMatchObject({ status: 200, body: text, keepAlive: true });
      const chunks = texts.filter((each) => each !== '').map((each) => `${each.length.toString(16)}\r\n${each}\r\n`);
      const chunked = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`;
      expect(parse(Buffer.from(chunked, 'latin1'), where)).toMatchObject({ body: texts.join(''), keepAlive: true });
    }),
    { numRuns: 1000 },
  );
});

test('an answer that never ends is refused while little is held', () => {
  const beginnings = [
    '',
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.1 200 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
  ];
  const piece = fc.oneof(
    fc.constantFrom('x', 'A: b\r\n', '1\r\nx\r\n', ';', '\r\n', 'HTTP/1.1 100 Continue\r\n\r\n', '0\r\n'),
    fc.string({ minLength: 1, maxLength: 50 }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...beginnings), piece, (beginning, repeated) => {
      const parser = new ResponseParser();
      const bytes = Buffer.from(repeated.repeat(Math.ceil(8192 / repeated.length)));
      const feed = (): void => {
        parser.write(Buffer.from(beginning));
        // 16 MiB at most, where every bound is below 2 MiB of wire bytes save that of one-byte chunks.
        for (let i = 0; i < 2048 && !parser.isDone; i++) parser.write(bytes);
      };
      try {
        feed();
        expect(parser.isDone).toBe(true);
      } catch (error) {
        if (!(error instanceof MalformedAnswer)) throw error;
      }
    }),
    { numRuns: 60 },
  );
});
