// Bodies that are verified while they stream, beside the plain path and beside what their digests cost alone.
import { measure, type LoadShape } from '../measure.ts';
import { passCpuSeconds } from '../pass-cost.ts';
import type { Column, Sample, Scenario } from '../scenario.ts';
import { column, median } from '../statistics.ts';
import { bodyColumns, measureBody } from './bodies.ts';

const mib = 2 ** 20;
const gib = 2 ** 30;

const columns: readonly Column[] = [
  ...bodyColumns.slice(0, 2),
  { key: 'passes', title: 'its digests alone', digits: 3 },
  ...bodyColumns.slice(2),
];

const plain = 'mizuchi';

/** Enough to be told from a tick of the clock. */
const passBytes = 256 * mib;

const armNames = [
  plain,
  ...['crc32', 'crc32c', 'crc64nvme', 'sha256'].map((name) => `${plain}+${name}`),
  'sigv4-unsigned',
  'sigv4-hash',
  'sigv4-chunks-64k',
  'sigv4-chunks-1m',
  'sigv4-chunks-64k+crc32',
  'trailer-crc32-64k',
  'trailer-crc32-1m',
  'trailer-crc32c-64k',
  'trailer-crc64nvme-64k',
  'direct',
];

/** Rounds are compared one by one: what slows the machine down for a while slows both. */
function beyondPlain(samples: ReadonlyMap<string, readonly Sample[]>): readonly string[] {
  const reference = column(samples.get(plain) ?? [], 'cpuPerGib');
  if (reference.length === 0) return [];
  const sentences = [...samples].flatMap(([name, own]) => {
    if (name === plain || name === 'direct') return [];
    const more = median(column(own, 'cpuPerGib').map((cpu, round) => cpu - (reference[round] ?? Number.NaN)));
    const share = ((100 * more) / median(reference)).toFixed(0);
    const over = `${name}: ${more.toFixed(3)} CPU-s/GiB more than ${plain} (${share} %)`;
    const passes = median(column(own, 'passes'));
    if (passes === 0) return [`${over}, nothing to verify.`];
    const verdict = more <= passes ? 'no more than that' : `${(more - passes).toFixed(3)} beyond that`;
    return [`${over}; its digests alone ${passes.toFixed(3)}: ${verdict}.`];
  });
  return [
    ...sentences,
    '“Digests alone” is in CPU-s/GiB, by the proxy’s own verifier over 256 KiB that are used again.',
  ];
}

interface VerifiedOptions extends Pick<Scenario, 'name' | 'title' | 'rounds'> {
  readonly shape: LoadShape;
  readonly warmUp: LoadShape;
}

function createVerified({ shape, warmUp, ...rest }: VerifiedOptions): Scenario {
  return {
    ...rest,
    columns,
    armNames,
    warmUp: (bench, arm) => measure(bench, arm, warmUp),
    measure: async (bench, arm) => ({
      ...(await measureBody(bench, arm, shape)),
      passes: passCpuSeconds(arm.arm.digests ?? [], passBytes) / (passBytes / gib),
    }),
    remarks: beyondPlain,
  };
}

/** @param scale 1 for the real sizes, less for a quick look. */
export function createVerifiedScenarios(scale: number): readonly Scenario[] {
  const oneBytes = Math.round(gib * scale);
  const manyBytes = Math.round(32 * mib * scale);
  const one = { bodyBytes: oneBytes, connections: 1, until: { requests: 1 } };
  const many = { bodyBytes: manyBytes, connections: 8 };
  return [
    createVerified({
      name: 'verified',
      title: `One body of ${oneBytes / mib} MiB, verified while it streams; to the backend in parts`,
      rounds: 5,
      shape: one,
      warmUp: { ...one, bodyBytes: Math.min(oneBytes, 128 * mib) },
    }),
    createVerified({
      name: 'verified-put',
      title: `32 bodies of ${manyBytes / mib} MiB, 8 at once, verified while they stream; one PUT to the backend for each`,
      rounds: 5,
      shape: { ...many, until: { requests: 32 } },
      warmUp: { ...many, until: { requests: 8 } },
    }),
  ];
}
