// Small bodies: how many a second, what each costs, with each kind of credential, and how much later an answer comes than
// without a proxy.
import { measure } from '../measure.ts';
import type { Sample, Scenario } from '../scenario.ts';
import { column, median } from '../statistics.ts';

const peers = ['mizuchi', 'nginx-tuned', 'nginx-shipped', 'haproxy', 'node-pipe', 'sdk-put', 'versitygw', 'direct'];
const waysIn = [
  'mizuchi',
  'no-auth',
  'jwt-rs256',
  'jwt-es256',
  'jwt-hs256-new',
  'jwt-rs256-new',
  'jwt-es256-new',
  'sigv4-unsigned',
  'sigv4-hash',
  'sigv4-chunks-64k',
  'trailer-crc32-64k',
  'direct',
];

/** The first asks nobody. */
const askers = ['mizuchi', 'opa-cached', 'openfga-cached', 'opa-cold', 'openfga-cold'];

function createSmall(
  seconds: number,
  options: Pick<Scenario, 'name' | 'armNames' | 'rounds' | 'remarks'> & { readonly title?: string },
): Scenario {
  const shape = { bodyBytes: 4096, connections: 32 };
  return {
    ...options,
    title: `4 KiB bodies on 32 keep-alive connections for ${seconds} s${options.title ?? ''}`,
    columns: [
      { key: 'perSecond', title: 'PUT/s', digits: 0, ratio: true },
      { key: 'cpuUs', title: 'µs CPU per PUT', digits: 1, ratio: true },
      { key: 'p50Ms', title: 'p50 ms', digits: 2 },
      { key: 'p99Ms', title: 'p99 ms', digits: 2 },
      { key: 'peakMib', title: 'peak RSS MiB', digits: 0 },
    ],
    warmUp: (bench, arm) => measure(bench, arm, { ...shape, until: { seconds: Math.min(2, seconds) } }),
    measure: async (bench, arm) => {
      const measured = await measure(bench, arm, { ...shape, until: { seconds } });
      return {
        perSecond: measured.succeeded / measured.seconds,
        cpuUs: (measured.proxyCpuSeconds * 1e6) / measured.succeeded,
        p50Ms: measured.p50Us / 1000,
        p99Ms: measured.p99Us / 1000,
        peakMib: measured.peakResidentBytes / 2 ** 20,
      };
    },
  };
}

function addedLatency(samples: ReadonlyMap<string, readonly Sample[]>): readonly string[] {
  const control = samples.get('direct');
  if (control === undefined) return [];
  const p50 = median(column(control, 'p50Ms'));
  const p99 = median(column(control, 'p99Ms'));
  return [...samples].flatMap(([name, own]) => {
    if (name === 'direct') return [];
    const added50 = (median(column(own, 'p50Ms')) - p50).toFixed(3);
    const added99 = (median(column(own, 'p99Ms')) - p99).toFixed(3);
    return [`${name} adds ${added50} ms at p50 and ${added99} ms at p99 over direct.`];
  });
}

/** Rounds are compared one by one: what slows the machine down for a while slows both. */
function costOfWaysIn(samples: ReadonlyMap<string, readonly Sample[]>): readonly string[] {
  const open = column(samples.get('no-auth') ?? [], 'cpuUs');
  if (open.length === 0) return [];
  return [...samples].flatMap(([name, own]) => {
    if (name === 'no-auth' || name === 'direct') return [];
    const more = median(column(own, 'cpuUs').map((us, round) => us - (open[round] ?? Number.NaN)));
    return [`${name}: ${more.toFixed(1)} µs CPU more for each PUT than no-auth.`];
  });
}

/** Round by round, as above. */
function costOfAsking(samples: ReadonlyMap<string, readonly Sample[]>): readonly string[] {
  const alone = samples.get('mizuchi');
  if (alone === undefined) return [];
  const without = (key: string): readonly number[] => column(alone, key);
  return [...samples].flatMap(([name, own]) => {
    if (name === 'mizuchi') return [];
    const perRound = (key: string, compare: (value: number, reference: number) => number): number =>
      median(column(own, key).map((value, round) => compare(value, without(key)[round] ?? Number.NaN)));
    const added = (key: string): string => perRound(key, (ms, aloneMs) => ms - aloneMs).toFixed(3);
    const rate = perRound('perSecond', (value, reference) => (100 * value) / reference - 100);
    const change = Number.isNaN(rate) ? '' : `${rate > 0 ? '+' : ''}${rate.toFixed(1)} % PUT/s, `;
    return [`${name}: ${change}${added('p50Ms')} ms more at p50 and ${added('p99Ms')} ms at p99 than asking nobody.`];
  });
}

function createLatency(seconds: number, options: Pick<Scenario, 'name' | 'armNames' | 'remarks'>): Scenario {
  const shape = { bodyBytes: 1024, connections: 1 };
  return {
    ...options,
    title: `1 KiB bodies, one after another for ${seconds} s`,
    columns: [
      { key: 'p50Ms', title: 'p50 ms', digits: 3, ratio: true },
      { key: 'p99Ms', title: 'p99 ms', digits: 3 },
      { key: 'maxMs', title: 'max ms', digits: 2 },
    ],
    rounds: 5,
    warmUp: (bench, arm) => measure(bench, arm, { ...shape, until: { seconds: Math.min(1, seconds) } }),
    measure: async (bench, arm) => {
      const { p50Us, p99Us, maxUs } = await measure(bench, arm, { ...shape, until: { seconds } });
      return { p50Ms: p50Us / 1000, p99Ms: p99Us / 1000, maxMs: maxUs / 1000 };
    },
  };
}

/** @param scale 1 for the real durations, less for a quick look. */
export function createRequestScenarios(scale: number): readonly Scenario[] {
  const seconds = Math.max(1, 4 * scale);
  const latencySeconds = Math.max(0.5, 2 * scale);
  return [
    createSmall(seconds, { name: 'small', armNames: peers, rounds: 5 }),
    createSmall(seconds, {
      name: 'small-auth',
      title: ', by who is let in and what is verified',
      armNames: waysIn,
      rounds: 3,
      remarks: costOfWaysIn,
    }),
    createSmall(seconds, {
      name: 'authz',
      title: ', by the policy engine that is asked',
      armNames: askers,
      rounds: 5,
      remarks: costOfAsking,
    }),
    createSmall(seconds, {
      name: 'seen-small',
      title: ', by what is told of them',
      armNames: ['unseen', 'metrics', 'logs', 'mizuchi', 'traced', 'traced-http'],
      rounds: 5,
    }),
    createSmall(seconds, {
      name: 'seen-away',
      title: ', traced, by where the collector is',
      armNames: ['collector-there', 'collector-away', 'collector-silent'],
      rounds: 5,
    }),
    createLatency(latencySeconds, { name: 'latency', armNames: peers, remarks: addedLatency }),
    createLatency(latencySeconds, { name: 'authz-latency', armNames: askers, remarks: costOfAsking }),
  ];
}
