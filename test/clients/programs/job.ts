// What the programs in JavaScript are asked to do: read from the argument, looked up among the ways that they know.
export interface Job {
  readonly way: string;
  readonly file: string;
  readonly bucket: string;
  readonly key: string;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly checksum?: string;
}

export function readJob(): Job {
  return JSON.parse(process.argv[2] ?? '') as Job;
}

export async function runWay(job: Job, ways: Readonly<Record<string, () => Promise<void>>>): Promise<void> {
  const run = ways[job.way];
  if (run === undefined) throw new Error(`no such way: ${job.way}`);
  await run();
}
