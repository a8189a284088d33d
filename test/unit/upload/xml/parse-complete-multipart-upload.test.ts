// CompleteMultipartUpload documents, right and wrong.
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../../src/errors.ts';
import type { CompletedPart } from '../../../../src/storage/storage.ts';
import { CompletedPartsParser } from '../../../../src/upload/xml/parse-complete-multipart-upload.ts';

function parse(xml: string): readonly CompletedPart[] {
  const parser = new CompletedPartsParser();
  parser.write(Buffer.from(xml));
  return parser.end();
}

const part = (number: number | string, etag = '"a"', more = ''): string =>
  `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag>${more}</Part>`;
const list = (...parts: string[]): string => `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;

const attributes = (count: number): string => Array.from({ length: count }, (_, i) => `a${i}=""`).join(' ');

function codeOf(xml: string): string {
  try {
    parse(xml);
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'parsed';
}

describe('right', () => {
  test('as the SDKs write it', () => {
    const xml = `<?xml version="1.0" encoding="UTF-8"?>
      <CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
        <Part><ETag>&quot;e1&quot;</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32><PartNumber>1</PartNumber></Part>
        <!-- a gap is allowed -->
        <Part>
          <PartNumber>3</PartNumber>
          <ETag>"e3"</ETag>
          <ChecksumCRC32C>a</ChecksumCRC32C><ChecksumCRC64NVME>b</ChecksumCRC64NVME>
          <ChecksumSHA1>c</ChecksumSHA1><ChecksumSHA256>d</ChecksumSHA256>
        </Part>
      </CompleteMultipartUpload>\n`;
    expect(parse(xml)).toEqual([
      { partNumber: 1, etag: '"e1"', checksums: [['crc32', 'AAAAAA==']] },
      {
        partNumber: 3,
        etag: '"e3"',
        checksums: [
          ['crc32c', 'a'],
          ['crc64nvme', 'b'],
          ['sha1', 'c'],
          ['sha256', 'd'],
        ],
      },
    ]);
  });

  test.each(['e', '"e"', '&quot;e&quot;', '&#34;e&#x22;', ' \n e ', '<![CDATA["e"]]>', '&#x65;', '<!-- -->"e<?pi?>"'])(
    'an entity tag written %s',
    (written) => {
      expect(parse(list(part(1, written)))).toEqual([{ partNumber: 1, etag: '"e"' }]);
    },
  );

  test.each(['<?xml version="1.0"?>', '<?xml version="1.0" encoding="utf-8" standalone="yes"?>', '\ufeff', '<!-- -->'])(
    'after %j',
    (start) => {
      expect(parse(start + list(part(1)))).toHaveLength(1);
    },
  );

  test('attributes are not looked at', () => {
    const xml = `<CompleteMultipartUpload ${attributes(16)}>${part(1)}</CompleteMultipartUpload>`;
    expect(parse(xml)).toHaveLength(1);
  });

  test('an empty checksum is none', () => {
    expect(parse(list(part(1, 'e', '<ChecksumSHA1/>')))).toEqual([{ partNumber: 1, etag: '"e"' }]);
  });

  test('10,000 parts', () => {
    const parts = Array.from({ length: 10_000 }, (_, i) => part(i + 1));
    expect(parse(list(...parts)).at(-1)).toEqual({ partNumber: 10_000, etag: '"a"' });
    expect(codeOf(list(...parts, part(10_001)))).toBe('MalformedXML');
  });
});

describe('as it comes', () => {
  test('byte by byte, also within characters and at the ends of lines', () => {
    const xml = `\ufeff<?xml version="1.0"?>\r\n<!-- \u{1f991}é -->${list(part(1, '&quot;e&quot;'), '\r\n', part(2))}`;
    const parser = new CompletedPartsParser();
    for (const byte of Buffer.from(xml)) parser.write(Buffer.of(byte));
    expect(parser.end()).toEqual(parse(xml));
    expect(parse(xml)).toHaveLength(2);
  });

  test('it ends at the first fault', () => {
    const parser = new CompletedPartsParser();
    expect(() => parser.write(Buffer.from('<CompleteMultipartUpload><Other>'))).toThrow(S3Error);
  });

  test.each([
    ['white space', '', ' '],
    ['a comment', '<!--', 'x'],
    ['a processing instruction', '<?x ', 'x'],
    ["an element's name", '<', 'x'],
    ["an attribute's value", '<Part a="', 'x'],
    ['a field', '<Part><ETag>', 'x'],
    ['CDATA', '<Part><ETag><![CDATA[', 'x'],
  ])('what has no end is not kept: %s', (_, start, filling) => {
    const parser = new CompletedPartsParser();
    parser.write(Buffer.from(`<CompleteMultipartUpload>${start}`));
    const filled = Buffer.alloc(1000, filling);
    const write = (): void => {
      for (let bytes = 0; bytes < 100_000; bytes += filled.length) parser.write(filled);
    };
    expect(write).toThrow(S3Error);
  });

  test('a document may be long, when there are tags in it', () => {
    const parts = Array.from({ length: 10_000 }, (_, i) => part(i + 1, 'a'.repeat(200)));
    expect(parse(list(...parts))).toHaveLength(10_000);
  });
});

test('a comment that is not UTF-8 is MalformedXML', () => {
  const parser = new CompletedPartsParser();
  const xml = Buffer.from(list(part(1, 'e', '<!-- \u00ff -->')), 'latin1');
  expect(() => parser.write(xml)).toThrow(expect.objectContaining({ code: 'MalformedXML' }));
});

test.each([Buffer.of(0xff), Buffer.from('é').subarray(0, 1)])('text that is not UTF-8 is MalformedXML', (bytes) => {
  const xml = Buffer.concat([Buffer.from(`${list(part(1))}<!-- -->`), bytes]);
  const parser = new CompletedPartsParser();
  const write = (): unknown => (parser.write(xml), parser.end());
  expect(write).toThrow(S3Error);
});

describe('MalformedXML', () => {
  test.each([
    ['nothing', ''],
    ['no XML', 'x'],
    ['no parts', list()],
    ['another document', '<Delete/>'],
    ['two documents', list(part(1)) + list(part(2))],
    ['text behind', `${list(part(1))}x`],
    ['another document of the same form', `<Delete>${part(1)}</Delete>`],
    ['a document in a part', list(part(1, 'e', '<CompleteMultipartUpload/>'))],
    ['no end', '<CompleteMultipartUpload><Part>'],
    ['an end that is missing behind a whole part', list(part(1)).slice(0, -1)],
    ['an end that is missing behind the list', `<CompleteMultipartUpload>${part(1)}`],
    ['tags that cross', '<CompleteMultipartUpload><Part></CompleteMultipartUpload></Part>'],
    ['another element', list('<Other/>', part(1))],
    ['another field', list(part(1, 'e', '<Size>1</Size>'))],
    ['an element too deep', list(part(1, '<b>e</b>'))],
    ['a field in a field', list(part(1, '<ChecksumSHA1/>e'))],
    ['a part in a part', list('<Part><Part/><PartNumber>1</PartNumber><ETag>e</ETag></Part>')],
    ['a field outside of a part', list('<PartNumber>1</PartNumber>')],
    ['a field twice', list(part(1, 'e', '<ETag>e</ETag>'))],
    ['text between parts', list('x', part(1))],
    ['text between fields', list(part(1, 'e', 'x'))],
    ['no number', list('<Part><ETag>e</ETag></Part>')],
    ['no entity tag', list('<Part><PartNumber>1</PartNumber></Part>')],
    ['an empty entity tag', list(part(1, ''))],
    ['a number that is none', list(part('x'))],
    ['a negative number', list(part('-1'))],
    ['a number with a fraction', list(part('1.0'))],
    ['a very long value', list(part(1, 'e'.repeat(257)))],
    ['names in another case', list('<part><partnumber>1</partnumber><etag>e</etag></part>')],
    ['a document type', `<!DOCTYPE CompleteMultipartUpload>${list(part(1))}`],
    ['an entity of its own', `<!DOCTYPE a [<!ENTITY b "c">]>${list(part(1, '&b;'))}`],
    ['an external entity', `<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>${list(part(1, '&b;'))}`],
    ['an entity that is not there', list(part(1, '&b;'))],
    ['a bare ampersand', list(part(1, 'a&b'))],
    ['a character that XML has not', list(part(1, '&#0;'))],
    ['a raw control character', list(part(1, '\u0001'))],
    ['an encoding that it is not in', `<?xml version="1.0" encoding="ISO-8859-1"?>${list(part(1))}`],
    ['very many attributes', `<CompleteMultipartUpload ${attributes(17)}>${part(1)}</CompleteMultipartUpload>`],
    ['an attribute without quotes', '<CompleteMultipartUpload a=b></CompleteMultipartUpload>'],
  ])('%s', (_, xml) => {
    expect(codeOf(xml)).toBe('MalformedXML');
  });

  test('deep nesting ends at the fourth level', () => {
    expect(codeOf('<CompleteMultipartUpload>'.repeat(100_000))).toBe('MalformedXML');
  });
});

test.each(['0', '10001', '9'.repeat(200)])('part number %s is out of range', (number) => {
  expect(codeOf(list(part(number)))).toBe('InvalidArgument');
});

test.each([[[2, 1]], [[1, 1]], [[1, 3, 2]]])('parts %j are out of order', (numbers) => {
  expect(codeOf(list(...numbers.map((number) => part(number))))).toBe('InvalidPartOrder');
});

test.each(['a b', 'a"b', '""', 'é', 'W/"a'])('no part has the entity tag %s', (etag) => {
  expect(codeOf(list(part(1, etag)))).toBe('InvalidPart');
});
