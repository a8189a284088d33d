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
import { requireNode } from './node-version.ts';
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
  if (help !== undefined) return print(help);
  if (values['version'] !== undefined) return print(`${version}\n`);
  requireNode();

  const found = readConfig({
    env: readEnvironment(process.env),
    cwd: process.cwd(),
    ...(values['config'] === undefined ? {} : { configPath: values['config'] }),
  });
  const config = found ?? makeEmbeddedConfig();
  if (values['print-config'] !== undefined) return print(printConfig(config));
  if (command === 'validate' || values['validate'] !== undefined) {
    checkFiles(config);
    return print('The configuration is valid.\n');
  }
  if (command === 'token') return print(`${await tokenCommand(config, values)}\n`);
  if (command === 'presign') return print(`${presignCommand(config, values, Date.now())}\n`);
  if (command === 'health') return print(await healthCommand(config));
  await serve(config, { isEmbedded: found === undefined });
}

/** Whoever reads may leave before the end, as `head` does: that ends neither a command nor the proxy with a fault. */
function print(text: string): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    process.stderr.write(`mizuchi-uploadr: standard output cannot be written to (${error.code ?? error.message})\n`);
    process.exitCode = 1;
  });
  process.stdout.write(text);
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
  if (cluster.isPrimary) await refuseTakenAddress(config, isEmbedded);
  if (workers > 1 && cluster.isPrimary) {
    // Said once, and not by each worker.
    checkFiles(config);
    const stopping = new AbortController();
    if (config.metrics.enabled) {
      const { superviseMetrics } = await import('./telemetry/metrics/supervise-metrics.ts');
      await superviseMetrics(config.metrics, { log, workers, stopping: stopping.signal });
    }
    superviseWorkers(workers, { log, stopping, passesHangup: writesFiles(config) });
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
  print(`
No configuration found, so this is the embedded default: uploads go to ${dataDir}/uploads, and need a token.
Try it (the token is good for one hour; \`token --subject NAME\` makes another):

  echo 'hello' > hello.txt
  curl -i -T hello.txt -H "Authorization: Bearer ${token}" ${url}/uploads/hello.txt

Or in a browser:

  ${url}/#token=${token}

`);
}

/** Workers share their port, with anybody: so it must be seen beforehand that nobody else has it. */
async function refuseTakenAddress({ server }: Config, isEmbedded: boolean): Promise<void> {
  const code = await findListenFault(server.address);
  const setting = isEmbedded ? 'server.address in a config.yaml (config.example.yaml shows how)' : 'server.address';
  if (code !== undefined) throw new Error(describeListenFault({ ...server.address, setting }, code));
}

/**
 * Keeps that many processes running on one port; passes signals on and ends when the last of them has been stopped: with a
 * failure if one of them ended so. What keeps the first from starting would keep all: then it ends at once.
 */
function superviseWorkers(
  count: number,
  { log, stopping, passesHangup }: { log: Log; stopping: AbortController; passesHangup: boolean },
): void {
  /** A signal that nobody heeds would end a worker. */
  const heeding = new Set<Worker>();
  let isToggled = false;
  let hungUpAtMs = -Infinity;
  let failedStarts = 0;
  let hasServed = false;
  const start = () => {
    const startedAtMs = Date.now();
    const worker = cluster.fork();
    worker.on('message', (message) => {
      if (message !== heedsSignals) return;
      heeding.add(worker);
      hasServed = true;
      if (isToggled) worker.process.kill('SIGUSR2');
      // It may have opened its files before they were renamed.
      if (hungUpAtMs >= startedAtMs) worker.process.kill('SIGHUP');
    });
    worker.on('exit', (code, signal) => {
      const wasServing = heeding.delete(worker);
      if (stopping.signal.aborted) {
        // The signals themselves end a worker that was still starting.
        if (code === 0 || signal === 'SIGTERM' || signal === 'SIGINT') return;
        log.error({ code, signal }, 'a worker failed while it was stopped');
        process.exitCode = 1;
        return;
      }
      const giveUp = (sentence: string): never => {
        log.fatal({ code, signal }, sentence);
        process.exit(1);
      };
      // It has said why.
      if (!hasServed && code === 1) giveUp('a worker could not start, so none will');
      failedStarts = wasServing && Date.now() - startedAtMs >= 5000 ? 0 : failedStarts + 1;
      if (failedStarts > 3 * count) giveUp('workers end again and again as they start; giving up');
      log.error({ code, signal }, 'a worker ended; starting another');
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
