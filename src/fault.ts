// What went wrong on this side or behind it, for the log: in our own words, which hold nothing of any request.

export interface FaultOptions extends ErrorOptions {
  /** Which file, or the words of a neighbour: what can hold an object key, and is told only where keys are. */
  readonly detail?: string | undefined;
}

/** @param message may stand in every log: no path, no key, no words of others. Of any other error that is not known. */
export class Fault extends Error {
  readonly detail: string | undefined;

  constructor(message: string, { detail, ...options }: FaultOptions = {}) {
    super(message, options);
    this.detail = detail;
  }
}
