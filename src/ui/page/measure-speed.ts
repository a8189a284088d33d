// How fast something goes, from how far it has come: the mean over the last few seconds.

const windowMs = 6000;
/** Before this much is known, a figure would only jump. */
const leastMs = 1000;

export interface SpeedMeter {
  /** @returns bytes per second, or undefined while too little is known. */
  measure(nowMs: number, doneBytes: number): number | undefined;
}

export function createSpeedMeter(): SpeedMeter {
  let samples: { readonly atMs: number; readonly doneBytes: number }[] = [];
  return {
    measure(nowMs, doneBytes) {
      // What broke off is sent again: from there it is another journey.
      if (doneBytes < (samples.at(-1)?.doneBytes ?? 0)) samples = [];
      samples.push({ atMs: nowMs, doneBytes });
      while (samples.length > 2 && (samples[1]?.atMs ?? nowMs) <= nowMs - windowMs) samples.shift();
      const first = samples[0];
      const elapsedMs = nowMs - (first?.atMs ?? nowMs);
      if (first === undefined || elapsedMs < leastMs) return undefined;
      return ((doneBytes - first.doneBytes) / elapsedMs) * 1000;
    },
  };
}
