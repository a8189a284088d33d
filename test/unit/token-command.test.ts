// `mizuchi-uploadr token`: makes tokens where the secret is the configuration's own, and says why not elsewhere.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config/load-config.ts';
import { tokenCommand } from '../../src/token-command.ts';
import { certificatePem } from './auth/jwt/certificate.ts';
import { secret } from './auth/jwt/tokens.ts';

const bucket = (name: string, auth: object) => ({ name, filesystem: { root: './data' }, auth });
const file = stringify({
  buckets: [
    bucket('open', { enabled: false }),
    bucket('certified', { jwt: { algorithm: 'ES256', public_key: certificatePem } }),
    bucket('plain', { jwt: { secret } }),
    bucket('named', {
      jwt: { algorithms: ['HS512', 'HS256'], secret, issuer: 'https://issuer', audience: ['a', 'b'] },
    }),
    { name: 'team-*', s3: { region: 'us-east-1' }, auth: { jwt: { secret, issuer: 'https://teams' } } },
    bucket('provided', { jwt: { algorithm: 'RS256', jwks_url: 'http://127.0.0.1:1/jwks' } }),
    bucket('signed', { sigv4: { access_key: 'TESTACCESSKEY', secret_key: 'a-secret-key-of-these-tests' } }),
  ],
});
const config = loadConfig({ path: 'config.yaml', text: file, env: {} });

test('a token of the first bucket that has a secret, for one hour', async () => {
  const token = await tokenCommand(config, { subject: 'alice' });
  const { payload } = await jwtVerify(token, Buffer.from(secret), { algorithms: ['HS256'] });
  expect(payload).toEqual({ sub: 'alice', iat: expect.any(Number), exp: (payload.iat ?? 0) + 3600 });
});

test('a token of another bucket, with claims', async () => {
  const claims = '{"scope":"upload","tenant":{"id":"acme"}}';
  const token = await tokenCommand(config, { bucket: 'named', subject: 'alice', ttl: '60', claims });
  const { payload } = await jwtVerify(token, Buffer.from(secret));
  expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS512', typ: 'JWT' });
  expect(payload).toEqual({
    sub: 'alice',
    iat: expect.any(Number),
    exp: (payload.iat ?? 0) + 60,
    iss: 'https://issuer',
    aud: ['a', 'b'],
    scope: 'upload',
    tenant: { id: 'acme' },
  });
});

test.each(['team-a', 'team-*'])('a token of the bucket %s, by its pattern', async (name) => {
  const token = await tokenCommand(config, { bucket: name, subject: 'alice' });
  expect((await jwtVerify(token, Buffer.from(secret))).payload).toMatchObject({ iss: 'https://teams' });
});

test('where no bucket has a secret, the first says why', async () => {
  const buckets = config.buckets.filter(({ name }) => name === 'provided');
  await expect(tokenCommand({ ...config, buckets }, { subject: 'alice' })).rejects.toThrow('by its identity provider');
});

test('a claim that the configuration says nothing of may be given', async () => {
  const token = await tokenCommand(config, { subject: 'alice', claims: '{"iss":"me","aud":"you"}' });
  expect((await jwtVerify(token, Buffer.from(secret))).payload).toMatchObject({ iss: 'me', aud: 'you' });
});

test.each([
  ['provided', 'tokens for this bucket are made by its identity provider', {}],
  ['certified', 'tokens for this bucket are made by its identity provider', {}],
  ['signed', 'bucket signed takes signatures only, no tokens', {}],
  ['open', 'bucket open takes uploads without a token', {}],
  ['none', 'no bucket named none', {}],
  ['plain', '--subject is missing', { subject: undefined }],
  ['plain', '--subject is missing', { subject: '' }],
  ['plain', '--ttl is a number of seconds', { ttl: '0' }],
  ['plain', '--ttl is a number of seconds', { ttl: '1h' }],
  ['plain', '--claims is a JSON object', { claims: '[1]' }],
  ['plain', '--claims is a JSON object', { claims: 'null' }],
  ['plain', '--claims is a JSON object', { claims: 'scope=upload' }],
  ['plain', '--claims must not hold exp: the token has its own', { claims: '{"a":1,"exp":9999999999}' }],
  ['plain', '--claims must not hold iat: the token has its own', { claims: '{"iat":0}' }],
  ['plain', '--claims must not hold sub: the token has its own', { claims: '{"sub":"bob"}' }],
  ['named', '--claims must not hold iss: the token has its own', { claims: '{"iss":"c"}' }],
  ['named', '--claims must not hold aud: the token has its own', { claims: '{"aud":"c"}' }],
])('%s: %s', async (name, message, more) => {
  await expect(tokenCommand(config, { bucket: name, subject: 'alice', ...more })).rejects.toThrow(message);
});

test('on the command line: the token alone, or one sentence and a failure', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-token-'));
  writeFileSync(path.join(folder, 'config.yaml'), file);
  const run = (...args: string[]) => {
    const entry = path.resolve(import.meta.dirname, '../../src/cli.ts');
    return promisify(execFile)(process.execPath, [entry, 'token', ...args], { cwd: folder });
  };
  const { stdout } = await run('--subject', 'alice', '--ttl', '60', '--claims', '{"scope":"upload"}');
  const { payload } = await jwtVerify(stdout.trim(), Buffer.from(secret));
  expect(payload).toMatchObject({ sub: 'alice', scope: 'upload' });
  await expect(run('--subject', 'alice', '--bucket', 'provided')).rejects.toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'mizuchi-uploadr: tokens for this bucket are made by its identity provider\n',
  });
  rmSync(folder, { recursive: true });
});
