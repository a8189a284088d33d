// What becomes of the client's trace: continued, refused, sampled or not, and carried to every neighbour.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSigningKey, startOidcProvider } from '../servers/start-oidc-provider.ts';
import { createStore, startOpenFga } from '../servers/start-openfga.ts';
import { testModel } from '../support/openfga-engine.ts';
import { openRawConnection } from '../support/raw-connection.ts';
import { answerWith, passOnTo, startRecorder, type Recorder } from '../support/recorder.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import { createToken } from '../support/start-proxy.ts';
import { startTracedProxy, type TracedProxy, type TracedProxyOptions } from '../support/traced-proxy.ts';
import { drawTree, spansOf, waitForTrace, type SeenSpan } from '../support/traces.ts';
import { waitFor } from '../support/wait-for.ts';

const stops: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const stop of stops.toReversed()) await stop();
});

async function start(options: TracedProxyOptions): Promise<TracedProxy> {
  const traced = await startTracedProxy(options);
  stops.push(() => traced.stop());
  return traced;
}

const clientTrace = '0af7651916cd43dd8448eb211c80319c';
const clientSpan = 'b7ad6b7169203331';
const traceparent = (flags: string, traceId = clientTrace): string => `00-${traceId}-${clientSpan}-${flags}`;
const newTraceId = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex');

async function put({ proxy }: TracedProxy, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const authorization = `Bearer ${await createToken()}`;
  const answer = await sendRequest({
    url: proxy.url,
    method: 'PUT',
    path: '/uploads/small',
    headers: { authorization, ...headers },
    body: 'small',
  });
  expect(answer.status).toBe(200);
  return answer;
}

const isWhole = (spans: readonly SeenSpan[]): boolean => spans.some(({ kind }) => kind === 'server');

function fieldsSeen({ seen }: Recorder, name: string): (string | undefined)[] {
  return seen.map(({ head }) => new RegExp(`^${name}: (?<value>.*)$`, 'imu').exec(head)?.groups?.['value']);
}

describe('every request is recorded', () => {
  let traced: TracedProxy;
  beforeAll(async () => {
    traced = await start({ tracing: { sampling: { strategy: 'always' } } });
  });

  test.each([
    ['nothing', ''],
    ['words', 'not a traceparent'],
    ['all zeros', traceparent('01', '0'.repeat(32))],
    ['a parent of zeros', `00-${clientTrace}-0000000000000000-01`],
    ['capitals', traceparent('01').toUpperCase()],
    ['version ff', `ff-${clientTrace}-${clientSpan}-01`],
    ['one field too many', `${traceparent('01')}-what`],
    ['flags of one digit', traceparent('1')],
    ['a short trace id', `00-${clientTrace.slice(1)}-${clientSpan}-01`],
    ['8 KiB', `00-${clientTrace}-${clientSpan}-01-${'a'.repeat(8192)}`],
    ['8 KiB of a later version', `01-${clientTrace}-${clientSpan}-01-${'a'.repeat(8192)}`],
  ])('a traceparent of %s begins a new trace', async (_, field) => {
    const answer = await put(traced, { traceparent: field, tracestate: 'vendor=value' });
    const traceId = String(answer.headers['x-mizuchi-trace-id']);
    expect(traceId).toMatch(/^[0-9a-f]{32}$/u);
    expect(traceId).not.toBe(clientTrace);
    const spans = await waitForTrace(traced.collector, traceId, isWhole);
    expect(drawTree(spans)).toBe(
      'PutObject\n  authenticate\n  authorize\n  S3.PutObject'.replace('authorize', treeOfAuthorize(spans)),
    );
    expect(spans.every(({ state }) => state === '')).toBe(true);
  });

  test('two traceparents begin a new trace', async () => {
    const connection = await openRawConnection(traced.proxy.url);
    const fields = ['Host: a', `Authorization: Bearer ${await createToken()}`, 'Content-Length: 1'];
    const twice = [`traceparent: ${traceparent('01')}`, `traceparent: ${traceparent('01')}`];
    await connection.write(`PUT /uploads/twice HTTP/1.1\r\n${[...fields, ...twice].join('\r\n')}\r\n\r\nx`);
    const answer = await connection.readAnswer();
    connection.destroy();
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-mizuchi-trace-id')).toMatch(/^[0-9a-f]{32}$/u);
    expect(answer.headers.get('x-mizuchi-trace-id')).not.toBe(clientTrace);
  });

  test('a later version is continued', async () => {
    const traceId = newTraceId();
    await put(traced, { traceparent: `cc-${traceId}-${clientSpan}-01-what-the-future-brings` });
    const spans = await waitForTrace(traced.collector, traceId, isWhole);
    expect(spans.find(({ kind }) => kind === 'server')?.parentId).toBe(clientSpan);
  });

  test('baggage is neither read nor sent', async () => {
    traced.storeRecorder.seen.length = 0;
    await put(traced, { traceparent: traceparent('01', newTraceId()), baggage: 'user=alice' });
    expect(fieldsSeen(traced.storeRecorder, 'baggage')).toEqual([undefined]);
  });

  test('a state that breaks the rules is left out, and the trace goes on', async () => {
    const traceId = newTraceId();
    traced.storeRecorder.seen.length = 0;
    await put(traced, { traceparent: traceparent('01', traceId), tracestate: 'Not Valid' });
    await waitForTrace(traced.collector, traceId, isWhole);
    expect(fieldsSeen(traced.storeRecorder, 'tracestate')).toEqual([undefined]);
  });

  test('the request id and the trace id of the answer are those of the span', async () => {
    const answer = await put(traced);
    const spans = await waitForTrace(traced.collector, String(answer.headers['x-mizuchi-trace-id']), isWhole);
    const request = spans.find(({ kind }) => kind === 'server');
    expect(request?.attributes['mizuchi.request_id']).toBe(answer.headers['x-amz-request-id']);
  });
});

/** The first request asks OPA; for the others its answer is remembered. */
function treeOfAuthorize(spans: readonly SeenSpan[]): string {
  return spans.some(({ name }) => name === 'POST opa') ? 'authorize\n    POST opa' : 'authorize';
}

describe('parent_based', () => {
  let traced: TracedProxy;
  beforeAll(async () => {
    traced = await start({ tracing: { sampling: { strategy: 'parent_based', ratio: 0 } } });
  });

  test('records what the client records', async () => {
    const traceId = newTraceId();
    const answer = await put(traced, { traceparent: traceparent('01', traceId) });
    expect(answer.headers['x-mizuchi-trace-id']).toBe(traceId);
    await waitForTrace(traced.collector, traceId, isWhole);
  });

  test('does not record what the client does not record, and passes that on', async () => {
    const traceId = newTraceId();
    traced.storeRecorder.seen.length = 0;
    const answer = await put(traced, { traceparent: traceparent('00', traceId), tracestate: 'vendor=value' });
    expect(answer.headers).not.toHaveProperty('x-mizuchi-trace-id');
    expect(fieldsSeen(traced.storeRecorder, 'traceparent')).toEqual([traceparent('00', traceId)]);
    expect(fieldsSeen(traced.storeRecorder, 'tracestate')).toEqual(['vendor=value']);
    await seeNothingOf(traced, traceId);
  });

  test('decides by the ratio where the client says nothing, and tells the neighbours', async () => {
    traced.storeRecorder.seen.length = 0;
    await put(traced);
    const [field] = fieldsSeen(traced.storeRecorder, 'traceparent');
    expect(field).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/u);
    await seeNothingOf(traced, String(field).slice(3, 35));
  });
});

/** Something recorded later has come through, and nothing of this trace. */
async function seeNothingOf(traced: TracedProxy, traceId: string): Promise<void> {
  const later = newTraceId();
  await put(traced, { traceparent: traceparent('01', later) });
  await waitForTrace(traced.collector, later, isWhole);
  expect(spansOf(traced.collector).filter((span) => span.traceId === traceId)).toEqual([]);
}

test('ratio records its share, whatever the client says, and the same traces each time', async () => {
  const traced = await start({ tracing: { sampling: { strategy: 'ratio', ratio: 0.25 } } });
  const traceIds = Array.from({ length: 400 }, newTraceId);
  const recorded: string[] = [];
  for (const [index, traceId] of traceIds.entries()) {
    const answer = await put(traced, { traceparent: traceparent(index % 2 === 0 ? '01' : '00', traceId) });
    if (answer.headers['x-mizuchi-trace-id'] !== undefined) recorded.push(traceId);
  }
  // Of 400 at 0.25: 100, give or take 8.7; five times that is once in two million.
  expect(recorded.length).toBeGreaterThan(56);
  expect(recorded.length).toBeLessThan(144);
  for (const traceId of traceIds.slice(0, 20)) {
    const answer = await put(traced, { traceparent: traceparent('01', traceId) });
    expect(answer.headers['x-mizuchi-trace-id'] !== undefined).toBe(recorded.includes(traceId));
  }
  const seen = (): Set<string> => new Set(spansOf(traced.collector).map(({ traceId }) => traceId));
  await waitFor(async () => recorded.every((traceId) => seen().has(traceId)));
  expect(seen()).toEqual(new Set(recorded));
});

test('never exports nothing, and carries the client’s own trace on to the neighbours', async () => {
  const traced = await start({ tracing: { sampling: { strategy: 'never' } } });
  traced.storeRecorder.seen.length = 0;
  traced.opaRecorder.seen.length = 0;
  const answer = await put(traced, { traceparent: traceparent('01'), tracestate: 'vendor=value' });
  expect(answer.headers).not.toHaveProperty('x-mizuchi-trace-id');
  expect(fieldsSeen(traced.storeRecorder, 'traceparent')).toEqual([traceparent('01')]);
  expect(fieldsSeen(traced.opaRecorder, 'traceparent')).toEqual([traceparent('01')]);
  traced.storeRecorder.seen.length = 0;
  await put(traced);
  expect(fieldsSeen(traced.storeRecorder, 'traceparent')).toEqual([undefined]);
  await traced.proxy.stop();
  expect(spansOf(traced.collector)).toEqual([]);
});

test('the keys of an identity provider and OpenFGA are asked within the trace', async () => {
  const key = createSigningKey('key-1');
  const identityProvider = await startOidcProvider(key);
  stops.push(() => identityProvider.kill());
  const keysRecorder = await startRecorder(passOnTo({ port: Number(new URL(identityProvider.jwksUrl).port) }));
  const openfga = await startOpenFga();
  const openfgaRecorder = await startRecorder(passOnTo(openfga));
  stops.push(
    () => keysRecorder.stop(),
    () => openfga.stop(),
    () => openfgaRecorder.stop(),
  );
  const store = await createStore(openfga, testModel, [
    { user: 'user:uploader', relation: 'writer', object: 'bucket:uploads' },
  ]);
  const resource = 'https://uploads.example.com';
  const traced = await start({
    bucket: {
      auth: {
        jwt: {
          algorithm: 'RS256',
          jwks_url: `${keysRecorder.endpoint}/jwks`,
          issuer: identityProvider.issuer,
          audience: resource,
          cooldown_seconds: 1,
        },
      },
      authz: {
        openfga: {
          url: openfgaRecorder.endpoint,
          store_id: store.storeId,
          model_id: store.modelId,
          user: 'user:uploader',
          object: 'bucket:{bucket}',
          relation: 'writer',
          cache_ttl_seconds: 0,
        },
      },
    },
  });
  openfgaRecorder.seen.length = 0;
  keysRecorder.seen.length = 0;
  // The keys that it knows are from its start: a token of a new one makes it fetch them again, once it may.
  await identityProvider.setKeys(createSigningKey('key-2'), key);
  const authorization = `Bearer ${await identityProvider.createToken(resource)}`;
  let traceId = '';
  await waitFor(async () => {
    let status = 0;
    traceId = await traced.client.within('upload', async (fields) => {
      const request = { url: traced.proxy.url, method: 'PUT', path: '/uploads/small', body: 'small' };
      ({ status } = await sendRequest({ ...request, headers: { authorization, ...fields } }));
    });
    return status === 200;
  });
  const spans = await waitForTrace(traced.collector, traceId, (seen) => seen.length >= 7);
  expect(drawTree(spans)).toBe(
    [
      'upload',
      '  PutObject',
      '    authenticate',
      '      GET jwks',
      '    authorize',
      '      POST openfga',
      '    S3.PutObject',
    ].join('\n'),
  );
  const fieldOf = (name: string): string =>
    traceparent('01', traceId).replace(clientSpan, spans.find((span) => span.name === name)?.spanId ?? '');
  expect(fieldsSeen(keysRecorder, 'traceparent')).toContain(fieldOf('GET jwks'));
  expect(fieldsSeen(openfgaRecorder, 'traceparent')).toEqual([fieldOf('POST openfga')]);
  const statusOf = (seen: readonly SeenSpan[]) =>
    seen.find(({ name }) => name === 'POST openfga')?.attributes['http.response.status_code'];
  expect(statusOf(spans)).toBe(200);
  openfgaRecorder.setAnswer(answerWith(500, { 'content-type': 'application/json' }, '{}'));
  const request = { url: traced.proxy.url, method: 'PUT', path: '/uploads/small', body: 'small' };
  const { status, headers } = await sendRequest({ ...request, headers: { authorization } });
  expect(status).toBe(503);
  expect(statusOf(await waitForTrace(traced.collector, String(headers['x-mizuchi-trace-id']), isWhole))).toBe(500);
});
