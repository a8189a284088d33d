// The example of a Rego policy: its own tests, its style, its README's input, and its configuration before a real OPA.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Decision } from '../../src/authz/authorizer.ts';
import { createOpaAuthorizer, writeInput } from '../../src/authz/opa.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { findServer } from '../servers/find-server.ts';
import { startOpa, type OpaServer } from '../servers/start-opa.ts';
import { createQuestion, jwtPrincipal, sigv4Principal, type QuestionParts } from '../support/questions.ts';
import { jwtSecret } from '../support/start-proxy.ts';

const folder = path.resolve(import.meta.dirname, '../../examples/opa');
const read = (name: string) => readFile(path.join(folder, name), 'utf8');
const run = async (...args: string[]): Promise<string> => {
  const { stdout, stderr } = await promisify(execFile)(await findServer('opa'), args);
  return stdout + stderr;
};

test('its tests pass', async () => {
  expect(await run('test', folder, '--format', 'json', '--fail-on-empty')).not.toMatch(/"fail": true|"error"/);
});

test('it is strict Rego, formatted as OPA formats', async () => {
  expect(await run('check', '--strict', folder)).toBe('');
  expect(await run('fmt', '--list', '--fail', folder)).toBe('');
});

test('the README shows an input as it is sent', async () => {
  const [, shown = ''] = /```json\n(?<input>.*?)```/su.exec(await read('README.md')) ?? [];
  const input = JSON.parse(shown) as { principal: { claims: Record<string, unknown> }; context: { time: string } };
  const question = createQuestion({
    principal: jwtPrincipal(input.principal.claims),
    resource: { bucket: 'uploads', key: 'press/2026/a.png', backendBucket: 'my-bucket' },
    context: {
      operation: 'UploadPart',
      clientIp: '192.0.2.7',
      contentLength: 5_242_880,
      contentType: 'image/png',
      userAgent: 'aws-sdk-js/3',
      uploadId: '2~x7Kq',
      partNumber: 3,
      metadata: { album: 'holidays' },
    },
  });
  expect(JSON.parse(writeInput(question, new Date(input.context.time)) ?? '')).toEqual(input);
});

describe('the configuration', () => {
  let server: OpaServer;
  beforeAll(async () => {
    server = await startOpa({ args: [path.join(folder, 'mizuchi.rego'), path.join(folder, 'data.json')] });
  });
  afterAll(() => server.stop());

  const ask = async (parts: QuestionParts): Promise<Decision> => {
    const env = { OPA_URL: server.url, JWT_SECRET: jwtSecret, SCANNER_SECRET_KEY: 'a-secret-key-of-a-scanner' };
    const config = loadConfig({ path: 'config.yaml', text: await read('config.yaml'), env });
    const opa = config.buckets[0]?.authz?.opa;
    if (opa === undefined) throw new Error('no opa in the configuration');
    const authorizer = createOpaAuthorizer(opa);
    const decision = await authorizer.authorize(createQuestion(parts));
    await authorizer.close();
    return decision;
  };

  test('one’s own folder', async () => {
    const principal = jwtPrincipal({ sub: 'ben' });
    expect(await ask({ principal, resource: { key: 'home/ben/a' } })).toEqual({
      allow: true,
      obligations: { keyPrefix: 'home/ben/' },
    });
    expect(await ask({ principal, resource: { key: 'home/ada/a' } })).toEqual({
      allow: false,
      reason: 'no rule allows it',
    });
  });

  test('a team’s folder, within bounds', async () => {
    const principal = jwtPrincipal({ sub: 'ada', groups: ['press'] });
    expect(await ask({ principal, resource: { key: 'press/a.png' } })).toEqual({
      allow: true,
      obligations: {
        keyPrefix: 'press/',
        maxObjectBytes: 104_857_600,
        allowedContentTypes: ['image/*', 'application/pdf'],
      },
    });
    expect(await ask({ principal, action: 'abort', resource: { key: 'press/a.png' } })).toMatchObject({ allow: false });
  });

  test.each([
    ['192.0.2.7', true],
    ['2001:db8::1', true],
    ['203.0.113.9', false],
    ['', false],
  ])('a scanner at %j: %j', async (clientIp, allow) => {
    const principal = sigv4Principal('scanner', 'AKIDSCANNER');
    expect(await ask({ principal, resource: { key: 'press/a.pdf' }, context: { clientIp } })).toMatchObject({ allow });
  });
});
