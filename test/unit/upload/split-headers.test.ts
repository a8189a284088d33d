// The header fields of a PutObject, on the calls that it becomes.
import { describe, expect, test } from 'vitest';
import { splitHeaders, wholeHeaders } from '../../../src/upload/split-headers.ts';

const lock = [
  ['x-amz-object-lock-mode', 'GOVERNANCE'],
  ['x-amz-object-lock-retain-until-date', '2099-01-01T00:00:00Z'],
] as const;
const legalHold = ['x-amz-object-lock-legal-hold', 'ON'] as const;
const type = ['content-type', 'text/plain'] as const;
const digest = ['x-amz-checksum-sha256', 'a'] as const;
const announced = ['x-amz-sdk-checksum-algorithm', 'CRC32'] as const;

describe('in parts', () => {
  test('without a lock no checksum is asked for', () => {
    const owner = ['x-amz-expected-bucket-owner', '1'] as const;
    const condition = ['if-none-match', '*'] as const;
    expect(splitHeaders(new Map([type, owner, condition, digest, ['content-md5', 'a']]))).toEqual({
      onCreate: new Map([type, owner]),
      onPart: new Map([owner]),
      onComplete: new Map([condition, owner]),
      partChecksum: undefined,
    });
  });

  test.each([
    ['a retention', lock],
    ['a legal hold', [legalHold]],
  ])('%s: each part has a checksum, whatever the client has sent for the whole', (_, fields) => {
    expect(splitHeaders(new Map([type, ...fields, digest]))).toEqual({
      onCreate: new Map([type, ...fields, ['x-amz-checksum-algorithm', 'CRC32']]),
      onPart: new Map([announced]),
      onComplete: new Map(),
      partChecksum: 'crc32',
    });
  });
});

describe('as one', () => {
  test('without a lock they stay as they are', () => {
    const headers = new Map([type]);
    expect(wholeHeaders(headers).onPut).toBe(headers);
    expect(wholeHeaders(headers, 'sha1')).toEqual({ onPut: headers, ownChecksum: undefined });
  });

  test.each([digest, ['content-md5', 'a'] as const])('a lock and %s: they stay as they are', (...field) => {
    const headers = new Map([...lock, field]);
    expect(wholeHeaders(headers).onPut).toBe(headers);
    expect(wholeHeaders(headers).ownChecksum).toBeUndefined();
  });

  test('a lock alone: a checksum is made', () => {
    expect(wholeHeaders(new Map([legalHold]))).toEqual({
      onPut: new Map([legalHold, announced]),
      ownChecksum: 'crc32',
    });
  });

  test("a lock and a checksum behind the body: the client's is announced", () => {
    expect(wholeHeaders(new Map(lock), 'sha1')).toEqual({
      onPut: new Map([...lock, ['x-amz-sdk-checksum-algorithm', 'SHA1']]),
      ownChecksum: undefined,
    });
  });
});
