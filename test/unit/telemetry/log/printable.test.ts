// Whatever clients put into a line, it stays one line, and a terminal shows it and does not obey.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { escapeUnprintable, toPrintableJson, writePrettyLine } from '../../../../src/printable.ts';

/** Control characters, separators of lines, and marks that turn the direction of text. */
const unprintable = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;
const nasty = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '\n',
      '\r',
      '\t',
      '\0',
      '\u001b[31m',
      '\u009b',
      '\u007f',
      '\u2028',
      '\u202e',
      '\ud800',
      '"',
      '\\',
      '=',
      ' ',
    ),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 1 }),
  ),
  maxLength: 200,
});

describe('JSON', () => {
  test('is one line without anything to obey, and the same value', () => {
    fc.assert(
      fc.property(nasty, nasty, (name, text) => {
        for (const value of [text, { [name]: text, list: [text] }]) {
          const json = toPrintableJson(value);
          expect(json).not.toMatch(unprintable);
          expect(JSON.parse(json)).toEqual(value);
        }
      }),
    );
  });

  test('is left as it is where nothing is to be escaped', () => {
    const json = '{"key":"photos/ä/日本.jpg"}';
    expect(escapeUnprintable(json)).toBe(json);
  });
});

describe('a pretty line', () => {
  test.each([
    [
      'level, message and fields',
      { level: 30, msg: 'listening', url: 'http://a', n: 1 },
      'INFO  listening url=http://a n=1',
    ],
    ['text with spaces in quotes', { level: 40, msg: 'a', key: 'b c=d' }, 'WARN  a key="b c=d"'],
    [
      'a line feed in a key',
      { level: 30, msg: 'request', key: 'a\n12:00:00 ERROR forged' },
      'INFO  request key="a\\n12:00:00 ERROR forged"',
    ],
    [
      'an escape sequence',
      { level: 30, msg: 'request', key: '\u001b[2J\u009b31m' },
      'INFO  request key="\\u001b[2J\\u009b31m"',
    ],
    ['the same in a message', { level: 50, msg: 'bucket "a\u001b[2J" \n b' }, 'ERROR bucket "a\\u001b[2J" \\n b'],
  ])('%s', (_, entry, expected) => {
    const line = writePrettyLine(JSON.stringify({ time: '2026-11-21T12:00:00.000Z', ...entry }));
    expect(line.replace(/^\d\d:\d\d:\d\d /u, '')).toBe(`${expected}\n`);
  });

  test('shows the stack of a fault below, each of its lines escaped', () => {
    const err = { type: 'Error', message: 'a\u001b', stack: 'Error: a\u001b\n    at b\u001b (c:1)' };
    const lines = writePrettyLine(JSON.stringify({ level: 50, time: 0, msg: 'x', err })).split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('err={"type":"Error","message":"a\\u001b"}');
    expect(lines[1]).toBe('    at b\\u001b (c:1)');
  });

  test('holds nothing to obey, whatever is in it', () => {
    fc.assert(
      fc.property(nasty, nasty, nasty, (name, text, msg) => {
        const entry = { level: 30, time: 0, msg, key: text, deep: { [name]: text } };
        const line = writePrettyLine(JSON.stringify(entry));
        expect(line.slice(0, -1)).not.toMatch(unprintable);
        expect(line.endsWith('\n')).toBe(true);
      }),
    );
  });
});
