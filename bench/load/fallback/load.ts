// The load generator of native/load.c, in Node: same options, same line of JSON, for machines without a C compiler.
import { readFileSync } from 'node:fs';
import { Agent, type ClientRequest, request } from 'node:http';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    path: { type: 'string' },
    payload: { type: 'string', default: '' },
    'body-bytes': { type: 'string' },
    connections: { type: 'string', default: '1' },
    requests: { type: 'string' },
    seconds: { type: 'string' },
    header: { type: 'string', multiple: true, default: [] },
    frames: { type: 'string' },
    turns: { type: 'string' },
  },
});

const payload = readFileSync(values.payload);
const bodyBytes = Number(values['body-bytes']);
const requestLimit = Number(values.requests ?? Number.POSITIVE_INFINITY);
const connections = Number(values.connections);
const agent = new Agent({ keepAlive: true, maxSockets: connections });
const turns = values.turns === undefined ? [] : readFileSync(values.turns, 'latin1').trimEnd().split('\n');
/** The body, piece by piece as it goes over the wire. */
const pieces: Buffer[] = [];
let payloadTaken = 0;

/** Goes on in the payload where it was left. */
function addPayload(byteLength: number): void {
  for (const end = payloadTaken + byteLength; payloadTaken < end;) {
    const at = payloadTaken % payload.length;
    const piece = payload.subarray(at, at + end - payloadTaken);
    payloadTaken += piece.length;
    pieces.push(piece);
  }
}

function readFrames(file: Buffer): void {
  for (let at = 0; at < file.length;) {
    const lineEnd = file.indexOf('\n', at);
    const [textBytes = 0, payloadBytes = 0] = file.toString('latin1', at, lineEnd).split(' ').map(Number);
    at = lineEnd + 1 + textBytes;
    pieces.push(file.subarray(lineEnd + 1, at));
    addPayload(payloadBytes);
  }
}

if (values.frames === undefined) addPayload(bodyBytes);
else readFrames(readFileSync(values.frames));
if (payloadTaken !== bodyBytes) throw new Error('other bytes of payload than are to be sent');
const wireBytes = pieces.reduce((sum, { length }) => sum + length, 0);
const ownHeaders = [`Host: 127.0.0.1:${values.port}`, `Content-Length: ${wireBytes}`, ...values.header];
const toFields = (lines: readonly string[]): string[] =>
  lines.flatMap((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
const headers = toFields(ownHeaders);
const latenciesUs: number[] = [];
const statuses: Record<string, number> = {};
let started = 0;
let failed = 0;
let firstFault = '';

function noteFault(fault: string): void {
  failed++;
  firstFault ||= fault;
}

function sendBody(outgoing: ClientRequest): void {
  let next = 0;
  const more = (): void => {
    while (next < pieces.length) if (!outgoing.write(pieces[next++])) return;
    outgoing.off('drain', more).end();
  };
  outgoing.on('drain', more);
  more();
}

/** Resolves when the answer is whole or the connection has failed. */
function put(turn: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const fields = turn === undefined ? headers : [...headers, ...toFields([turn])];
    const options = { host: '127.0.0.1', port: values.port, path: values.path, method: 'PUT', agent };
    const outgoing = request({ ...options, headers: fields }, (answer) => {
      answer.resume();
      answer.on('end', () => {
        const status = String(answer.statusCode);
        statuses[status] = (statuses[status] ?? 0) + 1;
        if (status === '200') latenciesUs.push(Math.round((performance.now() - startedAt) * 1000));
        else noteFault(`answered ${status}`);
        resolve();
      });
    });
    outgoing.on('error', (error) => {
      noteFault(error.message);
      resolve();
    });
    sendBody(outgoing);
  });
}

const begunAt = performance.now();
const stopAt = begunAt + Number(values.seconds ?? Number.POSITIVE_INFINITY) * 1000;

const mayStart = (): boolean => started < requestLimit && failed < 50 && performance.now() < stopAt;

async function keepSending(): Promise<void> {
  while (mayStart()) {
    const turn = turns[started % turns.length];
    started++;
    // oxlint-disable-next-line no-await-in-loop -- one request after another is what a keep-alive connection does
    await put(turn);
  }
}

await Promise.all(Array.from({ length: connections }, keepSending));
const seconds = (performance.now() - begunAt) / 1000;
agent.destroy();
latenciesUs.sort((a, b) => a - b);
const percentile = (share: number): number => latenciesUs[Math.floor((latenciesUs.length - 1) * share)] ?? 0;
const { user, system } = process.cpuUsage();
const outcome = {
  seconds,
  succeeded: latenciesUs.length,
  failed,
  bytes: latenciesUs.length * bodyBytes,
  reconnects: 0,
  timedOut: false,
  p50Us: percentile(0.5),
  p99Us: percentile(0.99),
  maxUs: percentile(1),
  cpuSeconds: (user + system) / 1e6,
  firstFault,
  statuses,
};
process.stdout.write(`${JSON.stringify(outcome)}\n`);
