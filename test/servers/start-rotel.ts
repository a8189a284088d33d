// Starts an OTLP collector (rotel), which receives spans over gRPC and HTTP and passes them on to a server in this process.
import { once } from 'node:events';
import { chmod, mkdtemp, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { buildOnce, findOnPath, isProgram, runBuildTool } from './build-once.ts';
import { freePort } from './free-port.ts';
import { startProcess, waitUntilReady, type RunningProcess } from './start-process.ts';
import { suspendProcess } from './suspend-process.ts';

const version = '0.0.1a15';

export interface Collector {
  /** OTLP over gRPC. */
  readonly grpcUrl: string;
  /** OTLP over HTTP, without a path. */
  readonly httpUrl: string;
  /** What it has passed on: protobuf of ExportTraceServiceRequest. */
  readonly received: readonly Buffer[];
  /** It goes on listening and answers nothing. */
  suspend(): void;
  resume(): void;
  /** Nobody listens any more. */
  kill(): Promise<void>;
  /** On the same ports. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRotel(): Promise<Collector> {
  const program = await findRotel();
  const received: Buffer[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const body = Buffer.concat(pieces);
      received.push(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body);
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the receiver has no port');
  const [grpcPort, httpPort] = [await freePort(), await freePort()];
  const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-rotel-'));
  const settings = {
    'otlp-grpc-endpoint': `127.0.0.1:${grpcPort}`,
    'otlp-http-endpoint': `127.0.0.1:${httpPort}`,
    exporter: 'otlp',
    'otlp-exporter-endpoint': `http://127.0.0.1:${address.port}`,
    'otlp-exporter-protocol': 'http',
    'batch-timeout': '50ms',
    'pid-file': path.join(folder, 'rotel.pid'),
    'log-file': path.join(folder, 'rotel.log'),
  };
  const args = ['start', ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])];
  const start = async (): Promise<RunningProcess> => {
    const started = startProcess({ command: program, args, cwd: folder, folder });
    await waitUntilReady(started, async () => (await isListening(grpcPort)) && (await isListening(httpPort)));
    return started;
  };
  let running = await start();
  return {
    grpcUrl: `http://127.0.0.1:${grpcPort}`,
    httpUrl: `http://127.0.0.1:${httpPort}`,
    received,
    suspend: () => suspendProcess(running.pid),
    resume: () => process.kill(running.pid, 'SIGCONT'),
    async kill() {
      await running.stop('SIGKILL');
    },
    async restart() {
      running = await start();
    },
    async stop() {
      await running.stop('SIGKILL');
      server.close();
      server.closeAllConnections();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @throws Error that says how to get the program, when it can be neither found nor installed. */
export async function findRotel(): Promise<string> {
  const explicit = process.env['MIZUCHI_TEST_ROTEL'] ?? '';
  if (explicit !== '') {
    if (isProgram(explicit)) return explicit;
    throw new Error(`MIZUCHI_TEST_ROTEL is ${explicit}, which is not an executable file`);
  }
  const program = 'rotel-agent';
  const onPath = findOnPath([program]);
  if (onPath !== undefined) return onPath;
  const folder = await buildOnce({ name: path.join('test-servers', `rotel-${version}`), program, build: install });
  return path.join(folder, program);
}

/** The package's program needs nothing of the package, nor of Python. */
async function install(folder: string): Promise<void> {
  const python = path.join(folder, 'venv/bin/python');
  try {
    await runBuildTool('python3', ['-m', 'venv', path.join(folder, 'venv')]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps'];
    await runBuildTool(python, [...pip, '--target', folder, `rotel==${version}`]);
    await rm(path.join(folder, 'venv'), { recursive: true });
    await rename(path.join(folder, 'rotel/rotel-agent'), path.join(folder, 'rotel-agent'));
    await chmod(path.join(folder, 'rotel-agent'), 0o755);
  } catch (error) {
    throw new Error(
      `rotel is needed by these tests and could not be installed: ${error instanceof Error ? error.message : String(error)}. ` +
        'Do one of these: set MIZUCHI_TEST_ROTEL to the path of rotel-agent; put it on PATH; or install Python 3 with venv ' +
        `and pip, which the tests use to install rotel ${version} by themselves.`,
      { cause: error },
    );
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => socket.destroy());
    socket.once('error', () => resolve(false));
    socket.once('close', (hadError) => resolve(!hadError));
  });
}
