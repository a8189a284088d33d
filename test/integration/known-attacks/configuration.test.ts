// Configurations that would leave a bucket open: refused at start, or said aloud; and values of the environment that try to
// be more than values.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { freePort } from '../../servers/free-port.ts';
import { startProcess, waitUntilReady, type RunningProcess } from '../../servers/start-process.ts';
import { sendRequest } from '../../support/send-request.ts';
import { createToken, jwtSecret, startProxy } from '../../support/start-proxy.ts';
import { waitFor } from '../../support/wait-for.ts';

const entry = path.resolve(import.meta.dirname, '../../../src/cli.ts');
type Environment = Readonly<Record<string, string>>;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-config-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function start(config: object | string, env: Environment = {}, cwd = folder): Promise<RunningProcess> {
  await writeFile(path.join(cwd, 'config.yaml'), typeof config === 'string' ? config : stringify(config));
  return startProcess({ command: process.execPath, args: [entry], env: { HOME: cwd, ...env }, cwd, folder: cwd });
}

/** @returns what a process says that ends by itself, with an exit code that is not 0. */
async function seeRefused(config: object | string, env: Environment = {}): Promise<string> {
  const running = await start(config, env, await mkdtemp(path.join(folder, 'refused-')));
  await waitFor(async () => running.hasEnded() || running.output().includes('"listening"'));
  const hasEnded = running.hasEnded();
  const end = await running.stop('SIGKILL');
  expect([hasEnded, end, running.output()]).toEqual([true, { code: 1, signal: null }, expect.any(String)]);
  return running.output();
}

const onPort0 = { address: '127.0.0.1:0' };
const bucket = (name: string, more: object): object => ({ name, filesystem: { root: './data' }, ...more });

describe('secrets that anybody could guess', () => {
  const weak: readonly string[] = [
    'your-super-secret-key-change-in-production',
    'a-string-secret-at-least-256-bits-long',
    'change-me-change-me-change-me-change-me',
    'CHANGE_ME_TO_A_LONG_RANDOM_STRING_PLEASE',
    'replace-this-with-your-own-secret-of-32-bytes',
    '<your-jwt-secret-of-at-least-32-bytes-here>',
    'this-is-only-a-placeholder-of-good-length',
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    'abcabcabcabcabcabcabcabcabcabcabcabcabcabcabc',
    'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    'minioadmin:minioadmin:minioadmin:minioadmin',
    'do-not-use-this-key-of-32-bytes-or-more',
    '${UNFILLED:-$}{JWT_SECRET_OF_THE_DEPLOYMENT}',
  ];
  const places: readonly (readonly [key: string, auth: (secret: string) => object])[] = [
    ['jwt.secret', (secret) => ({ jwt: { secret } })],
    ['sigv4.secret_key', (secret) => ({ sigv4: { access_key: 'AKIDWEAK', secret_key: secret } })],
    [
      'sigv4.credentials[0].secret_key',
      (secret) => ({ sigv4: { credentials: [{ access_key: 'AKIDWEAK', secret_key: secret }] } }),
    ],
  ];

  test('are refused wherever they stand, by name and without being repeated', async () => {
    const cases = places.flatMap(([key, auth]) =>
      [...weak, jwtSecret.slice(0, key.startsWith('jwt') ? 31 : 15)].map((secret) => [key, auth(secret)] as const),
    );
    cases.push(['jwt.secret', { jwt: { algorithm: 'HS512', secret: jwtSecret } }]);
    const buckets = cases.map(([, auth], index) => bucket(`weak-${index}`, { auth }));
    const output = await seeRefused({ server: onPort0, buckets });
    expect(output.match(/(?<=^ {2}line \d+: )buckets\S+(?=: )/gmu)).toEqual(
      cases.map(([key], index) => `buckets[${index}].auth.${key}`),
    );
    for (const secret of [...weak, jwtSecret.slice(0, 15)]) expect(output).not.toContain(secret);
    expect(output).not.toMatch(/^\s+at /mu);
  });

  test('are refused from the environment too', async () => {
    const buckets = [bucket('uploads', { auth: { jwt: { secret: '${JWT_SECRET}' } } })];
    const environments: Environment[] = [{ JWT_SECRET: '' }, { JWT_SECRET: weak[2] ?? '' }, {}];
    for (const output of await Promise.all(environments.map((env) => seeRefused({ server: onPort0, buckets }, env)))) {
      expect(output).toContain('buckets[0].auth.jwt.secret: ');
      expect(output).not.toContain('change-me');
    }
  });
});

describe('settings that do not exist', () => {
  test('are refused, each by its name', async () => {
    const jwt = { secret: jwtSecret, issuers: ['a'], aud: 'a', claims: [{ claim: 'a', equals: 'b', equal: 'b' }] };
    const sigv4 = { access_key: 'AKIDTEST', secret_key: jwtSecret, reject_replay: true };
    const output = await seeRefused({
      server: { ...onPort0, trusted_proxy: ['::1'], limits: { max_body: 1 } },
      buckets: [
        {
          ...bucket('uploads', { auth: { enable: true, jwt, sigv4 } }),
          allow_ips: ['192.0.2.1'],
          authorization: { enabled: true },
          upload: { max_size: 1, prefix: '{sub}/' },
          cors: { allowed_origins: ['https://a.example'], allow_origin: '*' },
        },
      ],
      logging: { level: 'info', redact: true },
      authentication: { enabled: true },
    });
    expect(new Set(output.match(/(?<=^ {2}line \d+: )\S+(?=: )/gmu))).toEqual(
      new Set([
        'server.trusted_proxy',
        'server.limits.max_body',
        'buckets[0].allow_ips',
        'buckets[0].authorization',
        'buckets[0].auth.enable',
        'buckets[0].auth.jwt.issuers',
        'buckets[0].auth.jwt.aud',
        'buckets[0].auth.jwt.claims[0].equal',
        'buckets[0].auth.sigv4.reject_replay',
        'buckets[0].upload.max_size',
        'buckets[0].upload.prefix',
        'buckets[0].cors.allow_origin',
        'logging.redact',
        'authentication',
      ]),
    );
    expect(output).not.toContain(jwtSecret);
  });

  test('are refused when one is the only fault', async () => {
    const blocks = [
      { jwt: { secret: jwtSecret, require_audience: true } },
      { enabled: true, strict: true, jwt: { secret: jwtSecret } },
    ];
    const outputs = await Promise.all(
      blocks.map((auth) => seeRefused({ server: onPort0, buckets: [bucket('uploads', { auth })] })),
    );
    for (const output of outputs) expect(output).toContain('1 fault\n');
  });
});

test.each<[level: string, times: number]>([
  ['info', 1],
  ['error', 1],
  ['fatal', 1],
  ['silent', 0],
])('authentication that is switched off is said aloud at start: at level %s %d times', async (level, times) => {
  const proxy = await startProxy({
    config: {
      logging: { level, format: 'json' },
      buckets: [
        bucket('open', { auth: { enabled: false } }),
        bucket('closed', { auth: { jwt: { secret: jwtSecret } } }),
      ],
    },
  });
  expect((await sendRequest({ url: proxy.url, method: 'PUT', path: '/open/key', body: 'x' })).status).toBe(200);
  const said = proxy
    .logs()
    .split('\n')
    .filter((line) => line.includes('auth.enabled is false'));
  expect(said).toHaveLength(times);
  const msg = expect.stringContaining('bucket open') as string;
  for (const line of said) expect(JSON.parse(line)).toMatchObject({ level: 40, msg });
  // The level is as it was for everything else.
  if (level !== 'info') expect(proxy.logs().split('\n')).toHaveLength(times + 1);
  await proxy.stop();
});

test('values of the environment stay values, whatever they look like', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  const env = {
    SECRET: `a long secret: of: colons\n        claims: []\n    auth: { enabled: false }\n---\nbuckets: []\n# `,
    ISSUER: '&anchor *alias !!js/function "${SECRET}" ${UNSET} ${UNSET:-default} $SECRET $(id) `id`',
    AUDIENCE: '[any, thing]',
    NOTE: 'true',
  };
  const text = `
server: { address: '${address}', state_dir: ./state }
buckets:
  - name: uploads
    filesystem: { root: ./data }
    auth:
      jwt:
        secret: \${SECRET}
        issuer: \${ISSUER}
        audience: \${AUDIENCE}
        claims:
          - { claim: note, equals: '\${NOTE}' }
logging: { level: trace, format: json }
`;
  const running = await start(text, env);
  const url = `http://${address}`;
  await waitUntilReady(running, async () => (await sendRequest({ url, method: 'GET', path: '/ready' })).status === 200);
  const put = async (token: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    return (await sendRequest({ url, method: 'PUT', path: '/uploads/key', headers, body: 'x' })).status;
  };
  const good = { iss: env.ISSUER, aud: env.AUDIENCE, note: env.NOTE };
  expect(await put(await createToken(good, env.SECRET))).toBe(200);
  expect(await put('')).toBe(401);
  expect(await put(await createToken(good, env.SECRET.split('\n')[0]))).toBe(401);
  expect(await put(await createToken({ ...good, aud: 'any' }, env.SECRET))).toBe(401);
  expect(
    await put(await createToken({ ...good, iss: env.ISSUER.replaceAll('${SECRET}', env.SECRET) }, env.SECRET)),
  ).toBe(401);
  expect(running.output()).not.toContain('a long secret');

  const printed = await promisify(execFile)(process.execPath, [entry, '--print-config'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], ...env },
  });
  expect(printed.stdout + printed.stderr).not.toContain('a long secret');
  expect(parse(printed.stdout)).toMatchObject({
    buckets: [{ name: 'uploads', auth: { enabled: true, jwt: { issuer: env.ISSUER, audience: [env.AUDIENCE] } } }],
  });
  await running.stop('SIGTERM');
});
