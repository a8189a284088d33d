// Runs the stages of bench/micro in turn, round after round, and prints what one call costs.
// oxlint-disable no-await-in-loop -- measurements that overlap would measure each other
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { describeMachine } from './load/machine.ts';
import { median } from './load/statistics.ts';
import type { MicroBenchmark } from './micro.ts';

const folder = join(import.meta.dirname, 'micro');
const rounds = 5;
const roundMs = 200;

/** Results go here, so that no compiler can tell they are not wanted. */
const kept: { result: unknown } = { result: undefined };

/** Nanoseconds for one call, over at least so many milliseconds. */
async function time(benchmark: MicroBenchmark, leastMs: number): Promise<number> {
  let calls = 1;
  for (;;) {
    const startedAt = process.hrtime.bigint();
    for (let i = 0; i < calls; i++) {
      const result = benchmark.call();
      kept.result = result instanceof Promise ? await result : result;
    }
    const ns = Number(process.hrtime.bigint() - startedAt);
    if (ns >= leastMs * 1e6) return ns / calls;
    calls *= 2;
  }
}

const us = (ns: number): string => (ns / 1000).toFixed(2);
const toRate = (mibPerSecond: number): string => mibPerSecond.toFixed(mibPerSecond < 100 ? 1 : 0);

async function loadBenchmarks(wanted: readonly string[]): Promise<readonly MicroBenchmark[]> {
  const files = readdirSync(folder).filter((file) => file.endsWith('.ts'));
  const chosen = files.filter((file) => wanted.length === 0 || wanted.some((name) => file.startsWith(name)));
  const modules = await Promise.all(
    chosen.map((file): Promise<{ benchmarks: readonly MicroBenchmark[] }> => import(join(folder, file))),
  );
  return modules.flatMap(({ benchmarks }) => benchmarks);
}

export async function runMicro(wanted: readonly string[], quick: boolean): Promise<void> {
  const benchmarks = await loadBenchmarks(wanted);
  const timings = new Map<MicroBenchmark, number[]>(benchmarks.map((benchmark) => [benchmark, []]));
  for (const benchmark of benchmarks) await time(benchmark, quick ? 20 : roundMs);
  for (let round = 0; round < (quick ? 1 : rounds); round++) {
    for (const [benchmark, results] of timings) results.push(await time(benchmark, quick ? 20 : roundMs));
  }
  const rows = [...timings].map(([{ name, bytesPerCall }, results]) => {
    const rate = bytesPerCall === undefined ? '' : toRate((bytesPerCall / 2 ** 20 / median(results)) * 1e9);
    return `| ${name} | ${us(median(results))} (${us(Math.min(...results))}–${us(Math.max(...results))}) | ${rate} |`;
  });
  const facts = [...describeMachine(), `Node ${process.version}`].map((fact) => `- ${fact}`);
  process.stdout.write(
    [...facts, '', '| stage | µs a call | MiB/s |', '| --- | ---: | ---: |', ...rows, ''].join('\n'),
  );
}
