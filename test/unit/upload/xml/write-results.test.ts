// The documents that answer successful requests.
import { XMLParser } from 'fast-xml-parser';
import { SaxesParser } from 'saxes';
import { expect, test } from 'vitest';
import { escapeXml } from '../../../../src/upload/xml/escape-xml.ts';
import {
  writeCompleteMultipartUploadResult,
  writeInitiateMultipartUploadResult,
  writeListPartsResult,
  writeLocationConstraint,
} from '../../../../src/upload/xml/write-results.ts';
import { xmlResponse } from '../../../../src/upload/xml/xml-response.ts';

const start = '<?xml version="1.0" encoding="UTF-8"?>\n';
const namespace = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
const object = { bucket: 'uploads', key: 'a & b/<c>.bin' };
const key = '<Key>a &amp; b/&lt;c&gt;.bin</Key>';

test('InitiateMultipartUploadResult', () => {
  expect(writeInitiateMultipartUploadResult({ ...object, uploadId: 'u' })).toBe(
    `${start}<InitiateMultipartUploadResult ${namespace}><Bucket>uploads</Bucket>${key}<UploadId>u</UploadId></InitiateMultipartUploadResult>`,
  );
});

test('CompleteMultipartUploadResult', () => {
  const location = 'http://proxy/uploads/a%20&%20b';
  expect(writeCompleteMultipartUploadResult({ ...object, location, etag: '"e-2"' })).toBe(
    `${start}<CompleteMultipartUploadResult ${namespace}><Location>http://proxy/uploads/a%20&amp;%20b</Location><Bucket>uploads</Bucket>${key}<ETag>&quot;e-2&quot;</ETag></CompleteMultipartUploadResult>`,
  );
  const headers = new Map([
    ['x-amz-checksum-crc64nvme', 'AAAAAAAAAAA='],
    ['x-amz-checksum-type', 'FULL_OBJECT'],
    ['x-amz-version-id', 'v'],
  ]);
  expect(writeCompleteMultipartUploadResult({ ...object, location, etag: '"e"', headers })).toContain(
    '<ETag>&quot;e&quot;</ETag><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>',
  );
});

test('ListPartsResult', () => {
  const lastModified = new Date('2026-01-02T03:04:05.678Z');
  const page = {
    parts: [
      { partNumber: 1, etag: '"e1"', size: 5_242_880, lastModified, checksums: [['sha256', 'AA==']] as const },
      { partNumber: 3, etag: '"e3"', size: 0, lastModified, checksums: [] },
    ],
    isTruncated: true,
    nextPartNumberMarker: 3,
    storageClass: 'STANDARD',
    checksumAlgorithm: 'SHA256',
    checksumType: 'COMPOSITE',
  };
  expect(writeListPartsResult({ ...object, uploadId: 'u', maxParts: 2, partNumberMarker: 0, ...page })).toBe(
    `${start}<ListPartsResult ${namespace}><Bucket>uploads</Bucket>${key}<UploadId>u</UploadId>` +
      '<PartNumberMarker>0</PartNumberMarker><NextPartNumberMarker>3</NextPartNumberMarker><MaxParts>2</MaxParts><IsTruncated>true</IsTruncated>' +
      '<Part><PartNumber>1</PartNumber><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&quot;e1&quot;</ETag><Size>5242880</Size><ChecksumSHA256>AA==</ChecksumSHA256></Part>' +
      '<Part><PartNumber>3</PartNumber><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&quot;e3&quot;</ETag><Size>0</Size></Part>' +
      '<StorageClass>STANDARD</StorageClass><ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType></ListPartsResult>',
  );
});

test('LocationConstraint', () => {
  expect(writeLocationConstraint('eu-west-1')).toBe(
    `${start}<LocationConstraint ${namespace}>eu-west-1</LocationConstraint>`,
  );
  expect(writeLocationConstraint('us-east-1')).toBe(`${start}<LocationConstraint ${namespace}></LocationConstraint>`);
});

test('an answer with a document', () => {
  expect(xmlResponse('<a/>', new Map([['x-amz-version-id', 'v']]))).toEqual({
    status: 200,
    headers: [
      ['Content-Type', 'application/xml'],
      ['x-amz-version-id', 'v'],
    ],
    body: '<a/>',
  });
});

test('keys with characters that XML has not: the document stays one that every parser takes', () => {
  expect(escapeXml('a\u0001\u001f\uffff\ud83e-\u0080🦈')).toBe('a\ufffd\ufffd\ufffd\ufffd-\u0080🦈');
  expect(escapeXml('\t\r\n')).toBe('&#9;&#13;&#10;');
  expect(escapeXml(`"'<>&`)).toBe(`&quot;'&lt;&gt;&amp;`);
});

test('what a key was is read back from the document', () => {
  const odd = 'é🦈 <&>"\' ]]> %41 + -- \u0085\u2028';
  const xml = writeInitiateMultipartUploadResult({ bucket: 'b', key: odd, uploadId: '1' });
  expect(new XMLParser({ trimValues: false }).parse(xml).InitiateMultipartUploadResult.Key).toBe(odd);
  const strict = new SaxesParser();
  const texts: string[] = [];
  strict.on('text', (text) => texts.push(text));
  strict.write(xml).close();
  expect(texts).toContain(odd);
});
