// The command line, as its user sees it: help, exit codes, and what is said when something is not as it should be.
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../servers/free-port.ts';
import { startMinio } from '../servers/start-minio.ts';
import { startProcess, waitUntilReady, type RunningProcess } from '../servers/start-process.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { createCertificate } from '../support/certificate.ts';
import { sendRequest } from '../support/send-request.ts';
import { jwtSecret } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const entry = path.resolve(import.meta.dirname, '../../src/cli.ts');
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-cli-'));
  return () => rm(folder, { recursive: true, force: true });
});

const start = (args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningProcess =>
  startProcess({ command: process.execPath, args: [entry, ...args], env: { HOME: folder, ...env }, cwd: folder });
const run = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const running = start(args, env);
  const { code } = await running.ended;
  return { code, output: running.output() };
};
const bucket = { name: 'uploads', filesystem: { root: './data' }, auth: { jwt: { secret: jwtSecret } } };
const write = async (config: object): Promise<void> => {
  const whole = { metrics: { enabled: false }, buckets: [bucket], ...config };
  await writeFile(path.join(folder, 'config.yaml'), JSON.stringify(whole));
};
/** One sentence, no stack, and the exit code of a fault. */
const expectFault = ({ code, output }: { code: number | null; output: string }, sentence: string | RegExp): void => {
  expect(output.trimEnd()).toMatch(sentence);
  expect(output).not.toMatch(/^\s+at /mu);
  expect(output.trimEnd().split('\n')).toHaveLength(1);
  expect(code).toBe(1);
};

describe('help', () => {
  test('names every command, and the exit codes', async () => {
    const { code, output } = await run(['--help']);
    expect(code).toBe(0);
    for (const word of [
      'serve',
      'validate',
      'token',
      'presign',
      'health',
      '--config PATH',
      '--print-config',
      'Exit codes: 0',
    ])
      expect(output).toContain(word);
    expect(await run(['-h'])).toEqual({ code, output });
    for (const line of output.split('\n')) expect(line.length).toBeLessThanOrEqual(130);
  });

  test.each([
    ['serve', '--print-config'],
    ['validate', '--config PATH'],
    ['token', '--subject NAME'],
    ['presign', '--access-key ID'],
    ['health', '--config PATH'],
  ])('of %s tells of %s', async (command, option) => {
    const { code, output } = await run([command, '--help']);
    expect(code).toBe(0);
    expect(output).toContain(`Usage: mizuchi-uploadr ${command} [OPTIONS]`);
    expect(output).toContain(option);
    expect(output.includes('--subject')).toBe(command === 'token');
  });
});

describe('wrong usage is exit code 2, and says what was perhaps meant', () => {
  test.each([
    [['tokn'], 'there is no command tokn; did you mean token?'],
    [['frobnicate'], 'there is no command frobnicate\n'],
    [['--confg', 'x.yaml'], 'there is no option --confg; did you mean --config?'],
    [['serve', '--ttl', '3'], '--ttl belongs to token, not to serve'],
    [['--config'], '--config is to be followed by PATH'],
    [['--config', '--validate'], '--config is to be followed by PATH'],
    [['--config='], '--config is to be followed by PATH'],
    [['--validate=yes'], '--validate takes no value'],
    [['--config=a', '--config=b'], '--config is given twice'],
    [['token'], '--subject is missing'],
    [['presign'], '--key is missing'],
    [['token', 'presign'], 'one command at a time: token presign'],
  ])('%j', async (args, message) => {
    const { code, output } = await run(args);
    expect(output).toContain(`mizuchi-uploadr: ${message}`);
    expect(output).toContain('Try mizuchi-uploadr --help.');
    expect(code).toBe(2);
  });
});

describe('standard output', () => {
  /** As a shell redirects it. */
  const runInto = async (target: string) => {
    const args = ['-c', `exec "$0" "$@" > ${target}`, process.execPath, entry, '--help'];
    const running = startProcess({ command: 'bash', args, env: { HOME: folder }, cwd: folder });
    const { code } = await running.ended;
    return { code, output: running.output() };
  };

  test('that nobody reads is no fault', async () => {
    expect(await runInto('>(exec <&-)')).toEqual({ code: 0, output: '' });
  });

  test('that cannot be written to is one sentence', async () => {
    expectFault(await runInto('/dev/full'), 'mizuchi-uploadr: standard output cannot be written to (ENOSPC)');
  });
});

describe('the configuration', () => {
  test.each([[['validate']], [['--validate']], [['serve', '--validate']]])('%j of a valid one', async (args) => {
    await write({});
    expect(await run(args)).toEqual({ code: 0, output: 'The configuration is valid.\n' });
  });

  test('with faults: all at once, with the key that was perhaps meant', async () => {
    await write({ server: { addres: 'x', limits: { memoryBuget: 1 } }, loging: {}, frobnicate: 1 });
    const { code, output } = await run(['validate']);
    expect(code).toBe(1);
    expect(output).toContain('config.yaml: 4 faults\n');
    expect(output).toContain('server.addres: unknown key; did you mean address?\n');
    expect(output).toContain('server.limits.memoryBuget: unknown key; did you mean memory_budget?\n');
    expect(output).toContain('loging: unknown key; did you mean logging?\n');
    expect(output).toContain('frobnicate: unknown key\n');
  });

  test('that is not there', async () => {
    const named = await run(['--config', 'none.yaml']);
    expect(named).toEqual({
      code: 1,
      output: 'none.yaml: 1 fault\n  the file cannot be read (ENOENT); put it there, or name another with --config\n',
    });
    expect((await run([], { MIZUCHI_CONFIG: 'gone.yaml' })).output).toContain('name another with MIZUCHI_CONFIG');
  });

  test('takes variables from files, and the environment’s before them', async () => {
    await write({ buckets: [{ ...bucket, name: '${NAME}', auth: { jwt: { secret: '${JWT_SECRET}' } } }] });
    const [first, second] = [path.join(folder, 'first.env'), path.join(folder, 'second.env')];
    await writeFile(first, `# secrets\nJWT_SECRET="${jwtSecret}"\nNAME=from-first\n`);
    await writeFile(second, 'NAME=from-second\n');
    const show = async (env: Readonly<Record<string, string>>) => (await run(['--print-config'], env)).output;
    expect(await show({ MIZUCHI_ENV_FILE: `${second}:${first}` })).toContain('from-second');
    expect(await show({ MIZUCHI_ENV_FILE: first })).toContain('from-first');
    expect(await show({ MIZUCHI_ENV_FILE: first, NAME: 'from-environment' })).toContain('from-environment');
    expect(await show({})).toContain('${NAME} is not set');
    const gone = await run(['validate'], { MIZUCHI_ENV_FILE: 'gone.env' });
    expect(gone).toMatchObject({ code: 1 });
    expect(gone.output).toContain('gone.env: 1 fault\n  the file of variables cannot be read (ENOENT)');
  });

  test('takes variables from a file with a byte order mark, and tells of one that is not UTF-8', async () => {
    await write({ buckets: [{ ...bucket, name: '${NAME}' }] });
    await writeFile(path.join(folder, 'marked.env'), '\uFEFFNAME=from-marked\n');
    await writeFile(path.join(folder, 'wide.env'), '\uFEFFNAME=from-wide\n', 'utf16le');
    expect((await run(['--print-config'], { MIZUCHI_ENV_FILE: 'marked.env' })).output).toContain('from-marked');
    const wide = await run(['--print-config'], { MIZUCHI_ENV_FILE: 'wide.env' });
    expect(wide).toEqual({
      code: 1,
      output: 'wide.env: 1 fault\n  the file is not UTF-8 text; save it as UTF-8\n',
    });
  });
});

describe('what keeps it from starting is one sentence', () => {
  let other: Server;
  let taken: number;
  beforeAll(async () => {
    other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    taken = typeof address === 'object' && address !== null ? address.port : 0;
  });
  afterAll(() => other.close());

  test.each([1, 2])('a busy port, with %i workers', async (workers) => {
    await write({ server: { address: `127.0.0.1:${taken}`, workers } });
    expectFault(
      await run([]),
      `mizuchi-uploadr: cannot listen on 127.0.0.1:${taken}: another program has the port; stop it, or set server.address`,
    );
  });

  test('a busy port for metrics', async () => {
    const metrics = { enabled: true, address: '127.0.0.1', port: taken };
    await write({ server: { address: `127.0.0.1:${await freePort()}` }, metrics });
    expectFault(
      await run([]),
      new RegExp(`127\\.0\\.0\\.1:${taken}: another program has the port; stop it, or set metrics`, 'u'),
    );
  });

  test('an address of another machine', async () => {
    await write({ server: { address: '192.0.2.1:8080' } });
    expectFault(await run([]), 'cannot listen on 192.0.2.1:8080: this machine has no such address; set server.address');
  });

  test('a state folder that cannot be written to', async () => {
    await writeFile(path.join(folder, 'file'), '');
    await write({ server: { address: `127.0.0.1:${await freePort()}`, state_dir: './file/state' } });
    expectFault(
      await run([]),
      'mizuchi-uploadr: cannot write to the folder ./file/state (ENOTDIR); let the user who runs the proxy write to it, or set server.state_dir',
    );
  });

  test('a data folder of the embedded default that cannot be made', async () => {
    await writeFile(path.join(folder, 'data'), '');
    expectFault(await run([]), /cannot write to the folder \.\/data \(EEXIST\); let .* or start it in another folder/u);
  });

  test('an authority that is not there, which a check of the configuration finds too', async () => {
    const opa = { url: 'https://127.0.0.1:1', policy_path: 'a', ca_file: './opa.pem' };
    const openfga = {
      url: 'https://127.0.0.1:1',
      store_id: '01HVMMBCMGZNT3SED4Z17ECXCA',
      object: 'bucket:a',
      relation: 'a',
    };
    const server = { address: `127.0.0.1:${await freePort()}` };
    const none = (setting: string) => `cannot be read (ENOENT); put the file there, or set ${setting}`;
    for (const args of [[], ['validate']]) {
      await write({ server, buckets: [{ ...bucket, authz: { opa } }] });
      expectFault(await run(args), `mizuchi-uploadr: ./opa.pem ${none('authz.opa.ca_file of bucket uploads')}`);
      await write({ server, buckets: [{ ...bucket, authz: { openfga: { ...openfga, ca_file: './fga.pem' } } }] });
      expectFault(await run(args), `mizuchi-uploadr: ./fga.pem ${none('authz.openfga.ca_file of bucket uploads')}`);
      await write({ server, tracing: { enabled: true, otlp: { ca_file: './otlp.pem' } } });
      expectFault(await run(args), `mizuchi-uploadr: ./otlp.pem ${none('tracing.otlp.ca_file')}`);
    }
  });

  test('a certificate that is not there, or is none', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    await write({ server: { address, tls: { cert_file: './cert.pem', key_file: './key.pem' } } });
    expectFault(await run([]), './cert.pem cannot be read (ENOENT); put the file there, or set server.tls.cert_file');
    await writeFile(path.join(folder, 'cert.pem'), 'no certificate');
    await writeFile(path.join(folder, 'key.pem'), 'no key');
    const noPair = /\.\/cert\.pem and \.\/key\.pem are no certificate and key of one pair in PEM/u;
    expectFault(await run([]), noPair);
    expectFault(await run(['validate']), noPair);
  });

  test.each([1, 4])('the key of another certificate, with %i workers', async (workers) => {
    const [one, other] = [createCertificate(folder, 'one'), createCertificate(folder, 'other')];
    const tls = { cert_file: one.certFile, key_file: other.keyFile };
    await write({ server: { address: `127.0.0.1:${await freePort()}`, workers, tls } });
    const sentence =
      /one\.pem and .*other\.key are no certificate and key of one pair in PEM \(ERR_OSSL_\w+\); set server\.tls$/u;
    for (const args of [[], ['validate']]) expectFault(await run(args), sentence);
  });

  test('what only workers find, once and for all', async () => {
    const state = path.join(folder, 'state');
    await mkdir(state);
    await writeFile(path.join(state, 'log-hash-secret'), `${jwtSecret}\n`, { mode: 0o644 });
    await write({ server: { address: `127.0.0.1:${await freePort()}`, workers: 4, state_dir: state } });
    const { code, output } = await run([]);
    expect(code).toBe(1);
    expect(output).toContain('others than its owner may use the secret');
    const gaveUp = output.split('\n').filter((line) => line.includes('"level":60'));
    expect(gaveUp).toEqual([expect.stringContaining('a worker could not start, so none will')]);
    expect(output).not.toContain('starting another');
  });
});

test('a state folder whose files a mount opens to their group (fsGroup) is used again, and that is told', async () => {
  const port = await freePort();
  const state = path.join(folder, 'state');
  await write({
    server: { address: `127.0.0.1:${port}`, state_dir: state },
    buckets: [{ ...bucket, upload: { bind_multipart_to_creator: true } }],
  });
  const startAndStop = async () => {
    const running = start([]);
    await waitUntilReady(running, async () => running.output().includes('"listening"'));
    await running.stop('SIGTERM');
    return running.output();
  };
  const names = ['log-hash-secret', 'upload-id-secret'];
  expect(await startAndStop()).not.toContain('"level":40');
  for (const name of names) await chmod(path.join(state, name), 0o660);
  const output = await startAndStop();
  for (const name of names) {
    expect(output).toMatch(new RegExp(`"level":40.*state/${name} was open to its group`, 'u'));
    expect((await stat(path.join(state, name))).mode & 0o777).toBe(0o600);
  }
});

describe('a backend that cannot be used is told of at start', () => {
  let minio: S3Server;
  beforeAll(async () => {
    minio = await startMinio();
  });
  afterAll(() => minio.stop());

  const expectWarning = async (storage: object, sentence: string): Promise<void> => {
    const port = await freePort();
    await write({
      server: { address: `127.0.0.1:${port}` },
      buckets: [{ name: 'uploads', auth: bucket.auth, ...storage }],
    });
    const running = start([]);
    await waitFor(() => Promise.resolve(running.output().includes('bucket uploads: ')));
    const lines = running
      .output()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { level: number; msg: string });
    expect(lines.filter(({ level }) => level >= 40).map(({ msg }) => msg)).toEqual([
      `bucket uploads: ${sentence}; until then uploads to it fail`,
    ]);
    // It runs all the same, and says that it is not ready.
    expect((await sendRequest({ url: `http://127.0.0.1:${port}`, method: 'GET', path: '/ready' })).status).toBe(503);
    expect(await running.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  };
  const credentials = () => ({ access_key: minio.accessKey, secret_key: minio.secretKey });

  test('nobody is there', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    await expectWarning(
      { s3: { endpoint, ...credentials() } },
      `${endpoint} cannot be reached (ECONNREFUSED); start it, or set s3.endpoint`,
    );
  });

  test('no such bucket', async () => {
    await expectWarning(
      { s3: { bucket: 'nowhere', endpoint: minio.endpoint, ...credentials() } },
      `${minio.endpoint} has no bucket nowhere; create it, or set s3.bucket`,
    );
  });

  test('a folder that cannot be written to', async () => {
    await writeFile(path.join(folder, 'file'), '');
    await expectWarning(
      { filesystem: { root: './file/data' } },
      'the folder ./file/data cannot be written to (ENOTDIR); let the user who runs the proxy write to it, or set filesystem.root',
    );
  });

  test('the wrong secret', async () => {
    const port = await freePort();
    const s3 = { endpoint: minio.endpoint, access_key: minio.accessKey, secret_key: 'another-secret-key' };
    await write({ server: { address: `127.0.0.1:${port}` }, buckets: [{ name: 'uploads', auth: bucket.auth, s3 }] });
    const running = start([]);
    await waitFor(() => Promise.resolve(running.output().includes('"level":40')));
    expect(running.output()).toMatch(/refuses the credentials for uploads.*; set s3\.access_key and s3\.secret_key/u);
    expect(running.output()).not.toContain('another-secret-key');
    await running.stop('SIGTERM');
  });
});

describe('health', () => {
  test('asks the proxy of the same configuration', async () => {
    const port = await freePort();
    await write({ server: { address: `0.0.0.0:${port}` } });
    expectFault(await run(['health']), `the proxy at 127.0.0.1:${port} does not answer (ECONNREFUSED)`);
    await mkdir(path.join(folder, 'data'));
    const running = start([]);
    const url = `http://127.0.0.1:${port}`;
    await waitUntilReady(
      running,
      async () => (await sendRequest({ url, method: 'GET', path: '/ready' })).status === 200,
    );
    const { code, output } = await run(['health']);
    expect(code).toBe(0);
    expect(JSON.parse(output)).toMatchObject({ status: 'alive' });
    await running.stop('SIGTERM');
  });
});
