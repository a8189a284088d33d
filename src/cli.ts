#!/usr/bin/env node
// Loads the configuration, starts the proxy, stops it on a signal. Sub-commands: command-line.ts.
import cluster, { type Worker } from 'node:cluster';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCommandLine, UsageError } from './command-line.ts';
import { checkFiles } from './config/check-files.ts';
import { ConfigError } from './config/config-error.ts';
import type { Config } from './config/config.ts';
import { embeddedConfig, readConfig } from './config/load-config.ts';
import { readOrMakeSecret } from './config/local-secret.ts';
import { printConfig } from './config/print-config.ts';
import { readEnvironment } from './config/read-environment.ts';
import { ensureWritable } from './ensure-writable.ts';
import { healthCommand } from './health-command.ts';
import { createLog, toggleLevel, type Log } from './log.ts';
import { presignCommand } from './presign-command.ts';
import { describeListenFault, findListenFault } from './server/listen-fault.ts';
import { tokenCommand } from './token-command.ts';
import { version } from './version.ts';

/** What a worker tells its supervisor once a signal no longer ends it by itself. */
const heedsSignals = 'heeds signals';

/** So long one stop signal may come again: a terminal tells the whole group, npm and the supervisor pass it on besides. */
const sameSignalMs = 1000;

/** Folder of the embedded default: the files that are uploaded, and beside them the secret that tokens are signed with. */
const dataDir = './data';

async function main(): Promise<void> {
  const { command, values, help } = parseCommandLine(process.argv.slice(2));
  if (help !== undefined) return void process.stdout.write(help);
  if (values['version'] !== undefined) return void process.stdout.write(`${version}\n`);

  // The addon is bound to the ABI of one major version.
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major !== 22 || minor < 18)
    throw new Error(`this is Node ${process.versions.node}; install Node 22, 22.18 or newer, and start it with that`);

  const found = readConfig({
    env: readEnvironment(process.env),
    cwd: process.cwd(),
    ...(values['config'] === undefined ? {} : { configPath: values['config'] }),
  });
  const config = found ?? makeEmbeddedConfig();
  if (values['print-config'] !== undefined) return void process.stdout.write(printConfig(config));
  if (command === 'validate' || values['validate'] !== undefined) {
    checkFiles(config);
    return void process.stdout.write('The configuration is valid.\n');
  }
  if (command === 'token') return void process.stdout.write(`${await tokenCommand(config, values)}\n`);
  if (command === 'presign') return void process.stdout.write(`${presignCommand(config, values, Date.now())}\n`);
  if (command === 'health') return void process.stdout.write(await healthCommand(config));
  await serve(config, { isEmbedded: found === undefined });
}

function makeEmbeddedConfig(): Config {
  ensureWritable({ folder: dataDir, remedy: 'start it in another folder, or with --config' });
  return embeddedConfig({ secret: readOrMakeSecret(join(dataDir, '.jwt-secret')), dataDir });
}

async function serve(config: Config, { isEmbedded }: { isEmbedded: boolean }): Promise<void> {
  ensureWritable({ folder: config.server.stateDir, mode: 0o700, remedy: 'set server.state_dir' });
  const log = createLog(config.logging);
  process.on('SIGUSR2', () => toggleLevel(log, config.logging.level));
  process.on('uncaughtExceptionMonitor', (error) => log.fatal({ err: error }, 'ended by an unforeseen fault'));
  const workers = config.server.workers === 'auto' ? availableParallelism() : config.server.workers;
  // Before the port for metrics is taken: of two that are busy, this is the one to be told of.
  if (cluster.isPrimary) await refuseTakenAddress(config);
  if (workers > 1 && cluster.isPrimary) {
    if (config.metrics.enabled) {
      const { superviseMetrics } = await import('./telemetry/metrics/supervise-metrics.ts');
      await superviseMetrics(config.metrics, log);
    }
    superviseWorkers(workers, log, writesFiles(config));
    return;
  }
  // The other commands do without what it takes to serve.
  const { startProxy } = await import('./proxy.ts');
  const proxy = await startProxy(config, { log, sharePort: workers > 1, isSupervised: workers > 1 });
  onStopSignal((signal) => {
    log.info({ signal }, 'stopping');
    proxy.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'stopping failed');
        process.exit(1);
      },
    );
  });
  if (writesFiles(config)) process.on('SIGHUP', () => proxy.reopenFiles());
  process.send?.(heedsSignals);

  for (const notice of config.notices) log.warn(notice);
  const scheme = config.server.tls === undefined ? 'http' : 'https';
  const { host } = config.server.address;
  const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${proxy.port}`;
  log.info({ url, buckets: config.buckets.map(({ name }) => name) }, 'listening');
  log.flush();
  if (isEmbedded) await printFirstSteps(config, url);
}

/** The first signal is for `stop`; a second one, which comes later than the same one again, means now. */
function onStopSignal(stop: (signal: NodeJS.Signals) => void): void {
  let firstAtMs: number | undefined;
  const heed = (signal: NodeJS.Signals) => {
    if (firstAtMs !== undefined) {
      if (performance.now() - firstAtMs > sameSignalMs) process.exit(1);
      return;
    }
    firstAtMs = performance.now();
    stop(signal);
  };
  process.on('SIGTERM', heed);
  process.on('SIGINT', heed);
}

async function printFirstSteps(config: Config, url: string): Promise<void> {
  const token = await tokenCommand(config, { subject: 'local-user' });
  process.stdout.write(`
No configuration found, so this is the embedded default: uploads go to ${dataDir}/uploads, and need a token.
Try it (the token is good for one hour; \`token --subject NAME\` makes another):

  echo 'hello' > hello.txt
  curl -i -T hello.txt -H "Authorization: Bearer ${token}" ${url}/uploads/hello.txt

Or in a browser:

  ${url}/#token=${token}

`);
}

/** Workers share their port, with anybody: so it must be seen beforehand that nobody else has it. */
async function refuseTakenAddress({ server }: Config): Promise<void> {
  const code = await findListenFault(server.address);
  if (code !== undefined) throw new Error(describeListenFault({ ...server.address, setting: 'server.address' }, code));
}

/**
 * Keeps that many processes running on one port; passes signals on and ends when the last of them has been stopped: with a
 * failure if one of them ended so.
 */
function superviseWorkers(count: number, log: Log, passesHangup: boolean): void {
  /** A signal that nobody heeds would end a worker. */
  const heeding = new Set<Worker>();
  let isToggled = false;
  let hungUpAtMs = -Infinity;
  const stopping = new AbortController();
  let failedStarts = 0;
  const start = () => {
    const startedAtMs = Date.now();
    const worker = cluster.fork();
    worker.on('message', (message) => {
      if (message !== heedsSignals) return;
      heeding.add(worker);
      if (isToggled) worker.process.kill('SIGUSR2');
      // It may have opened its files before they were renamed.
      if (hungUpAtMs >= startedAtMs) worker.process.kill('SIGHUP');
    });
    worker.on('exit', (code, signal) => {
      heeding.delete(worker);
      if (stopping.signal.aborted) {
        // The signals themselves end a worker that was still starting.
        if (code === 0 || signal === 'SIGTERM' || signal === 'SIGINT') return;
        log.error({ code, signal }, 'a worker failed while it was stopped');
        process.exitCode = 1;
        return;
      }
      log.error({ code, signal }, 'a worker ended; starting another');
      failedStarts = Date.now() - startedAtMs < 5000 ? failedStarts + 1 : 0;
      if (failedStarts > 3 * count) process.exit(1);
      // Ended by the stop signal: nobody would tell a worker that comes after it.
      sleep(500 * failedStarts, undefined, stopping).then(start, () => undefined);
    });
  };
  for (let i = 0; i < count; i++) start();
  const stop = (signal: NodeJS.Signals) => {
    stopping.abort();
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill(signal);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGUSR2', () => {
    isToggled = !isToggled;
    for (const worker of heeding) worker.process.kill('SIGUSR2');
  });
  if (!passesHangup) return;
  process.on('SIGHUP', () => {
    hungUpAtMs = Date.now();
    for (const worker of heeding) worker.process.kill('SIGHUP');
  });
}

/** Files that are rotated by others: without any, SIGHUP ends the process, as is usual. */
function writesFiles({ logging: { auditDestination } }: Config): boolean {
  return auditDestination !== undefined && auditDestination !== 'stdout';
}

main().catch((error: unknown) => {
  // What somebody can mend is one clear message, without a stack.
  if (error instanceof ConfigError) process.stderr.write(`${error.message}\n`);
  else process.stderr.write(`mizuchi-uploadr: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof UsageError) process.stderr.write('Try mizuchi-uploadr --help.\n');
  process.exit(error instanceof UsageError ? 2 : 1);
});
