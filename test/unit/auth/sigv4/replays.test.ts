// Signatures that may be used once: when they are claimed, and until when.
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { AuthServices } from '../../../../src/auth/authentication.ts';
import { S3Error } from '../../../../src/errors.ts';
import { sha256, signedByHeader, signedByQuery } from '../../../support/sigv4.ts';
import { authenticatorWith, codeOf, signedAtMs, stopClock } from './ask-authenticator.ts';

stopClock();

describe('replays', () => {
  const claim = vi.fn<AuthServices['replays']['claim']>();
  const replays = { claim, async close() {} };
  const once = authenticatorWith({ rejectReplays: true, allowUnsignedPayload: false }, { replays });
  const payloadHash = sha256('body');
  beforeEach(() => {
    claim.mockReset();
  });

  test.each([
    ['header', signedByHeader({ payloadHash }), signedAtMs + 900_000],
    ['query', signedByQuery({ payloadHash, rawQuery: `X-Amz-Content-Sha256=${payloadHash}` }), signedAtMs + 3_600_000],
  ])('are claimed with their end, in the %s form', async (_, request, untilMs) => {
    const { claim: useUp } = await once(request);
    expect(claim).not.toHaveBeenCalled();
    await useUp?.();
    const sent = `${request.rawQuery}${request.headers.get('authorization') ?? ''}`;
    const signature = /Signature=(?<hex>[0-9a-f]{64})$/.exec(sent)?.groups?.['hex'];
    expect(claim).toHaveBeenCalledExactlyOnceWith(signature, untilMs, expect.stringMatching(/^AKIA/));
  });

  test.each([
    ['header', signedByHeader({ payloadHash }), 900_001, 'RequestTimeTooSkewed'],
    [
      'query',
      signedByQuery({ payloadHash, rawQuery: `X-Amz-Content-Sha256=${payloadHash}` }),
      3_600_001,
      'AccessDenied',
    ],
  ])(
    'are not claimed after their end, in the %s form: the guard may have forgotten them',
    async (_, request, ms, code) => {
      const { claim: useUp } = await once(request);
      vi.setSystemTime(signedAtMs + ms);
      await expect(useUp?.()).rejects.toMatchObject({ code });
      expect(claim).not.toHaveBeenCalled();
    },
  );

  test('are refused as the guard says, whether it takes its time or not', async () => {
    const refusal = new S3Error('AccessDenied', { detail: 'The signature has been used before.' });
    const { claim: useUp } = await once(signedByHeader({ payloadHash }));
    claim.mockRejectedValueOnce(refusal);
    await expect(useUp?.()).rejects.toBe(refusal);
    claim.mockImplementationOnce(() => {
      throw refusal;
    });
    await expect(useUp?.()).rejects.toBe(refusal);
  });

  test('are not claimed by what is refused anyway', async () => {
    expect(await codeOf(once(signedByHeader({ payloadHash, secretKey: 'wrong' })))).toBe('SignatureDoesNotMatch');
    expect(await codeOf(once(signedByHeader()))).toBe('AccessDenied');
    expect(await codeOf(once(signedByHeader({ payloadHash: 'x' })))).toBe('InvalidArgument');
    expect(claim).not.toHaveBeenCalled();
  });

  test('are nobody’s business where they are allowed', async () => {
    const authentication = await authenticatorWith({}, { replays })(signedByHeader());
    expect(authentication.claim).toBeUndefined();
  });
});
