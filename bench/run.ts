// `npm run bench`: reads what is asked for and runs it. Nothing here passes or fails anything.
import { parseArgs } from 'node:util';

import { arms } from './load/arms.ts';
import { runLoad } from './load/run-load.ts';
import { type ScenarioName, scenarioSummaries } from './load/scenario.ts';
import { runMicro } from './run-micro.ts';

const scenarios = Object.entries(scenarioSummaries).map(([name, summary]) => `    ${name.padEnd(14)} ${summary}`);
const armList = arms
  .map(({ name }) => name)
  .join(', ')
  .replaceAll(/(.{60,90},) /gu, '$1\n    ');

const usage = `usage: npm run bench -- [options]

  --scenario NAMES   of those below
  --only NAMES       of the arms below
  --rounds N         for every scenario; otherwise each has its own number, mostly 5
  --quick            small bodies and one round: to see that everything runs
  --micro [NAMES]    one stage at a time instead: files of bench/micro, by the start of their names
Names are separated by commas; all are taken when none are given. The tables go to standard output.

  scenarios
${scenarios.join('\n')}
  arms
    ${armList}
`;

const isScenarioName = (name: string): name is ScenarioName => Object.hasOwn(scenarioSummaries, name);

function refuse(sentence: string): never {
  process.stderr.write(`${sentence}\n\n${usage}`);
  process.exit(2);
}

function readArguments(): ReturnType<typeof parse> {
  try {
    return parse();
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function parse() {
  return parseArgs({
    allowPositionals: true,
    options: {
      scenario: { type: 'string' },
      only: { type: 'string' },
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      micro: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
}

const listOf = (text: string | undefined): readonly string[] => (text ?? '').split(',').filter(Boolean);

const { values, positionals } = readArguments();
if (values.help) {
  process.stdout.write(usage);
} else if (values.micro) {
  await runMicro(positionals.flatMap(listOf), values.quick);
} else {
  const only = listOf(values.only);
  const unknownArm = only.find((name) => !arms.some((arm) => arm.name === name));
  if (unknownArm !== undefined) refuse(`There is no arm called ${unknownArm}.`);
  const wanted = listOf(values.scenario);
  const unknownScenario = wanted.find((name) => !isScenarioName(name));
  if (unknownScenario !== undefined) refuse(`There is no scenario called ${unknownScenario}.`);
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))
    refuse('--rounds takes a whole number from 1.');
  await runLoad({ only, scenarios: wanted.filter(isScenarioName), rounds, quick: values.quick });
}
