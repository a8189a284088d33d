// Remembers signatures that have been accepted, so that each is accepted once.
import { S3Error } from '../../errors.ts';

/**
 * A signature is made of the request and the second of its signing: a client that repeats a request within one second
 * (a retry after 503, say) makes the same signature again, and is refused.
 */
export interface ReplayGuard {
  /**
   * @param signature 64 digits of lower-case hex, found right beforehand: nobody can fill the memory with others.
   * @param expiresAtMs until when, that millisecond included, the signature would be accepted; always the same for one signature.
   * @param accessKey whose signature it is.
   * @throws S3Error AccessDenied when it has been claimed before, or has expired where that is known; SlowDown or ServiceUnavailable when that cannot be known.
   */
  claim(signature: string, expiresAtMs: number, accessKey: string): Promise<void> | void;
  /** Rejects when no signature could be claimed now. */
  checkReady(): Promise<void>;
  close(): Promise<void>;
}

export function replayRefusal(): S3Error {
  return new S3Error('AccessDenied', { detail: 'The signature has been used before.' });
}
