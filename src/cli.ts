#!/usr/bin/env node
// Loads the configuration, starts the proxy, stops it on a signal. Sub-commands: serve (default), token, presign.
import cluster from 'node:cluster';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError } from './config/config-error.ts';
import type { Config } from './config/config.ts';
import { embeddedConfig, readConfig } from './config/load-config.ts';
import { readOrMakeSecret } from './config/local-secret.ts';
import { printConfig } from './config/print-config.ts';
import { createLog, type Log } from './log.ts';
import { presignCommand } from './presign-command.ts';
import { startProxy } from './proxy.ts';
import { tokenCommand } from './token-command.ts';
import { version } from './version.ts';

const usage = `mizuchi-uploadr ${version}: upload-only, streaming S3 proxy

  mizuchi-uploadr [serve] [--config PATH]   start the proxy (without a configuration: the embedded default)
  mizuchi-uploadr token --subject NAME [--ttl SECONDS] [--bucket NAME] [--claims JSON]
                                            print a bearer token made from the configuration's secret, with the
                                            members of a JSON object as further claims
  mizuchi-uploadr presign --key KEY [--bucket NAME] [--method PUT] [--expires SECONDS] [--query STRING]
                          [--access-key ID] [--url http://HOST:PORT]
                                            print a URL signed with a credential of the configuration
  --validate       check the configuration and exit
  --print-config   print the effective configuration, secrets hidden, and exit
  --version, --help

The configuration is read from --config, else MIZUCHI_CONFIG, else ./config.yaml.
`;

/** Folder of the embedded default: the files that are uploaded, and beside them the secret that tokens are signed with. */
const dataDir = './data';

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      validate: { type: 'boolean' },
      'print-config': { type: 'boolean' },
      subject: { type: 'string' },
      bucket: { type: 'string' },
      ttl: { type: 'string' },
      key: { type: 'string' },
      method: { type: 'string' },
      expires: { type: 'string' },
      query: { type: 'string' },
      'access-key': { type: 'string' },
      url: { type: 'string' },
      claims: { type: 'string' },
      version: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const [command = 'serve', ...extra] = positionals;
  if (values.help) return void process.stdout.write(usage);
  if (values.version) return void process.stdout.write(`${version}\n`);
  if (extra.length > 0 || !['serve', 'token', 'presign'].includes(command))
    throw new UsageError(`unknown command: ${positionals.join(' ')}`);

  const found = readConfig({
    env: process.env,
    cwd: process.cwd(),
    ...(values.config === undefined ? {} : { configPath: values.config }),
  });
  const config = found ?? embeddedConfig({ secret: readOrMakeSecret(join(dataDir, '.jwt-secret')), dataDir });
  if (values.validate) return void process.stdout.write('The configuration is valid.\n');
  if (values['print-config']) return void process.stdout.write(printConfig(config));
  if (command === 'token') return void process.stdout.write(`${await tokenCommand(config, values)}\n`);
  if (command === 'presign') return void process.stdout.write(`${presignCommand(config, values, Date.now())}\n`);
  await serve(config, { isEmbedded: found === undefined });
}

class UsageError extends Error {}

async function serve(config: Config, { isEmbedded }: { isEmbedded: boolean }): Promise<void> {
  const log = createLog(config.logging);
  const workers = config.server.workers === 'auto' ? availableParallelism() : config.server.workers;
  if (workers > 1 && cluster.isPrimary) {
    await refuseTakenAddress(config);
    superviseWorkers(workers, log);
    return;
  }
  const proxy = await startProxy(config, { log, sharePort: workers > 1 });
  let isStopping = false;
  const stop = (signal: string) => {
    // A second signal means now.
    if (isStopping) process.exit(1);
    isStopping = true;
    log.info({ signal }, 'stopping');
    proxy.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);

  for (const notice of config.notices) log.warn(notice);
  const scheme = config.server.tls === undefined ? 'http' : 'https';
  const { host } = config.server.address;
  const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${proxy.port}`;
  log.info({ url, buckets: config.buckets.map(({ name }) => name) }, 'listening');
  if (isEmbedded) await printFirstSteps(config, url);
}

async function printFirstSteps(config: Config, url: string): Promise<void> {
  const token = await tokenCommand(config, { subject: 'local-user' });
  process.stdout.write(`
No configuration found, so this is the embedded default: uploads go to ${dataDir}/uploads, and need a token.
Try it (the token is good for one hour; \`token --subject NAME\` makes another):

  echo 'hello' > hello.txt
  curl -i -T hello.txt -H "Authorization: Bearer ${token}" ${url}/uploads/hello.txt

`);
}

/** Workers share their port, with anybody: so it must be seen beforehand that nobody else has it. */
function refuseTakenAddress({ server }: Config): Promise<void> {
  const { host, port } = server.address;
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', () => reject(new Error(`cannot listen on ${host}:${port}: the address is in use or not ours`)));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve()));
  });
}

/** Keeps that many processes running on one port; passes a stop signal on and ends when the last of them has. */
function superviseWorkers(count: number, log: Log): void {
  let isStopping = false;
  let failedStarts = 0;
  const start = () => {
    const startedAtMs = Date.now();
    cluster.fork().on('exit', (code, signal) => {
      if (isStopping) return;
      log.error({ code, signal }, 'a worker ended; starting another');
      failedStarts = Date.now() - startedAtMs < 5000 ? failedStarts + 1 : 0;
      if (failedStarts > 3 * count) process.exit(1);
      setTimeout(start, 500 * failedStarts);
    });
  };
  for (let i = 0; i < count; i++) start();
  const stop = (signal: NodeJS.Signals) => {
    isStopping = true;
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill(signal);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

main().catch((error: unknown) => {
  // A fault of the configuration or of the address is one clear message, without a stack.
  if (error instanceof UsageError) process.stderr.write(`${error.message}\n\n${usage}`);
  else if (error instanceof ConfigError || !(error instanceof Error))
    process.stderr.write(`${String(error instanceof Error ? error.message : error)}\n`);
  else process.stderr.write(`mizuchi-uploadr: ${error.message}\n`);
  process.exit(1);
});
