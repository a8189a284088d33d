// What went wrong with an upload, in words for the person who waits for it.

/**
 * `token`: another token is needed. `gone`: the server no longer knows the upload. `exists`: a file of the name is there, and stays.
 * `network`: no answer came. `busy`: the server asks to come again later. `final`: sending the same again would end the same.
 */
export type FaultKind = 'token' | 'gone' | 'exists' | 'network' | 'busy' | 'final';

/** Its message is a sentence for people. */
export class UploadFault extends Error {
  override readonly name = 'UploadFault';
  readonly kind: FaultKind;
  /** How long the server asked to be left alone. */
  readonly retryAfterMs: number;

  constructor(kind: FaultKind, message: string, retryAfterMs = 0) {
    super(message);
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }
}
