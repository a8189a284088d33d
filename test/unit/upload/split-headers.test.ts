// The header fields of a PutObject, on the calls that it becomes.
import { describe, expect, test } from 'vitest';
import {
  announceChecksum,
  askForChecksum,
  askForPartChecksums,
  checksumOfParts,
  demandsChecksum,
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
    const algorithm = ['x-amz-checksum-algorithm', 'CRC64NVME'] as const;
    const onCreate = new Map([type, owner]);
    expect(askForPartChecksums(onCreate, 'crc64nvme')).toEqual(new Map([type, owner, algorithm]));
    expect(askForChecksum(onCreate, 'crc64nvme')).toEqual(
      new Map([type, owner, algorithm, ['x-amz-checksum-type', 'FULL_OBJECT']]),
    );
  });

  test.each<[string, Parameters<typeof checksumOfParts>, ReturnType<typeof checksumOfParts>]>([
    ['nothing', [new Map([type]), false], undefined],
    ["the client's CRC in the head", [new Map([type, crc]), false], 'crc64nvme'],
    ["the client's CRC behind the body", [new Map([type]), false, 'crc32c'], 'crc32c'],
    ['a digest of the client that those of parts do not make', [new Map([digest]), false], undefined],
    ['such a one behind the body', [new Map([type]), false, 'sha1'], undefined],
    ['nothing, and one is demanded', [new Map([type]), true], 'crc32'],
    ['such a digest, and one is demanded', [new Map([digest]), true], 'crc32'],
    ["the client's CRC, and one is demanded", [new Map([crc]), true], 'crc64nvme'],
  ])('%s', (_, asked, algorithm) => {
    expect(checksumOfParts(...asked)).toBe(algorithm);
  });

  test.each([
    ['a retention', lock, true],
    ['a legal hold', [legalHold], true],
    ['neither', [type], false],
  ])('a checksum is demanded of every object, or with %s', (_, fields, isDemanded) => {
    expect(demandsChecksum(new Map(fields), { wantsChecksum: false })).toBe(isDemanded);
    expect(demandsChecksum(new Map(fields), { wantsChecksum: true })).toBe(true);
  });

  test.each([
    ['one that keeps that of the object', answer('CRC32', 'FULL_OBJECT'), true, true],
    ['one that makes its own of those of the parts', answer('CRC32', 'COMPOSITE'), true, false],
    ['one that does not say which', answer('CRC32'), true, false],
    ['one that says nothing', answer(), false, false],
  ])('a backend: %s', (_, answered, ofParts, ofObject) => {
    expect(keptChecksum(answered, false)).toEqual({ ofParts, ofObject });
    expect(keptChecksum(answered, true)).toEqual({ ofParts: true, ofObject });
  });

  test('what parts and completion say of it', () => {
    expect(announceChecksum(new Map([owner]), 'crc32')).toEqual(new Map([owner, announced]));
    expect(stateChecksum(new Map([owner]), 'crc32c', 'abc=')).toEqual(
      new Map([owner, ['x-amz-checksum-crc32c', 'abc='], ['x-amz-checksum-type', 'FULL_OBJECT']]),
    );
  });
});

describe('as one', () => {
  test('where no checksum is demanded they stay as they are', () => {
    const headers = new Map([type]);
    expect(wholeHeaders(headers, false).onPut).toBe(headers);
    expect(wholeHeaders(headers, false, 'sha1')).toEqual({ onPut: headers, ownChecksum: undefined });
  });

  test.each([digest, ['content-md5', 'a'] as const])('with %s they stay as they are', (...field) => {
    const headers = new Map([type, field]);
    expect(wholeHeaders(headers, true).onPut).toBe(headers);
    expect(wholeHeaders(headers, true).ownChecksum).toBeUndefined();
  });

  test('without any, a checksum is made', () => {
    expect(wholeHeaders(new Map([legalHold]), true)).toEqual({
      onPut: new Map([legalHold, announced]),
      ownChecksum: 'crc32',
    });
  });

  test("with a checksum behind the body, the client's is announced", () => {
    expect(wholeHeaders(new Map(lock), true, 'sha1')).toEqual({
      onPut: new Map([...lock, ['x-amz-sdk-checksum-algorithm', 'SHA1']]),
      ownChecksum: undefined,
    });
  });
});
