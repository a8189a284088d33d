// Our own arms by what they tell of their work: nothing, metrics, logs, and every request as a trace to a real collector.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { freePort } from '../../../test/servers/free-port.ts';
import { findRotel } from '../../../test/servers/start-rotel.ts';
import type { Arm } from '../arm.ts';
import { createMizuchi, type Neighbour } from './create-mizuchi.ts';

type Settings = NonNullable<Neighbour['settings']>;
type Protocol = 'grpc' | 'http/protobuf';

/** A queue that holds what a loaded proxy makes between two exports: nothing is dropped, so that all of it is paid for. */
const largeQueue = { max_queue_size: 500_000, scheduled_delay_millis: 500 };

/** @param batch the default settings when it is left out: what a loaded proxy makes is too much for them, and mostly dropped. */
const traceTo = (port: number, protocol: Protocol, batch: Settings = {}): Settings => ({
  tracing: {
    enabled: true,
    otlp: { endpoint: `http://127.0.0.1:${port}`, protocol },
    sampling: { strategy: 'always' },
    batch,
  },
});

/** A collector that drops what it has received. */
async function startCollector(protocol: Protocol, batch?: Settings): Promise<Neighbour> {
  const program = await findRotel();
  const [grpcPort, httpPort] = [await freePort(), await freePort()];
  const folder = await mkdtemp(join(tmpdir(), 'mizuchi-bench-collector-'));
  const ports = ['--otlp-grpc-endpoint', `127.0.0.1:${grpcPort}`, '--otlp-http-endpoint', `127.0.0.1:${httpPort}`];
  const files = ['--pid-file', join(folder, 'pid'), '--log-file', join(folder, 'log')];
  const collector = spawn(program, ['start', '--exporter', 'blackhole', ...ports, ...files], { stdio: 'ignore' });
  const port = protocol === 'grpc' ? grpcPort : httpPort;
  const givenUpAt = performance.now() + 20_000;
  // oxlint-disable-next-line no-await-in-loop -- polling
  while (!(await isListening(port))) {
    if (performance.now() > givenUpAt || collector.exitCode !== null) throw new Error('the collector does not listen');
    // oxlint-disable-next-line no-await-in-loop -- polling
    await delay(20);
  }
  return {
    settings: traceTo(port, protocol, batch),
    async stop() {
      collector.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Nobody listens where the collector should be. */
async function nameNobody(): Promise<Neighbour> {
  return { settings: traceTo(await freePort(), 'grpc'), stop: () => Promise.resolve() };
}

/** Takes connections and what comes over them, and never says a word. */
async function startSilence(): Promise<Neighbour> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).resume());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    settings: traceTo((server.address() as AddressInfo).port, 'grpc'),
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(socket.destroy().destroyed));
    socket.once('error', () => resolve(false));
  });
}

const unseen = { metrics: { enabled: false }, logging: { level: 'warn' } };

export const telemetryArms: readonly Arm[] = [
  createMizuchi({ name: 'unseen', note: 'mizuchi without metrics, without a line for each request', settings: unseen }),
  createMizuchi({
    name: 'metrics',
    note: 'mizuchi with metrics alone',
    settings: { logging: unseen.logging },
  }),
  createMizuchi({
    name: 'logs',
    note: 'mizuchi with a line for each request alone',
    settings: { metrics: unseen.metrics },
  }),
  createMizuchi({
    name: 'traced',
    note: 'mizuchi with metrics, logs, and every request traced to a collector over gRPC',
    startNeighbour: () => startCollector('grpc', largeQueue),
  }),
  createMizuchi({
    name: 'traced-http',
    note: 'the same over HTTP',
    startNeighbour: () => startCollector('http/protobuf', largeQueue),
  }),
  createMizuchi({
    name: 'collector-there',
    note: 'traced, with the default queue, from which most is dropped under this load',
    startNeighbour: () => startCollector('grpc'),
  }),
  createMizuchi({
    name: 'collector-away',
    note: 'the same where nobody listens',
    startNeighbour: nameNobody,
  }),
  createMizuchi({
    name: 'collector-silent',
    note: 'the same where connections are taken and nothing is answered',
    startNeighbour: startSilence,
  }),
];
