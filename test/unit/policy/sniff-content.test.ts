// Which first bytes can be of which declared type.
import { describe, expect, test } from 'vitest';
import { createContentSniffer, isBelied } from '../../../src/policy/sniff-content.ts';

const hex = (digits: string, more = 64): Buffer => Buffer.concat([Buffer.from(digits, 'hex'), Buffer.alloc(more, 1)]);
const dosStub = Buffer.concat([
  Buffer.from('MZ\x90\0'),
  Buffer.alloc(56),
  Buffer.from([0x80, 0, 0, 0]),
  Buffer.alloc(64),
]);

/** Real first bytes, by what they are of. */
const heads = {
  png: hex('89504e470d0a1a0a0000000d49484452'),
  jpeg: hex('ffd8ffe000104a46494600'),
  gif: Buffer.from('GIF89a\x01\0\x01\0'),
  webp: Buffer.from('RIFF\x24\0\0\0WEBPVP8 '),
  wav: Buffer.from('RIFF\x24\0\0\0WAVEfmt '),
  bmp: hex('424d46000000000000003600000028000000'),
  heic: hex('0000001866747970686569630000'),
  mp4: hex('000000186674797069736f6d00000200'),
  mov: hex('00000014667479707174202000000000'),
  webm: hex('1a45dfa39f4286810142f781'),
  pdf: Buffer.from('%PDF-1.7\n%\u00e2\u00e3'),
  zip: hex('504b0304140000000800'),
  gzip: hex('1f8b0800000000000003'),
  ole: hex('d0cf11e0a1b11ae1'),
  exe: dosStub,
  elf: hex('7f454c4602010100', 20),
  machO: hex('cffaedfe07000001'),
  javaClass: hex('cafebabe00000034'),
  woff2: hex('774f463200010000'),
  html: Buffer.from('<!DOCTYPE html><html>'),
  script: Buffer.from('\n  <script>x</script>'),
  xml: Buffer.from('<?xml version="1.0"?><a/>'),
  svg: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg">'),
  json: Buffer.from('{"a":1}'),
  text: Buffer.from('Just some text.'),
  nothing: Buffer.alloc(600, 0),
} satisfies Record<string, Buffer>;
type Head = keyof typeof heads;

/** Which of all heads each type may have. */
const fits: Readonly<Record<string, readonly Head[]>> = {
  'image/png': ['png'],
  'image/jpeg': ['jpeg'],
  'image/gif': ['gif'],
  'image/webp': ['webp'],
  'image/bmp': ['bmp'],
  'image/heic': ['heic', 'mp4', 'mov'],
  'application/pdf': ['pdf'],
  'application/gzip': ['gzip'],
  'font/woff2': ['woff2'],
  'video/mp4': ['heic', 'mp4', 'mov', 'webm', 'wav', 'json', 'text', 'nothing'],
  'audio/wav': ['heic', 'mp4', 'mov', 'webm', 'wav', 'json', 'text', 'nothing'],
  'image/svg+xml': ['svg', 'xml', 'gzip', 'html', 'script', 'json', 'text', 'nothing'],
  'text/html': ['html', 'script', 'xml', 'svg', 'json', 'text', 'nothing'],
  'text/plain': ['html', 'script', 'xml', 'svg', 'json', 'text', 'nothing'],
  'application/json': ['html', 'script', 'json', 'text', 'nothing'],
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': [
    ...(['zip', 'ole', 'gzip', 'html', 'script', 'xml', 'json', 'text', 'nothing'] as const),
  ],
  'application/x-own': ['zip', 'ole', 'gzip', 'html', 'script', 'xml', 'json', 'text', 'nothing'],
  'application/x-executable': [
    'elf',
    'exe',
    'machO',
    'javaClass',
    'zip',
    'ole',
    'gzip',
    'html',
    'script',
    'xml',
    'json',
    'text',
    'nothing',
  ],
};

test.each(Object.entries(fits))('%s', (type, allowed) => {
  const names = Object.keys(heads) as Head[];
  expect(names.filter((name) => !isBelied(type, heads[name])).toSorted()).toEqual(allowed.toSorted());
});

test.each([
  ['text/plain', 'The free software movement'],
  ['text/plain', 'MZ is not always a program'],
  ['text/plain', 'BMW builds cars'],
  ['text/plain', 'PLEASE read'],
  ['text/csv', 'ID3,name\n1,2'],
  ['text/plain', 'GREAT'],
  ['text/x-script', '#!/bin/sh\n'],
  ['text/plain', '\u00ef\u00bb\u00bfwith a byte order mark'],
  ['application/pdf', `${'x'.repeat(500)}%PDF-1.4`],
  ['text/plain', 'how a file begins: %PDF-1.4'],
  ['application/x-own', 'MZ\0\0 and no header'],
])('%s may begin with %j', (type, text) => {
  expect(isBelied(type, Buffer.from(text, 'latin1'))).toBe(false);
});

test.each([
  ['application/vnd.ms-excel', 'elf'],
  ['application/java-archive', 'javaClass'],
  ['application/x-own+json', 'zip'],
  ['application/x-own+xml', 'png'],
  ['font/ttf', 'html'],
  ['video/x-own', 'script'],
] as const)('%s is not %s', (type, name) => {
  expect(isBelied(type, heads[name])).toBe(true);
});

describe('a body in pieces', () => {
  const sniff = (type: string, pieces: readonly Uint8Array[]): string => {
    const sniffer = createContentSniffer(type);
    if (sniffer === undefined) return 'not looked at';
    try {
      for (const piece of pieces) sniffer.write(piece);
    } catch {
      return 'refused early';
    }
    try {
      sniffer.finish();
    } catch {
      return 'refused at the end';
    }
    return 'taken';
  };

  test.each([1, 7, 512, 1023, 1024, 1025, 5000])('of %i bytes', (size) => {
    const cut = (body: Buffer) =>
      Array.from({ length: Math.ceil(body.length / size) }, (_, index) =>
        body.subarray(index * size, (index + 1) * size),
      );
    const long = (head: Buffer) => Buffer.concat([head, Buffer.alloc(4000, 1)]);
    expect(sniff('image/png', cut(long(heads.png)))).toBe('taken');
    expect(sniff('image/png', cut(long(heads.elf)))).toBe('refused early');
    expect(sniff('image/png', cut(heads.elf))).toBe('refused at the end');
    expect(sniff('image/png', cut(heads.png))).toBe('taken');
  });

  test('that comes in a small and a large piece is judged by the first bytes of both', () => {
    const long = Buffer.concat([heads.elf, Buffer.alloc(4000, 1)]);
    expect(sniff('image/png', [long.subarray(0, 2), long.subarray(2)])).toBe('refused early');
    const hidden = Buffer.concat([heads.elf, heads.png, Buffer.alloc(4000, 1)]);
    expect(sniff('image/png', [hidden.subarray(0, heads.elf.length), hidden.subarray(heads.elf.length)])).toBe(
      'refused early',
    );
  });

  test('is not kept: the memory is lent', () => {
    const sniffer = createContentSniffer('image/png');
    const lent = Buffer.from(heads.png);
    sniffer?.write(lent);
    lent.fill(0);
    expect(() => sniffer?.finish()).not.toThrow();
  });

  test('that is empty belies nothing', () => {
    expect(sniff('image/png', [])).toBe('taken');
  });

  test('of which nothing is declared is not looked at', () => {
    expect(sniff('application/octet-stream', [heads.elf])).toBe('not looked at');
    expect(sniff('binary/octet-stream', [heads.elf])).toBe('not looked at');
  });
});

describe('short signatures', () => {
  const after = (signature: string, rest: readonly number[]): Buffer =>
    Buffer.concat([Buffer.from(signature, 'hex'), Buffer.from(rest), Buffer.alloc(64, 1)]);

  test.each([0x08, 0x0b, 0x0e, 0x1a, 0x1c, 0x1f, 0])('letters and the byte %i are no text', (byte) => {
    expect(isBelied('text/plain', Buffer.from([...Buffer.from('MThd'), byte, ...Buffer.from(' is a word')]))).toBe(
      true,
    );
  });

  test.each([0x09, 0x0a, 0x0c, 0x0d, 0x1b, 0x20, 0x7f, 0xff])('letters and the byte %i may be text', (byte) => {
    expect(isBelied('text/plain', Buffer.from([...Buffer.from('MThd'), byte, ...Buffer.from(' is a word')]))).toBe(
      false,
    );
  });

  test.each([
    ['of gzip, with its one method', after('1f8b', [8]), true],
    ['of gzip, with another', after('1f8b', [7]), false],
    ['of MP3, with a tag', after('494433', [4, 0]), true],
    ['of MP3, of two bytes', after('fffb', [0x90, 0]), false],
    ['of a bitmap, with nothing in what is reserved', after('424d', [1, 2, 3, 4, 0, 0, 0, 0]), true],
    ...[0, 1, 2, 3].map((at) => {
      const reserved = [0, 1, 2, 3].map((one) => (one === at ? 1 : 0));
      return [`of a bitmap, with something in ${at}`, after('424d', [1, 2, 3, 4, ...reserved]), false] as const;
    }),
    ['of a program, whose header is near', dosStub, true],
    ['of a program, cut behind the address of its header', dosStub.subarray(0, 0x40), true],
    ['of a program, cut before it', dosStub.subarray(0, 0x3f), false],
    ...[0x3e, 0x3f].map((at) => {
      const far = Buffer.from(dosStub);
      far[at] = 1;
      return [`of a program, whose header is far away by byte ${at}`, far, false] as const;
    }),
  ] as const)('%s', (_, head, isSigned) => {
    expect(isBelied('text/plain', head)).toBe(isSigned);
  });
});
