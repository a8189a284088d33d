// The whole-process benchmark: our proxy beside its peers, in one run on one machine.
// oxlint-disable no-await-in-loop -- scenarios that overlap would measure each other
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Arm } from './arm.ts';
import { arms as allArms } from './arms.ts';
import { createChildren } from './children.ts';
import { describeMachine } from './machine.ts';
import { buildTools } from './native-tools.ts';
import { renderTable } from './report.ts';
import { runScenario } from './run-scenario.ts';
import type { Scenario, ScenarioName } from './scenario.ts';
import { createBodyScenarios } from './scenarios/bodies.ts';
import { createRequestScenarios } from './scenarios/requests.ts';
import { createSlowBackendScenarios } from './scenarios/slow-backends.ts';
import { createStart } from './scenarios/start.ts';
import { createVerifiedScenarios } from './scenarios/verified.ts';

export interface LoadOptions {
  /** Names of arms; empty for all. */
  readonly only: readonly string[];
  /** Empty for all. */
  readonly scenarios: readonly ScenarioName[];
  /** Undefined for each scenario's own number. */
  readonly rounds: number | undefined;
  /** Smaller bodies and one round: to see that it works, not to be quoted. */
  readonly quick: boolean;
}

const payloadBytes = 2 ** 20;

function chooseScenarios({ scenarios, quick }: LoadOptions): readonly Scenario[] {
  const scale = quick ? 1 / 8 : 1;
  const all = [
    ...createBodyScenarios(scale),
    ...createVerifiedScenarios(scale),
    ...createRequestScenarios(scale),
    ...createSlowBackendScenarios(scale),
    createStart(),
  ];
  return scenarios.length === 0 ? all : all.filter(({ name }) => scenarios.includes(name));
}

interface Found {
  readonly ready: readonly Arm[];
  /** How to get what is not here, by the arm's name. */
  readonly missing: ReadonlyMap<string, string>;
  readonly versions: ReadonlyMap<string, string>;
}

async function findArms(wanted: readonly Arm[]): Promise<Found> {
  const missing = new Map<string, string>();
  const versions = new Map<string, string>();
  const found = await Promise.all(wanted.map(async (arm) => [arm, await arm.find()] as const));
  for (const [arm, result] of found) {
    if ('missing' in result) missing.set(arm.name, result.missing);
    else versions.set(arm.name, result.version);
  }
  return { ready: wanted.filter(({ name }) => versions.has(name)), missing, versions };
}

const say = (progress: string): void => void process.stderr.write(`${progress}\n`);

export async function runLoad(options: LoadOptions): Promise<void> {
  const scenarios = chooseScenarios(options);
  const takesPart = ({ name }: Arm): boolean =>
    (options.only.length === 0 || options.only.includes(name)) &&
    scenarios.some(({ armNames }) => armNames.includes(name));
  const { ready, missing, versions } = await findArms(allArms.filter(takesPart));
  const children = createChildren();
  // Whatever ends the run, nothing that it started may go on.
  process.once('exit', () => children.endAll());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

  const machine = describeMachine();
  const tools = await buildTools(children.directory);
  const payload = randomBytes(payloadBytes);
  const payloadPath = join(children.directory, 'payload');
  writeFileSync(payloadPath, payload);

  const notes = ready.map(({ name, note }) => `- ${name}: ${note} (${versions.get(name)})`);
  const absent = [...missing].map(([name, how]) => `- ${name}: missing; ${how}`);
  const facts = [...machine, tools.description].map((fact) => `- ${fact}`);
  const explanation = 'Median of the rounds (lowest–highest); CPU and memory are those of the proxy’s processes alone.';
  process.stdout.write([...facts, ...notes, ...absent, '', explanation, '', ''].join('\n'));
  for (const scenario of scenarios) {
    const belongs = (name: string): boolean => scenario.armNames.includes(name);
    const arms = scenario.armNames.flatMap((name) => ready.filter((arm) => arm.name === name));
    if (arms.length === 0) continue;
    const rounds = options.rounds ?? (options.quick ? 1 : scenario.rounds);
    const run = await runScenario(scenario, { children, tools, arms, rounds, payload, payloadPath, say });
    process.stdout.write(`${renderTable(run, new Map([...missing].filter(([name]) => belongs(name))))}\n`);
  }
  children.endAll();
}
