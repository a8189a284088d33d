// Any document: parts or an S3Error. Any text: a document that a strict parser reads it back from.
import * as fc from 'fast-check';
import { SaxesParser } from 'saxes';
import { expect, test } from 'vitest';
import { errorResponse } from '../../src/error-response.ts';
import { S3Error } from '../../src/errors.ts';
import type { CompletedPart } from '../../src/storage/storage.ts';
import { escapeXml } from '../../src/upload/xml/escape-xml.ts';
import { CompletedPartsParser } from '../../src/upload/xml/parse-complete-multipart-upload.ts';
import { writeInitiateMultipartUploadResult } from '../../src/upload/xml/write-results.ts';

/** @param cut bytes that come at a time. */
function parse(xml: string, cut = Infinity): readonly CompletedPart[] {
  const bytes = Buffer.from(xml);
  const parser = new CompletedPartsParser();
  for (let at = 0; at < bytes.length; at += cut) parser.write(bytes.subarray(at, at + cut));
  return parser.end();
}

function isPartsOrRefusal(xml: string): boolean {
  try {
    const parts = parse(xml);
    return parts.length > 0 && parts.every(({ partNumber, etag }) => partNumber >= 1 && /^"[!#-~]+"$/.test(etag));
  } catch (error) {
    if (!(error instanceof S3Error)) throw error;
    return true;
  }
}

const piece = fc.oneof(
  fc.constantFrom('<CompleteMultipartUpload>', '</CompleteMultipartUpload>', '<Part>', '</Part>', '<Part/>', '<ETag/>'),
  fc.constantFrom(
    '<PartNumber>',
    '</PartNumber>',
    '<ETag>',
    '</ETag>',
    '<ChecksumSHA1>',
    '</ChecksumSHA1>',
    '1',
    '"a"',
  ),
  fc.constantFrom('<!--', '-->', '<![CDATA[', ']]>', '<?', '?>', '<?xml version="1.0"?>', '<!DOCTYPE a>', '<!ENTITY'),
  fc.constantFrom('&amp;', '&#x', '&#34;', '&', ';', '<', '>', '"', '=', ' a="b"', ' xmlns="c"', '\r\n', '\ufeff'),
  fc.string({ unit: 'binary', maxLength: 4 }),
);

test('parts or a refusal for anything', () => {
  const soup = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(soup, (xml) => {
      expect(isPartsOrRefusal(xml)).toBe(true);
      expect(isPartsOrRefusal(`<CompleteMultipartUpload><Part>${xml}</Part></CompleteMultipartUpload>`)).toBe(true);
    }),
    { numRuns: 10_000 },
  );
});

const etag = fc.stringMatching(/^[abc0-9&<>'-]{1,40}$/);
const checksum = fc.tuple(
  fc.constantFrom('crc32' as const, 'crc32c' as const, 'crc64nvme' as const, 'sha1' as const, 'sha256' as const),
  fc.base64String({ minLength: 4, maxLength: 44 }),
);
const parts: fc.Arbitrary<CompletedPart[]> = fc
  .uniqueArray(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 20 })
  .map((numbers) => numbers.toSorted((a, b) => a - b))
  .chain((numbers) =>
    fc.tuple(
      ...numbers.map((partNumber) =>
        fc.tuple(etag, fc.option(checksum)).map(([tag, sum]) => ({
          partNumber,
          etag: `"${tag}"`,
          ...(sum !== null && { checksums: [sum] }),
        })),
      ),
    ),
  );

const write = (list: readonly CompletedPart[]): string =>
  `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${list.map(writePart).join('\n')}</CompleteMultipartUpload>`;
const writePart = ({ partNumber, etag: tag, checksums = [] }: CompletedPart): string =>
  `<Part><ETag>${escapeXml(tag)}</ETag>${checksums
    .map(([name, value]) => `<Checksum${name.toUpperCase()}>${value}</Checksum${name.toUpperCase()}>`)
    .join('')}<PartNumber>${partNumber}</PartNumber></Part>`;

test('parts that are written are read', () => {
  fc.assert(
    fc.property(parts, fc.integer({ min: 1, max: 100 }), (list, cut) => {
      expect(parse(write(list))).toEqual(list);
      expect(parse(write(list), cut)).toEqual(list);
    }),
  );
});

test('a document that is cut short is refused', () => {
  fc.assert(
    fc.property(parts, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (list, share) => {
      const xml = write(list);
      expect(() => parse(xml.slice(0, Math.floor(xml.length * share)))).toThrow(S3Error);
    }),
  );
});

test('any text stands in a result, and a strict parser reads it back', () => {
  const inXml = /^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u;
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 50 }), fc.string({ unit: 'binary' }), (key, message) => {
      const read = readTexts(writeInitiateMultipartUploadResult({ bucket: 'b', key, uploadId: 'u' }));
      expect(!inXml.test(key) || (read.get('Key') ?? '') === key).toBe(true);
      const error = new S3Error('InvalidRequest', { detail: message });
      const answer = readTexts(String(errorResponse(error, { requestId: 'r', resource: key }).body ?? ''));
      expect(!inXml.test(message) || (answer.get('Message') ?? '') === message).toBe(true);
      expect(answer.get('RequestId')).toBe('r');
    }),
    { numRuns: 3000 },
  );
});

function readTexts(xml: string): Map<string, string> {
  const texts = new Map<string, string>();
  let name = '';
  const parser = new SaxesParser();
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', (tag) => {
    name = tag.name;
  });
  parser.on('text', (text) => texts.set(name, text));
  parser.write(xml).close();
  return texts;
}
