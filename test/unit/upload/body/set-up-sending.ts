// A body that is pushed and sent, with its memory, and how often it is tried.
import { IncomingBody } from '../../../../src/upload/body/incoming-body.ts';
import { UploadMemory } from '../../../../src/upload/body/upload-memory.ts';
import { Verifier } from '../../../../src/upload/body/verify.ts';
import { createPushedBody } from '../../../support/pushed-body.ts';

export const retry = { maxAttempts: 3, baseDelayMs: 1, maxDelayMs: 2 };

export function setUp(length: number | undefined, budgetBytes: number) {
  const pushed = createPushedBody({ length, budgetBytes });
  const verifier = new Verifier({ length, maxBytes: 1e9, digests: [] });
  const body = new IncomingBody({ body: pushed.reader, verifier, length });
  return {
    pushed,
    body,
    budget: pushed.budget,
    memory: new UploadMemory(pushed.budget),
    signal: new AbortController(),
  };
}
