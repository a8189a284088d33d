// A day in little: good and bad clients of many kinds upload at once, while the backend fails at random. Whatever happened, every
// object is what its last successful upload made it, and nothing is left behind. RANDOM_DAY_SECONDS has it last longer;
// RANDOM_DAY_SEED has clients and faults chosen by the same numbers again.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import {
  startFaultyBackend,
  type BackendOperation,
  type Fault,
  type FaultyBackend,
} from '../support/faulty-backend.ts';
import { prefix, startProxiedBucket, type ProxiedBucket } from '../support/proxied-bucket.ts';
import { createRandomBody, createRandomNumbers } from '../support/random-body.ts';
import { openRawConnection } from '../support/raw-connection.ts';
import { sendRequest } from '../support/send-request.ts';
import { crc32Base64, payloadModes, sha256Hex, signS3Request } from '../support/sign-s3-request.ts';
import { jwtSecret } from '../support/start-proxy.ts';

const MiB = 1024 * 1024;
const clients = 8;
const seconds = Number(process.env['RANDOM_DAY_SECONDS'] ?? 20);
const seed = process.env['RANDOM_DAY_SEED'] ?? String(Date.now());
const random = createRandomNumbers(seed);
const isChance = (percent: number): boolean => random(100) < percent;
const oneOf = <T>(choices: readonly [T, ...T[]]): T => choices[random(choices.length)] ?? choices[0];
const credential = {
  accessKey: 'AKIDOFTHEDAY',
  secretKey: 'a-secret-key-of-forty-characters-or-more',
  region: 'us-east-1',
};

let backend: FaultyBackend;
let bucket: ProxiedBucket;
beforeAll(async () => {
  bucket = await startProxiedBucket({
    start: startMinio,
    between: async (server) => (backend = await startFaultyBackend(server)),
    server: { limits: { memory_budget: '32MiB', queue_timeout_seconds: 60 } },
    auth: {
      jwt: { secret: jwtSecret },
      sigv4: { credentials: [{ access_key: credential.accessKey, secret_key: credential.secretKey }] },
    },
    timeouts: { connect_seconds: 2, idle_seconds: 2 },
    upload: {
      multipart_threshold: 6 * MiB,
      part_size: 5 * MiB,
      retry: { max_attempts: 3, base_delay_ms: 10, max_delay_ms: 100 },
    },
  });
});
afterAll(() => bucket.stop());

function chooseFault(operation: BackendOperation): Fault | undefined {
  if (operation === 'Other' || !isChance(15)) return undefined;
  const afterBodyBytes = random(6 * MiB);
  const [status, code] = oneOf([
    [500, 'InternalError'],
    [503, 'SlowDown'],
    [400, 'RequestTimeout'],
    [502, ''],
  ]);
  return oneOf<Fault>([
    { kind: 'answer', status, code },
    { kind: 'answer', status, code, afterBodyBytes },
    { kind: 'reset', afterBodyBytes },
    { kind: 'stall', afterBodyBytes },
    { kind: 'garbage' },
    // An upload whose id nobody was told cannot be aborted by anybody.
    ...(operation === 'CreateMultipartUpload'
      ? []
      : ([{ kind: 'lose-answer' }, { kind: 'late-answer', ms: 3000 }, { kind: 'cut-answer' }] as const)),
    ...(operation === 'CompleteMultipartUpload' ? [{ kind: 'error-in-200', code: 'InternalError' } as const] : []),
  ]);
}

const chooseSize = (): number =>
  oneOf([0, 1 + random(100), random(70_000), random(MiB), random(8 * MiB), 5 * MiB - 1 + random(3), random(25 * MiB)]);

interface Upload {
  readonly headers: Readonly<Record<string, string>>;
  /** As it goes over the wire. */
  readonly sent: Buffer;
}

/** @param isWrong whether something about it is to be other than it says. */
function createUpload(target: string, body: Buffer, isWrong: boolean): Upload {
  if (isChance(50)) {
    const checked = isWrong ? Buffer.concat([body, Buffer.of(1)]) : body;
    return {
      headers: {
        authorization: `Bearer ${bucket.token}`,
        ...((isWrong || isChance(30)) && { 'x-amz-checksum-crc32': crc32Base64(checked) }),
      },
      sent: body,
    };
  }
  const mode = oneOf(payloadModes);
  const host = new URL(bucket.proxy.url).host;
  const { headers, body: framed } = signS3Request({ credential, method: 'PUT', host, path: target, body, mode });
  const sent = Buffer.from(framed);
  if (!isWrong) return { headers, sent };
  if (mode === 'UNSIGNED-PAYLOAD' || sent.length === 0) return { headers: { ...headers, 'x-amz-tampered': '1' }, sent };
  const at = random(sent.length);
  sent.writeUInt8(sent.readUInt8(at) ^ (1 << random(8)), at);
  return { headers, sent };
}

/** Leaves before its last byte. */
async function sendSome(target: string, { headers, sent }: Upload): Promise<void> {
  const connection = await openRawConnection(bucket.proxy.url);
  const fields = { host: 'a', 'content-length': String(sent.length), ...headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  await connection.write(`PUT ${target} HTTP/1.1\r\n${lines.join('')}\r\n`);
  await connection.write(sent.subarray(0, random(sent.length)));
  if (isChance(30)) await sleep(random(300));
  connection.destroy(isChance(50));
  await connection.closed;
}

async function sendAll(target: string, { headers, sent }: Upload): Promise<number> {
  const pieceBytes = 1 + random(400_000);
  function* pieces(): Generator<Buffer> {
    for (let at = 0; at < sent.length; at += pieceBytes) yield sent.subarray(at, at + pieceBytes);
  }
  const isLengthKnown = 'content-length' in headers || isChance(60);
  const body = isLengthKnown ? sent : pieces();
  return (await sendRequest({ url: bucket.proxy.url, method: 'PUT', path: target, headers, body })).status;
}

async function findHash(key: string): Promise<string | undefined> {
  try {
    return (await bucket.stored.readHash(key)).sha256;
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchKey') return undefined;
    throw error;
  }
}

/** Uploads to a few keys over and over. @returns what it was answered with. */
async function beClient(name: string, until: number): Promise<number[]> {
  const answers: number[] = [];
  const keys = ['a', 'b'].map((key) => ({ key: `${name}/${key}`, hash: undefined as string | undefined }));
  while (Date.now() < until) {
    const slot = random(keys.length);
    const { key, hash: before } = keys[slot] ?? { key: '', hash: undefined };
    const body = createRandomBody(`${seed} ${name} ${answers.length}`, chooseSize()).bytes();
    const after = sha256Hex(body);
    const isLeaving = body.length > 0 && isChance(15);
    const isWrong = !isLeaving && isChance(10);
    const target = `${prefix}/${key}`;
    const upload = createUpload(target, body, isWrong);
    const status = isLeaving ? await sendSome(target, upload).then(() => 0) : await sendAll(target, upload);
    answers.push(status);
    const isUnknown = status >= 500;
    const allowed = isWrong || isLeaving ? [before] : status === 200 ? [after] : isUnknown ? [before, after] : [];
    const found = await findHash(key);
    expect(allowed, `${key}, ${body.length} bytes, answered ${status}: before ${before}, after ${after}`).toContain(
      found,
    );
    // What was under way when the proxy gave up may come yet.
    keys[slot] = isUnknown ? { key: `${key}-next`, hash: undefined } : { key, hash: found };
  }
  return answers;
}

test(`what was answered is so, and nothing is left (seed ${seed})`, { timeout: (seconds + 120) * 1000 }, async () => {
  backend.setFault(({ operation }) => chooseFault(operation));
  const until = Date.now() + seconds * 1000;
  const days = Array.from({ length: clients }, (_, index) => beClient(`client-${index}`, until));
  const answers = (await Promise.all(days)).flat();
  expect(answers).toEqual(expect.arrayContaining([0, 200, 400, 403]));
  backend.setFault(() => undefined);
  await bucket.proxy.waitUntilIdle(60_000);
  await expect.poll(() => bucket.stored.listOpenUploads(), { timeout: 30_000 }).toEqual([]);
});
