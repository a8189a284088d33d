// The instructions of a Dockerfile, stage by stage.

export interface Instruction {
  readonly keyword: string;
  readonly rest: string;
}

export interface Stage {
  readonly image: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

export function parseDockerfile(text: string): readonly Stage[] {
  const lines = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/gu, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const stages: { image: string; name: string | undefined; instructions: Instruction[] }[] = [];
  for (const line of lines) {
    const { keyword = '', rest = '' } = /^(?<keyword>[A-Z]+) (?<rest>.*)$/u.exec(line)?.groups ?? {};
    if (keyword === '') throw new Error(`not an instruction: ${line}`);
    if (keyword === 'FROM') {
      const [image = '', , name] = rest.split(' ');
      stages.push({ image, name, instructions: [] });
    } else stages.at(-1)?.instructions.push({ keyword, rest });
  }
  return stages;
}

/** What the container runs, in the form of a list. */
export function readCommand({ instructions }: Stage): readonly string[] {
  return JSON.parse(instructions.findLast(({ keyword }) => keyword === 'CMD')?.rest ?? '') as string[];
}

export function readHealthCheck({ instructions }: Stage): readonly string[] {
  const { rest = '' } = instructions.findLast(({ keyword }) => keyword === 'HEALTHCHECK') ?? {};
  return JSON.parse(/ CMD (?<command>\[.*\])$/u.exec(rest)?.groups?.['command'] ?? '') as string[];
}

export function readEnvironment({ instructions }: Stage): Readonly<Record<string, string>> {
  const settings = instructions.filter(({ keyword }) => keyword === 'ENV').map(({ rest }) => rest.split('='));
  return Object.fromEntries(settings) as Record<string, string>;
}
