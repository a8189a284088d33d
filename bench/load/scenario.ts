// What a scenario is: one shape of load, what is read from it, and how the numbers are called.
import type { BackendRates } from './backend.ts';
import type { Bench } from './measure.ts';
import type { RunningArm } from './running-arm.ts';

export const scenarioNames = ['large', 'many', 'small', 'latency', 'verified', 'throttled', 'memory', 'start'] as const;
export type ScenarioName = (typeof scenarioNames)[number];

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
