// The header fields of a PutObject, on the calls that it becomes.
import { describe, expect, test } from 'vitest';
import {
  announceChecksum,
  checksumOfParts,
  keptChecksum,
  splitHeaders,
  stateChecksum,
  wholeHeaders,
} from '../../../src/upload/split-headers.ts';

const lock = [
  ['x-amz-object-lock-mode', 'GOVERNANCE'],
  ['x-amz-object-lock-retain-until-date', '2099-01-01T00:00:00Z'],
] as const;
const legalHold = ['x-amz-object-lock-legal-hold', 'ON'] as const;
const type = ['content-type', 'text/plain'] as const;
const digest = ['x-amz-checksum-sha256', 'a'] as const;
const crc = ['x-amz-checksum-crc64nvme', 'AAAAAAAAAAA='] as const;
const announced = ['x-amz-sdk-checksum-algorithm', 'CRC32'] as const;

function answer(algorithm?: string, type?: string): ReadonlyMap<string, string> {
  const fields = Object.entries({ 'x-amz-checksum-algorithm': algorithm, 'x-amz-checksum-type': type });
  return new Map(fields.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

describe('in parts', () => {
  const owner = ['x-amz-expected-bucket-owner', '1'] as const;
  const condition = ['if-none-match', '*'] as const;

  test('without a checksum of parts', () => {
    expect(splitHeaders(new Map([type, owner, condition, digest, ['content-md5', 'a']]))).toEqual({
      onCreate: new Map([type, owner]),
      onPart: new Map([owner]),
      onComplete: new Map([condition, owner]),
    });
  });

  test('with one, the upload is opened with it', () => {
    expect(splitHeaders(new Map([type, owner, crc]), 'crc64nvme')).toEqual({
      onCreate: new Map([
        type,
        owner,
        ['x-amz-checksum-algorithm', 'CRC64NVME'],
        ['x-amz-checksum-type', 'FULL_OBJECT'],
      ]),
      onPart: new Map([owner]),
      onComplete: new Map([owner]),
    });
  });

  test.each<[string, Parameters<typeof checksumOfParts>, ReturnType<typeof checksumOfParts>]>([
    ['nothing', [new Map([type])], undefined],
    ["the client's CRC in the head", [new Map([type, crc])], 'crc64nvme'],
    ["the client's CRC behind the body", [new Map([type]), 'crc32c'], 'crc32c'],
    ['a digest of the client that those of parts do not make', [new Map([digest])], undefined],
    ['such a one behind the body', [new Map([type]), 'sha1'], undefined],
    ['a retention', [new Map(lock)], 'crc32'],
    ['a legal hold', [new Map([legalHold])], 'crc32'],
    ['a lock and such a digest', [new Map([...lock, digest])], 'crc32'],
    ["a lock and the client's CRC", [new Map([...lock, crc])], 'crc64nvme'],
  ])('%s', (_, asked, algorithm) => {
    expect(checksumOfParts(...asked)).toBe(algorithm);
  });

  test.each([
    ['one that keeps that of the object', answer('CRC32', 'FULL_OBJECT'), true, true],
    ['one that makes its own of those of the parts', answer('CRC32', 'COMPOSITE'), true, false],
    ['one that does not say which', answer('CRC32'), true, false],
    ['one that says nothing', answer(), false, false],
  ])('a backend: %s', (_, answered, ofParts, ofObject) => {
    expect(keptChecksum(new Map([type]), answered)).toEqual({ ofParts, ofObject });
    expect(keptChecksum(new Map(lock), answered)).toEqual({ ofParts: true, ofObject });
  });

  test('what parts and completion say of it', () => {
    expect(announceChecksum(new Map([owner]), 'crc32')).toEqual(new Map([owner, announced]));
    expect(stateChecksum(new Map([owner]), 'crc32c', 'abc=')).toEqual(
      new Map([owner, ['x-amz-checksum-crc32c', 'abc='], ['x-amz-checksum-type', 'FULL_OBJECT']]),
    );
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
