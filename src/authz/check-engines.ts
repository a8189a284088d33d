// Asks engines once, at start, whether they can decide: who has mistyped an id shall not learn it from refused uploads.
import type { EngineCare } from './create-authorizer.ts';
import { OpaFault } from './opa-client.ts';
import { OpenFgaFault } from './openfga-answers.ts';

export interface EngineFault {
  readonly engine: string;
  readonly error: unknown;
  /** The engine is there, and it is the settings that are wrong: waiting will not help. */
  readonly isLasting: boolean;
}

/** Longer than any engine's own timeout, which is 60 s at most. */
const timeoutMs = 90_000;

/** Resolves when all have answered or failed; never rejects. */
export async function checkEngines(
  engines: readonly EngineCare[],
  onFault: (fault: EngineFault) => void,
): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  const checks = engines.map(async (one) => {
    try {
      await one.checkReady(signal);
    } catch (error) {
      onFault({ engine: one.engine, error, isLasting: isLasting(error) });
    }
  });
  await Promise.all(checks);
}

/** Any answer but one of those that a server, or one before it, gives while it is not itself. */
function isLasting(error: unknown): boolean {
  const status = error instanceof OpaFault || error instanceof OpenFgaFault ? error.status : undefined;
  return status !== undefined && status < 500 && status !== 408 && status !== 429;
}
