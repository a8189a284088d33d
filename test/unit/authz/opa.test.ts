// What goes over the wire to OPA, and by which connections.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createOpaAuthorizer, dataPath, writeInput } from '../../../src/authz/opa.ts';
import type { Authorizer } from '../../../src/authz/authorizer.ts';
import type { OpaConfig } from '../../../src/config/config.ts';
import { S3Error } from '../../../src/errors.ts';
import { anonymous, createQuestion, jwtPrincipal, sigv4Principal } from '../../support/questions.ts';
import { answerWith, startRecorder } from '../../support/recorder.ts';

const settings = { timeoutMs: 500, cacheTtlMs: 0, denyCacheTtlMs: 0, cacheMaxEntries: 1 };
const allow = answerWith(200, { 'content-type': 'application/json' }, '{"result":true}');
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

function create(config: Partial<OpaConfig> & { url: string }): Authorizer {
  const authorizer = createOpaAuthorizer({ ...settings, policyPath: '/v1/data/a/b', ...config });
  cleanUps.push(() => authorizer.close());
  return authorizer;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

const causeOf = (asking: Promise<unknown>): Promise<unknown> =>
  asking.then(
    () => 'answered',
    (error: unknown) => (error instanceof S3Error && error.code === 'ServiceUnavailable' ? error.cause : error),
  );

test.each([
  ['/v1/data/mizuchi/allow', '/v1/data/mizuchi/allow'],
  ['v1/data/mizuchi/allow', '/v1/data/mizuchi/allow'],
  ['/mizuchi/allow', '/v1/data/mizuchi/allow'],
  ['mizuchi/allow/', '/v1/data/mizuchi/allow'],
  ['v1/allow', '/v1/data/v1/allow'],
  ['a%2Fb/c', '/v1/data/a%2Fb/c'],
])('the rule %s is at %s', (policyPath, expected) => {
  expect(dataPath(policyPath)).toBe(expected);
});

describe('the input', () => {
  const time = new Date('2026-11-21T10:00:00.5Z');
  const inputOf = (question: Parameters<typeof writeInput>[0]): unknown => JSON.parse(writeInput(question, time) ?? '');

  test('says all that is known', () => {
    const claims = { sub: 'alice', tenant: { id: 7 }, 'a.b': ['x', null], __proto__: 1 };
    const context = { uploadId: 'u', partNumber: 3, metadata: { b: '1', a: '2' } };
    expect(inputOf(createQuestion({ principal: jwtPrincipal(claims), context }))).toEqual({
      subject: 'alice',
      principal: { kind: 'jwt', subject: 'alice', claims: { sub: 'alice', tenant: { id: 7 }, 'a.b': ['x', null] } },
      action: 'upload',
      resource: { bucket: 'uploads', key: 'a/b.txt', backend_bucket: 'backend-bucket' },
      context: {
        operation: 'PutObject',
        method: 'PUT',
        client_ip: '192.0.2.1',
        content_length: 10,
        content_type: 'text/plain',
        user_agent: 'tests/1',
        upload_id: 'u',
        part_number: 3,
        metadata: { a: '2', b: '1' },
        time: '2026-11-21T10:00:00.500Z',
      },
    });
  });

  test('leaves out what is not, and never says null', () => {
    const context = { contentLength: undefined, contentType: undefined, userAgent: undefined };
    const text = writeInput(createQuestion({ principal: anonymous, context }), time) ?? '';
    expect(text).not.toContain('null');
    expect(JSON.parse(text)).toEqual({
      principal: { kind: 'anonymous' },
      action: 'upload',
      resource: { bucket: 'uploads', key: 'a/b.txt', backend_bucket: 'backend-bucket' },
      context: {
        operation: 'PutObject',
        method: 'PUT',
        client_ip: '192.0.2.1',
        metadata: {},
        time: '2026-11-21T10:00:00.500Z',
      },
    });
  });

  test('names the access key of a signature', () => {
    expect(inputOf(createQuestion({ principal: sigv4Principal('alice', 'AKID') }))).toMatchObject({
      subject: 'alice',
      principal: { kind: 'sigv4', subject: 'alice', access_key_id: 'AKID' },
    });
  });

  test('a claim can stand for nothing but itself', () => {
    const claims = JSON.parse(
      '{"sub":"a","__proto__":{"sub":"root"},"resource":{"bucket":"x"},"action":"abort"}',
    ) as object;
    const input = inputOf(createQuestion({ principal: jwtPrincipal({ ...claims }) })) as Record<string, unknown>;
    expect(input).toMatchObject({ subject: 'a', action: 'upload', resource: { bucket: 'uploads' } });
    expect(Object.keys(input).toSorted()).toEqual(['action', 'context', 'principal', 'resource', 'subject']);
  });
});

test('claims that are nested too deep are the sender’s fault: refused, and nobody is asked', async () => {
  const recorder = await startRecorder(allow);
  cleanUps.push(() => recorder.stop());
  const claims = { sub: 'alice', deep: JSON.parse(`${'['.repeat(9000)}${']'.repeat(9000)}`) as unknown };
  const decision = await create({ url: recorder.endpoint }).authorize(
    createQuestion({ principal: jwtPrincipal(claims) }),
  );
  expect(decision).toMatchObject({ allow: false });
  expect(recorder.seen).toEqual([]);
});

test('the question is one POST of JSON below the address, with the bearer token', async () => {
  const bodies: string[] = [];
  const recorder = await startRecorder((request, response) => {
    request.setEncoding('utf8');
    request.on('data', (text: string) => bodies.push(text));
    request.on('end', () => response.end('{"result":true}'));
  });
  cleanUps.push(() => recorder.stop());
  const authorizer = create({ url: `${recorder.endpoint}/opa`, token: 'secret-token' });
  expect(await authorizer.authorize(createQuestion({ resource: { key: 'ä🦈' } }))).toEqual({ allow: true });
  const [{ method, target, head } = { method: '', target: '', head: '' }] = recorder.seen;
  expect(`${method} ${target}`).toBe('POST /opa/v1/data/a/b');
  expect(head).toMatch(/content-type: application\/json\n/i);
  expect(head).toMatch(/content-length: \d+\n/i);
  expect(head).toMatch(/authorization: Bearer secret-token\n/i);
  expect(JSON.parse(bodies.join(''))).toMatchObject({ input: { resource: { key: 'ä🦈' } } });
  await authorizer.checkReady(AbortSignal.timeout(1000));
  expect(recorder.seen.at(-1)).toMatchObject({ method: 'GET', target: '/opa/health?bundles=true' });
});

test('connections are kept, and a signal that is aborted already asks nobody', async () => {
  const server = createServer(allow);
  let connections = 0;
  server.on('connection', () => connections++);
  const authorizer = create({ url: `http://127.0.0.1:${await listen(server)}` });
  for (let times = 0; times < 20; times++) await authorizer.authorize(createQuestion());
  expect(connections).toBe(1);
  await expect(authorizer.checkReady(AbortSignal.abort(new Error('no more')))).rejects.toThrow('no more');
  expect(connections).toBe(1);
});

test('a connection that the server has closed meanwhile is replaced', async () => {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    // The second comes on the connection of the first.
    if (requests === 2) request.socket.destroy();
    else allow(request, response);
  });
  const authorizer = create({ url: `http://127.0.0.1:${await listen(server)}` });
  expect(await authorizer.authorize(createQuestion())).toEqual({ allow: true });
  expect(await authorizer.authorize(createQuestion())).toEqual({ allow: true });
  expect(requests).toBe(3);
});

test('the second attempt has the rest of the time, and no third follows', async () => {
  let requests = 0;
  const server = createServer((request) => {
    requests++;
    if (requests === 1) setTimeout(() => request.socket.destroy(), 300);
  });
  const authorizer = create({ url: `http://127.0.0.1:${await listen(server)}` });
  const startedAt = performance.now();
  expect(await causeOf(authorizer.authorize(createQuestion()))).toMatchObject({
    message: 'OPA did not answer within 500 ms',
  });
  expect(performance.now() - startedAt).toBeLessThan(750);
  expect(requests).toBe(2);
});

test('a question that waits for a connection is bounded in time too', async () => {
  const server = createServer(() => undefined);
  const authorizer = create({ url: `http://127.0.0.1:${await listen(server)}` });
  const startedAt = performance.now();
  const answers = await Promise.all(Array.from({ length: 600 }, () => causeOf(authorizer.authorize(createQuestion()))));
  expect(performance.now() - startedAt).toBeLessThan(2000);
  expect(answers.every((cause) => cause instanceof Error && cause.message.startsWith('OPA did not answer'))).toBe(true);
});

test.each([
  [404, undefined, 'OPA answered 404'],
  [200, 'x'.repeat(64 * 1024 + 1), 'OPA answered more than 65536 bytes'],
])('status %i: what is told is the status alone', async (status, body, message) => {
  const recorder = await startRecorder(answerWith(status, {}, body ?? 'secret of the engine'));
  cleanUps.push(() => recorder.stop());
  expect(await causeOf(create({ url: recorder.endpoint }).authorize(createQuestion()))).toMatchObject({
    message,
    status,
  });
});

test('an answer without end is left', async () => {
  let sent = 0;
  const server = createServer((request, response) => {
    request.resume();
    const write = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384, 32))) sent += 16_384;
    };
    response.on('drain', write);
    response.on('error', () => undefined);
    write();
  });
  const authorizer = create({ url: `http://127.0.0.1:${await listen(server)}`, timeoutMs: 5000 });
  expect(await causeOf(authorizer.authorize(createQuestion()))).toMatchObject({ message: /more than/ });
  expect(sent).toBeLessThan(64 * 1024 * 1024);
});

test('the file of an authority that is not there is said at once', () => {
  expect(() => create({ url: 'https://127.0.0.1:1', caFile: '/nowhere/ca.pem' })).toThrow('ENOENT');
});
