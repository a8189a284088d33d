// Puts objects in a process of its own, so that it can be killed, limited, or be somebody else. Says on standard output
// `half` when the first half of a body has been written and, in the end, what came of it as JSON.
import { createFilesystemStorage } from '../../../../src/storage/filesystem/filesystem-storage.ts';
import { createRandomBody } from '../../../support/random-body.ts';
import { toOutcome, type ChildTask } from './child-task.ts';

const task = JSON.parse(process.argv[2] ?? '') as ChildTask;
// Everything is loaded by now: another user may not even read the source.
if (task.userId !== undefined) process.seteuid?.(task.userId);

const storage = createFilesystemStorage({ root: task.root });
const never = new AbortController().signal;

async function put(key: string): Promise<string> {
  const half = task.sizeBytes / 2;
  const chunks = createRandomBody(task.seed, task.sizeBytes, 65_536).chunks();
  let writtenBytes = 0;
  const body = {
    length: task.sizeBytes,
    read: () => {
      const { value: bytes } = chunks.next();
      if (bytes === undefined) return Promise.resolve(null);
      if (task.waitsAtHalf === true && writtenBytes >= half) return new Promise<never>(() => undefined);
      const release = () => {
        const before = writtenBytes;
        writtenBytes += bytes.byteLength;
        if (before < half && writtenBytes >= half) process.stdout.write('half\n');
      };
      return Promise.resolve({ bytes, release });
    },
  };
  const headers = new Map([...Object.entries(task.headers ?? {}), ['x-amz-meta-seed', task.seed] as const]);
  return storage.putObject({ bucket: 'uploads', key }, headers, body, never).then(({ etag }) => etag, toOutcome);
}

const outcomes: string[] = [];
// A process that waits for ever for its body must not end for want of anything to do.
const alive = setInterval(() => undefined, 60_000);
for (const key of task.keys) outcomes.push(await put(key));
clearInterval(alive);
process.stdout.write(`${JSON.stringify(outcomes)}\n`);
