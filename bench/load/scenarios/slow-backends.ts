// Backends that are slower than the clients: what parallel parts gain, and what memory is held meanwhile.
import { measure } from '../measure.ts';
import type { Sample, Scenario } from '../scenario.ts';
import { column, median } from '../statistics.ts';

const mib = 2 ** 20;

/** The default `memory_budget`, with which these arms run. */
const budgetMib = 256;

function partsAgainstStream(samples: ReadonlyMap<string, readonly Sample[]>): readonly string[] {
  const parts = samples.get('mizuchi-8-parts');
  const stream = samples.get('mizuchi-single');
  if (parts === undefined || stream === undefined) return [];
  const ratio = median(column(parts, 'mibPerSecond')) / median(column(stream, 'mibPerSecond'));
  return [`Eight parts in flight are ${ratio.toFixed(2)} times as fast as a single stream.`];
}

function createThrottled(scale: number): Scenario {
  const bodyBytes = Math.round(1024 * mib * scale);
  return {
    name: 'throttled',
    title: `One body of ${bodyBytes / mib} MiB into a backend that allows 50 MiB/s for each connection`,
    columns: [
      { key: 'mibPerSecond', title: 'MiB/s', digits: 1, ratio: true },
      { key: 'seconds', title: 'wall s', digits: 2 },
      { key: 'cpuSeconds', title: 'CPU-s', digits: 2 },
      { key: 'peakMib', title: 'peak RSS MiB', digits: 0 },
    ],
    armNames: ['mizuchi-8-parts', 'mizuchi', 'mizuchi-single', 'nginx-tuned'],
    rates: { connectionBytesPerSecond: 50 * mib },
    rounds: 2,
    measure: async (bench, arm) => {
      const measured = await measure(bench, arm, { bodyBytes, connections: 1, until: { requests: 1 } });
      return {
        mibPerSecond: measured.bytes / mib / measured.seconds,
        seconds: measured.seconds,
        cpuSeconds: measured.proxyCpuSeconds,
        peakMib: measured.peakResidentBytes / mib,
      };
    },
    remarks: partsAgainstStream,
  };
}

/** The median of one quarter of a series, the first being 0: what is flat over time has four equal ones. */
function quarter(series: readonly number[], index: number): number {
  const from = Math.floor((series.length * index) / 4);
  return median(series.slice(from, Math.max(from + 1, Math.floor((series.length * (index + 1)) / 4)))) / mib;
}

function createMemory(scale: number): Scenario {
  const bodyBytes = Math.round(256 * mib * scale);
  return {
    name: 'memory',
    title: `64 uploads of ${bodyBytes / mib} MiB at once into a backend that takes 512 MiB/s in all`,
    columns: [
      { key: 'peakMib', title: 'peak RSS MiB', digits: 0, ratio: true },
      { key: 'quarter1', title: 'RSS MiB, 1st quarter', digits: 0 },
      { key: 'quarter2', title: '2nd', digits: 0 },
      { key: 'quarter3', title: '3rd', digits: 0 },
      { key: 'quarter4', title: '4th', digits: 0 },
      { key: 'mibPerSecond', title: 'MiB/s', digits: 0 },
    ],
    armNames: ['mizuchi', 'nginx-tuned', 'node-pipe'],
    rates: { totalBytesPerSecond: 512 * mib },
    rounds: 1,
    measure: async (bench, arm) => {
      const measured = await measure(bench, arm, { bodyBytes, connections: 64, until: { requests: 64 } });
      const series = measured.residentSeries;
      return {
        peakMib: measured.peakResidentBytes / mib,
        quarter1: quarter(series, 0),
        quarter2: quarter(series, 1),
        quarter3: quarter(series, 2),
        quarter4: quarter(series, 3),
        mibPerSecond: measured.bytes / mib / measured.seconds,
      };
    },
    remarks: () => [
      `mizuchi’s \`memory_budget\` is ${budgetMib} MiB: peak RSS is to stay below ${budgetMib + 150} MiB.`,
    ],
  };
}

/** @param scale 1 for the real sizes, less for a quick look. */
export function createSlowBackendScenarios(scale: number): readonly Scenario[] {
  return [createThrottled(scale), createMemory(scale)];
}
