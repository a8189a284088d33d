// Everything that is wrong with a configuration, in one error.

export interface ConfigFault {
  /** Where in the YAML, such as `buckets[0].upload.part_size`; empty for the file as a whole. */
  readonly path: string;
  /** Never holds a configured value: it could be a secret. */
  readonly message: string;
  /** Counted from 1; undefined where there is no text. */
  readonly line?: number;
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly ConfigFault[];

  /** @param source what was read, as the operator knows it: a file's path. */
  constructor(source: string, faults: readonly ConfigFault[]) {
    const lines = faults.map(({ path, message, line }) => {
      const place = line === undefined ? '' : `line ${line}: `;
      return `  ${place}${path === '' ? '' : `${path}: `}${message}`;
    });
    super(`${source}: ${faults.length === 1 ? '1 fault' : `${faults.length} faults`}\n${lines.join('\n')}`);
    this.faults = faults;
  }
}

/** A path's steps written as YAML users write them: `buckets[0].upload`, odd keys quoted. */
export function formatPath(steps: readonly PropertyKey[]): string {
  let text = '';
  for (const step of steps) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(String(step))) text += `${text === '' ? '' : '.'}${String(step)}`;
    else text += `[${JSON.stringify(String(step))}]`;
  }
  return text;
}
