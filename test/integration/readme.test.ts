// Every block of the README is checked: configurations are loaded, and commands are run as a reader would run them, against
// the proxy of the README's own configuration and a real MinIO.
import { chmod, mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { loadConfig } from '../../src/config/load-config.ts';
import { findClient } from '../clients/find-client.ts';
import { freePort } from '../servers/free-port.ts';
import { startMinio } from '../servers/start-minio.ts';
import { startProcess, waitUntilReady, type RunningProcess } from '../servers/start-process.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { createCertificate } from '../support/certificate.ts';
import { findBlocks, type MarkdownBlock } from '../support/markdown-blocks.ts';
import { createRandomBody } from '../support/random-body.ts';
import { createBucket, type BucketView } from '../support/s3-client.ts';
import { sendRequest } from '../support/send-request.ts';
import { createToken, jwtSecret } from '../support/start-proxy.ts';

/** By how they begin: blocks that are neither run nor loaded here, and why. */
const unchecked: readonly { readonly begins: string; readonly because: string }[] = [
  {
    begins: 'npm ci && npm start ',
    because:
      'it would replace the modules that run this test; .ci/run begins with npm ci, first-start.test.ts starts it',
  },
  { begins: 'socket → server/', because: 'a picture' },
  {
    begins: 'docker compose up ',
    because: 'it needs a container engine; compose.test.ts runs what it does as plain processes',
  },
];

const repository = path.resolve(import.meta.dirname, '../..');
const blocks = findBlocks(await readFile(path.join(repository, 'README.md'), 'utf8'));
const isUnchecked = ({ text }: MarkdownBlock): boolean => unchecked.some(({ begins }) => text.startsWith(begins));
/** A block whose first line names a file is that file. */
const mainConfig = blocks.find(({ text }) => text.startsWith('# config.yaml\n'))?.text ?? '';
const blocksOf = (...languages: readonly string[]): [string, MarkdownBlock][] =>
  blocks
    .filter((block) => languages.includes(block.language) && !isUnchecked(block))
    .map((block) => [`line ${block.line}: ${block.text.split('\n', 1)[0]}`, block]);

test('every block is checked, or it is said why not', () => {
  const checked = new Set(['yaml', 'sh', 'bash']);
  const others = blocks.filter((block) => !checked.has(block.language) && !isUnchecked(block));
  expect(others.map(({ line, text }) => `line ${line}: ${text}`)).toEqual([]);
  for (const { begins } of unchecked) expect(blocks.filter(({ text }) => text.startsWith(begins))).toHaveLength(1);
  expect(blocksOf('yaml').length).toBeGreaterThan(0);
  expect(blocksOf('sh', 'bash').length).toBeGreaterThan(0);
});

test('the index of the examples names each of them', async () => {
  const examples = path.join(repository, 'examples');
  const entries = await readdir(examples, { withFileTypes: true });
  const index = await readFile(path.join(examples, 'README.md'), 'utf8');
  const named = new Set([...index.matchAll(/\]\((?<folder>[\w-]+)\)/gu)].map(({ groups }) => groups?.['folder']));
  const folders = new Set(entries.filter((entry) => entry.isDirectory()).map(({ name }) => name));
  expect(named).toEqual(folders);
});

describe('the configuration', () => {
  test('that stands in front of S3 weakens nothing: a start with it warns of nothing', () => {
    expect(loadConfig({ path: 'README.md', text: mainConfig, env: environmentFor(mainConfig) }).notices).toEqual([]);
  });

  test.each(blocksOf('yaml'))('%s', async (_, { text }) => {
    const written = text.replaceAll('01J…', '01J00000000000000000000000');
    const whole = stringify(await completeConfig(parse(written) as Record<string, unknown>));
    const { buckets } = loadConfig({ path: 'README.md', text: whole, env: environmentFor(text) });
    expect(buckets.length).toBeGreaterThan(0);
  });
});

function environmentFor(text: string): Record<string, string> {
  const names = [...text.matchAll(/\$\{(?<name>\w+)\}/gu)].map(({ groups }) => groups?.['name'] ?? '');
  return Object.fromEntries(names.map((name) => [name, `the-value-of-${name}-in-a-test-of-the-readme`]));
}

/** A fragment is told by its keys, with the help of the schema: a part of a bucket, or of a configuration whose bucket is any. */
async function completeConfig(fragment: Record<string, unknown>): Promise<Record<string, unknown>> {
  if ('buckets' in fragment) return fragment;
  const schema = JSON.parse(await readFile(path.join(repository, 'config.schema.json'), 'utf8')) as {
    properties: { buckets: { items: { properties: object } } };
  };
  const bucket = { name: 'uploads', filesystem: { root: './data' }, auth: { enabled: false } };
  const isOfBucket = Object.keys(fragment).every((key) => key in schema.properties.buckets.items.properties);
  if (isOfBucket) return { buckets: [{ ...bucket, ...fragment }] };
  return { buckets: [bucket], ...fragment };
}

describe('the commands', () => {
  let reader: Reader;
  beforeAll(async () => {
    reader = await startReader();
  }, 300_000);
  afterAll(() => reader.stop());

  test.each(blocksOf('sh', 'bash'))('%s', async (_, { text }) => {
    const uploads = [...text.matchAll(/(?:-T|s3 cp) (?<file>[\w./-]+).*?\/uploads\/(?<key>[\w./-]+)/gu)].map(
      ({ groups }) => ({ file: groups?.['file'] ?? '', key: groups?.['key'] ?? '' }),
    );
    for (const { file } of uploads) await reader.writeFile(file);
    const output = await reader.run(text);
    for (const { file, key } of uploads)
      expect((await reader.stored.readBytes(key)).equals(await reader.readFile(file))).toBe(true);

    // What a command has made for uploads must be good for one.
    const tokens = output.match(/^ey[\w-]+\.[\w-]+\.[\w-]+$/gmu) ?? [];
    const urls = output.match(/^http\S+X-Amz-Signature=\S+$/gmu) ?? [];
    expect(tokens).toHaveLength(text.match(/^npm start -- token /gmu)?.length ?? 0);
    expect(urls).toHaveLength(text.match(/^npm start -- presign /gmu)?.length ?? 0);
    for (const token of tokens) expect(await put(`${reader.url}/uploads/by-token`, token)).toBe(200);
    for (const url of urls) expect(await put(url)).toBe(200);
  });

  async function put(address: string, token?: string): Promise<number> {
    const { origin: url, pathname, search } = new URL(address);
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const path = `${pathname}${search}`;
    return (await sendRequest({ url, method: 'PUT', path, headers, body: 'a file', ca: reader.ca })).status;
  }
});

/** Somebody with a checkout, an S3 service, and this README open. */
interface Reader {
  /** Of the proxy that runs, by the README's configuration. */
  readonly url: string;
  /** Who vouches for it, PEM. */
  readonly ca: string;
  /** The bucket that the configuration names, seen without the proxy. */
  readonly stored: BucketView;
  writeFile(name: string): Promise<void>;
  readFile(name: string): Promise<Buffer>;
  /** @returns what the commands have written. @throws Error with it, when one of them fails. */
  run(commands: string): Promise<string>;
  stop(): Promise<void>;
}

const aliceSecretKey = 'a-secret-of-alice-for-tests';

async function startReader(): Promise<Reader> {
  const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-reader-'));
  for (const name of ['package.json', 'node_modules', 'src', 'examples'])
    await symlink(path.join(repository, name), path.join(folder, name));
  await installAws(folder);
  // Commands that upload must fail when the proxy refuses.
  await writeFile(path.join(folder, '.curlrc'), 'fail-with-body\n');

  const server = await startMinio();
  const stored = await createBucket(server, 'my-bucket');
  const port = await freePort();
  const url = `https://127.0.0.1:${port}`;
  await mkdir(path.join(folder, 'tls'));
  const { certFile, cert } = createCertificate(path.join(folder, 'tls'), 'cert');
  await rename(path.join(folder, 'tls/cert.key'), path.join(folder, 'tls/key.pem'));
  const token = await createToken({ iss: 'https://login.example.com', aud: 'uploads' });
  // What a reader puts in the place of what the README has.
  const fillIn = (text: string): string =>
    [
      ['0.0.0.0:8443', `127.0.0.1:${port}`],
      ['http://127.0.0.1:8080', url],
      ['https://uploads.example.com', url],
      ['https://s3.example.com', server.endpoint],
      ['eu-central-1', server.region],
      ['eyJ…', token],
      ['AWS_SECRET_ACCESS_KEY=…', `AWS_SECRET_ACCESS_KEY=${aliceSecretKey}`],
    ].reduce((filled, [from = '', to = '']) => filled.replaceAll(from, to), text);

  // The port for metrics is free wherever the test runs.
  await writeFile(path.join(folder, 'config.yaml'), `${fillIn(mainConfig)}\nmetrics: { port: 0 }\n`);
  const env = {
    ...environment(folder, server),
    CURL_CA_BUNDLE: certFile,
    AWS_CA_BUNDLE: certFile,
    PATH: [path.join(folder, 'bin'), path.dirname(process.execPath), process.env['PATH']].join(path.delimiter),
  };
  const start = (command: string): RunningProcess =>
    startProcess({ command: 'bash', args: ['-euo', 'pipefail', '-c', command], env, cwd: folder });

  const proxy = start(`exec ${await startCommand()}`);
  await waitUntilReady(
    proxy,
    async () => (await sendRequest({ url, method: 'GET', path: '/ready', ca: cert })).status === 200,
  );
  return {
    url,
    ca: cert,
    stored,
    async writeFile(name) {
      await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
      await writeFile(path.join(folder, name), createRandomBody(name, 100_000).bytes());
    },
    readFile: (name) => readFile(path.join(folder, name)),
    async run(commands) {
      // The proxy runs already.
      const running = start(fillIn(commands.replaceAll(isServing, '')));
      const { code } = await running.ended;
      if (code !== 0) throw new Error(`the commands ended with ${code}:\n${running.output()}`);
      return running.output();
    },
    async stop() {
      await proxy.stop('SIGTERM');
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A line that starts the proxy and does not come back. */
const isServing = /^npm start -- (?<args>--config config\.yaml)(?=\s*(?:#.*)?$)/gmu;

/** What npm would start: npm itself stays between, and does not pass the signal on that ends a test's programs. */
async function startCommand(): Promise<string> {
  const manifest = JSON.parse(await readFile(path.join(repository, 'package.json'), 'utf8')) as {
    scripts: { start: string };
  };
  const [args] = blocks.flatMap(({ text }) => [...text.matchAll(isServing)].map(({ groups }) => groups?.['args']));
  if (args === undefined) throw new Error('the README does not say how the proxy is started');
  return `${manifest.scripts.start.replace(/^exec /u, '')} ${args}`;
}

function environment(folder: string, server: S3Server): Record<string, string> {
  return {
    HOME: folder,
    npm_config_update_notifier: 'false',
    AWS_ACCESS_KEY_ID: server.accessKey,
    AWS_SECRET_ACCESS_KEY: server.secretKey,
    AWS_EC2_METADATA_DISABLED: 'true',
    JWT_SECRET: jwtSecret,
    ALICE_SECRET_KEY: aliceSecretKey,
  };
}

/** The pinned aws-cli of the tests, as `aws`. */
async function installAws(folder: string): Promise<void> {
  const command = (await findClient('aws')).map((word) => `'${word}'`).join(' ');
  const file = path.join(folder, 'bin/aws');
  await mkdir(path.dirname(file));
  await writeFile(file, `#!/bin/sh\nexec ${command} "$@"\n`);
  await chmod(file, 0o755);
}
