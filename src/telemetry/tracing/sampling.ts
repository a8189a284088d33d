// Whether a trace is recorded. The same trace id gets the same answer everywhere that asks with the same ratio.
import type { SamplingConfig } from '../../config/config.ts';
import type { RemoteParent } from './trace-context.ts';

export type Sampler = (traceId: string, parent: RemoteParent | undefined) => boolean;

export function createSampler({ strategy, ratio }: SamplingConfig): Sampler {
  switch (strategy) {
    case 'always':
      return () => true;
    case 'never':
      return () => false;
    case 'ratio':
      return (traceId) => isWithin(traceId, ratio);
    case 'parent_based':
      return (traceId, parent) => parent?.isSampled ?? isWithin(traceId, ratio);
  }
}

/** Some generators put a time into the first digits: the last 52 bits are the random ones. */
function isWithin(traceId: string, ratio: number): boolean {
  return ratio >= 1 || Number.parseInt(traceId.slice(-13), 16) < ratio * 2 ** 52;
}
