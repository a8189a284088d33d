// Runs one scenario: all its arms side by side, measured in turn, round after round.
// oxlint-disable no-await-in-loop -- measurements that overlap would measure each other
import type { Arm } from './arm.ts';
import { startBackend } from './backend.ts';
import type { Children } from './children.ts';
import type { Bench } from './measure.ts';
import type { Tools } from './native-tools.ts';
import { type RunningArm, startArm } from './running-arm.ts';
import type { Sample, Scenario } from './scenario.ts';

export interface ScenarioRun {
  readonly scenario: Scenario;
  readonly rounds: number;
  /** By the arm's name, in the order of the table. */
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
  /** Why an arm has no numbers, by its name. */
  readonly faults: ReadonlyMap<string, string>;
}

export interface RunOptions {
  readonly children: Children;
  readonly tools: Tools;
  readonly arms: readonly Arm[];
  readonly rounds: number;
  readonly payload: Buffer;
  readonly payloadPath: string;
  readonly say: (progress: string) => void;
}

interface Turn {
  readonly arm: Arm;
  readonly running: RunningArm | undefined;
  readonly samples: Sample[];
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function startTurn(scenario: Scenario, options: RunOptions, bench: Bench, arm: Arm): Promise<Turn> {
  if (scenario.fresh) return { arm, running: undefined, samples: [] };
  const running = await startArm(options.children, arm, bench.backend.port);
  try {
    await scenario.warmUp?.(bench, running);
  } catch (error) {
    await running.stop();
    throw error;
  }
  return { arm, running, samples: [] };
}

async function takeTurn(scenario: Scenario, options: RunOptions, bench: Bench, turn: Turn): Promise<void> {
  const running = turn.running ?? (await startArm(options.children, turn.arm, bench.backend.port));
  try {
    turn.samples.push(await scenario.measure(bench, running));
  } finally {
    if (turn.running === undefined) await running.stop();
  }
}

export async function runScenario(scenario: Scenario, options: RunOptions): Promise<ScenarioRun> {
  const { children, tools, payload, payloadPath, rounds, say } = options;
  const backend = await startBackend(children, tools.sink, scenario.rates ?? {}, `backend-${scenario.name}`);
  const bench: Bench = { children, backend, load: tools.load, payload, payloadPath };
  const turns = new Map<string, Turn>();
  const faults = new Map<string, string>();
  /** One arm's failure is told in the table and does not cost the others their numbers. */
  const attempt = async (arm: Arm, work: () => Promise<void>): Promise<void> => {
    if (faults.has(arm.name)) return;
    try {
      await work();
    } catch (error) {
      const words = turns.get(arm.name)?.running?.child?.lastWords() ?? '';
      faults.set(arm.name, [messageOf(error), words].filter(Boolean).join('\n'));
      say(`${scenario.name}: ${arm.name} failed: ${faults.get(arm.name)}`);
    }
  };
  for (const arm of options.arms) {
    say(`${scenario.name}: starting ${arm.name}`);
    await attempt(arm, async () => void turns.set(arm.name, await startTurn(scenario, options, bench, arm)));
  }
  for (let round = 1; round <= rounds; round++) {
    for (const turn of turns.values()) {
      say(`${scenario.name}: round ${round} of ${rounds}, ${turn.arm.name}`);
      await attempt(turn.arm, () => takeTurn(scenario, options, bench, turn));
    }
  }
  for (const turn of turns.values()) await turn.running?.stop();
  await children.stop(backend.child);
  const samples = new Map([...turns].map(([name, turn]) => [name, turn.samples] as const));
  return { scenario, rounds, samples, faults };
}
