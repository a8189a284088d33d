// What a scenario is: one shape of load, what is read from it, and how the numbers are called.
import type { BackendRates } from './backend.ts';
import type { Bench } from './measure.ts';
import type { RunningArm } from './running-arm.ts';

/** What each is, in a few words. */
export const scenarioSummaries = {
  large: 'one body of 1 GiB on one connection',
  many: '16 bodies of 64 MiB at once',
  verified: '1 GiB with a checksum, a signed hash, signed chunks or a trailer, beside plain',
  'verified-put': 'the same with 32 bodies of 32 MiB, each one PUT to the backend',
  small: '4 KiB on 32 connections',
  'small-auth': 'the same with each kind of credential: tokens known and unknown, signatures',
  authz: 'the same with nobody asked, and with OPA and OpenFGA, each asked every time and remembered',
  'authz-latency': '1 KiB, one after another, with each of these',
  seen: '1 GiB without telemetry, with metrics, with logs, with all of it and every request traced',
  'seen-small': 'the same with 4 KiB on 32 connections',
  'seen-away': 'the same traced, to a collector that is there, is not there, or is silent',
  latency: '1 KiB, one after another',
  throttled: '1 GiB into a backend that is slow for each connection',
  memory: '64 bodies of 256 MiB at once into a backend that is slow altogether',
  start: 'start to the first upload taken, idle memory',
} as const;
export type ScenarioName = keyof typeof scenarioSummaries;

/** One arm's numbers in one round; the keys are those of the columns. */
export type Sample = Readonly<Record<string, number>>;

export interface Column {
  readonly key: string;
  readonly title: string;
  /** Digits after the point. */
  readonly digits: number;
  /** Whether a further column shows the ratio to the first arm. */
  readonly ratio?: boolean;
}

export interface Scenario {
  readonly name: ScenarioName;
  readonly title: string;
  readonly columns: readonly Column[];
  /** The arms that take part, by name. */
  readonly armNames: readonly string[];
  readonly rates?: BackendRates;
  /** Rounds when none are asked for. */
  readonly rounds: number;
  /** True when each round starts the arm anew. */
  readonly fresh?: boolean;
  /** Once for each arm before the rounds: compilers warmed, connections opened. */
  warmUp?(bench: Bench, arm: RunningArm): Promise<unknown>;
  measure(bench: Bench, arm: RunningArm): Promise<Sample>;
  /** Sentences under the table, made from every arm's samples. */
  remarks?(samples: ReadonlyMap<string, readonly Sample[]>): readonly string[];
}
