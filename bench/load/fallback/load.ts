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
  },
});

const payload = readFileSync(values.payload);
const bodyBytes = Number(values['body-bytes']);
const requestLimit = Number(values.requests ?? Number.POSITIVE_INFINITY);
const connections = Number(values.connections);
const agent = new Agent({ keepAlive: true, maxSockets: connections });
const ownHeaders = [`Host: 127.0.0.1:${values.port}`, `Content-Length: ${bodyBytes}`, ...values.header];
const headers = ownHeaders.flatMap((line) => {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
});
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
  let sent = 0;
  const more = (): void => {
    while (sent < bodyBytes) {
      const block = payload.subarray(0, Math.min(payload.length, bodyBytes - sent));
      sent += block.length;
      if (!outgoing.write(block)) return;
    }
    outgoing.off('drain', more).end();
  };
  outgoing.on('drain', more);
  more();
}

/** Resolves when the answer is whole or the connection has failed. */
function put(): Promise<void> {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const options = { host: '127.0.0.1', port: values.port, path: values.path, method: 'PUT', agent, headers };
    const outgoing = request(options, (answer) => {
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
    started++;
    // oxlint-disable-next-line no-await-in-loop -- one request after another is what a keep-alive connection does
    await put();
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
