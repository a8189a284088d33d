// How bodies of every size are cut.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { choosePlan } from '../../../../src/upload/body/choose-plan.ts';

const mib = 1024 * 1024;
const gib = 1024 * mib;
const tib = 1024 * gib;
const limits = {
  minPartBytes: 5 * mib,
  maxPartBytes: 5 * gib,
  maxParts: 10_000,
  maxPutBytes: 5 * gib,
  maxObjectBytes: 5 * tib,
  streamsAnyLength: false,
  wantsChecksum: false,
};
const usual = { multipartThresholdBytes: 50 * mib, partBytes: 16 * mib, maxObjectBytes: 5 * tib, limits };

describe('choosePlan', () => {
  test('sends up to the threshold in one PUT, more in parts', () => {
    expect(choosePlan({ ...usual, length: 0 })).toEqual({ kind: 'put', length: 0 });
    expect(choosePlan({ ...usual, length: 50 * mib })).toEqual({ kind: 'put', length: 50 * mib });
    expect(choosePlan({ ...usual, length: 50 * mib + 1 })).toEqual({
      kind: 'multipart',
      length: 50 * mib + 1,
      partBytes: 16 * mib,
    });
  });

  test('sends in parts what the backend does not take in one PUT, whatever the threshold says', () => {
    const plan = choosePlan({ ...usual, multipartThresholdBytes: 10 * gib, length: 6 * gib });
    expect(plan.kind).toBe('multipart');
  });

  test('never cuts a body into more parts than are allowed, nor into parts that are too small or too large', () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat().map((n) => (n % (5 * tib)) + 1),
        fc.integer({ min: 5 * mib, max: gib }),
        (length, partBytes) => {
          const plan = choosePlan({ ...usual, partBytes, length });
          if (plan.kind !== 'multipart') return;
          expect(Math.ceil(length / plan.partBytes)).toBeLessThanOrEqual(10_000);
          expect(plan.partBytes).toBeGreaterThanOrEqual(partBytes);
          expect(plan.partBytes).toBeLessThanOrEqual(5 * gib);
        },
      ),
    );
  });

  test('takes what is as large as it may be, and cuts it in whole MiB', () => {
    const huge = { ...usual, multipartThresholdBytes: 10 * gib };
    expect(choosePlan({ ...huge, length: 5 * gib })).toEqual({ kind: 'put', length: 5 * gib });
    expect(choosePlan({ ...usual, maxObjectBytes: 10, length: 10 })).toEqual({ kind: 'put', length: 10 });
    expect(choosePlan({ ...usual, length: 5 * tib })).toMatchObject({ kind: 'multipart', partBytes: 525 * mib });
    const few = { ...limits, maxParts: 10, maxPartBytes: 5 * mib };
    expect(
      choosePlan({ ...usual, partBytes: 5 * mib, limits: few, length: 50 * mib, multipartThresholdBytes: 1 }),
    ).toMatchObject({
      partBytes: 5 * mib,
    });
    expect(() => choosePlan({ ...usual, partBytes: 5 * mib, limits: few, length: 50 * mib + 1 })).toThrow(
      expect.objectContaining({ code: 'EntityTooLarge' }),
    );
  });

  test('refuses what is too large before a byte of it is read', () => {
    expect(() => choosePlan({ ...usual, length: 5 * tib + 1 })).toThrow(
      expect.objectContaining({ code: 'EntityTooLarge' }),
    );
    expect(() => choosePlan({ ...usual, maxObjectBytes: 10, length: 11 })).toThrow(
      expect.objectContaining({ code: 'EntityTooLarge' }),
    );
  });

  test('streams what has no length where the backend can, and holds parts where it cannot', () => {
    expect(choosePlan({ ...usual, length: undefined })).toEqual({ kind: 'unknown-length', partBytes: 16 * mib });
    const streaming = { ...limits, streamsAnyLength: true };
    expect(choosePlan({ ...usual, limits: streaming, length: undefined })).toEqual({ kind: 'put', length: undefined });
    expect(choosePlan({ ...usual, limits: streaming, length: tib })).toEqual({ kind: 'put', length: tib });
  });
});
