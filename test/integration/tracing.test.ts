// One upload, one trace: from the span of the client to every call that the upload needs, as a collector passes it on.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { examplesFolder } from '../support/example-proxy.ts';
import { createRandomBody } from '../support/random-body.ts';
import type { Recorder, SeenRequest } from '../support/recorder.ts';
import { sendRequest } from '../support/send-request.ts';
import { signS3Request } from '../support/sign-s3-request.ts';
import { createToken } from '../support/start-proxy.ts';
import { credential, startTracedProxy, type TracedProxy } from '../support/traced-proxy.ts';
import { childrenOf, drawTree, waitForTrace, type SeenSpan } from '../support/traces.ts';

const sizeBytes = 100 * 1024 * 1024;
/** Between two processes' clocks: one reads whole milliseconds, and ours follows the system's only when it is this far off. */
const clockToleranceMs = 10;
/** Within one process, spans are rounded to microseconds. */
const roundingMs = 0.002;

const servers: { traced?: TracedProxy } = {};
const traced = (): TracedProxy => {
  if (servers.traced === undefined) throw new Error('not started');
  return servers.traced;
};

beforeAll(async () => {
  servers.traced = await startTracedProxy();
});
afterAll(() => servers.traced?.stop());

const body = createRandomBody('one trace', sizeBytes);

/** All spans of the upload's trace, the client's included. */
function wholeTrace(traceId: string): Promise<SeenSpan[]> {
  const isWhole = (spans: readonly SeenSpan[]): boolean =>
    ['upload', 'PutObject'].every((name) => spans.some((span) => span.name === name));
  return waitForTrace(traced().collector, traceId, isWhole);
}

function find(spans: readonly SeenSpan[], name: string): SeenSpan {
  const found = spans.find((span) => span.name === name);
  if (found === undefined) throw new Error(`no ${name} in\n${drawTree(spans)}`);
  return found;
}

/** Every span has its parent in the trace, and lies within it. */
function expectWholeTree(spans: readonly SeenSpan[]): void {
  const root = find(spans, 'upload');
  expect(root.parentId).toBe('');
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
  for (const span of spans) {
    if (span === root) continue;
    const parent = spans.find(({ spanId }) => spanId === span.parentId);
    expect(parent, `the parent of ${span.name}`).toBeDefined();
    const toleranceMs = parent === root ? clockToleranceMs : roundingMs;
    expect(span.startMs).toBeGreaterThanOrEqual((parent?.startMs ?? Infinity) - toleranceMs);
    expect(span.endMs).toBeLessThanOrEqual((parent?.endMs ?? -Infinity) + toleranceMs);
    expect(span.endMs).toBeGreaterThanOrEqual(span.startMs);
  }
}

const traceparentOf = ({ head }: SeenRequest): string | undefined => /^traceparent: (?<value>.*)$/imu.exec(head)?.[1];

/** Each span's own request arrived with it as its parent, and with no signature over that. */
function expectCarriedTo(recorder: Recorder, spans: readonly SeenSpan[]): void {
  const seen = recorder.seen.filter((request) => traceparentOf(request)?.includes(spans[0]?.traceId ?? '-'));
  expect(seen).toHaveLength(spans.length);
  expect(new Set(seen.map(traceparentOf))).toEqual(
    new Set(spans.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`)),
  );
  for (const { authorization = '' } of seen) expect(authorization).not.toMatch(/SignedHeaders=[^,]*trace/u);
}

async function expectedTree(): Promise<string> {
  const text = await readFile(path.join(examplesFolder, 'jaeger/README.md'), 'utf8');
  const tree = /<!-- tree:begin -->\s*```text\n(?<tree>[\s\S]*?)```/u.exec(text)?.groups?.['tree'];
  if (tree === undefined) throw new Error('examples/jaeger/README.md shows no tree');
  return tree.trimEnd();
}

describe('100 MiB through a bearer token, OPA and multipart', () => {
  let spans: readonly SeenSpan[] = [];

  beforeAll(async () => {
    const { proxy, client } = traced();
    const authorization = `Bearer ${await createToken({ sub: 'alice' })}`;
    const traceId = await client.within('upload', async (fields) => {
      const answer = await sendRequest({
        url: proxy.url,
        method: 'PUT',
        path: '/uploads/large.bin',
        headers: { authorization, 'content-length': String(sizeBytes), tracestate: 'vendor=value', ...fields },
        body: body.chunks(),
      });
      expect(answer.status).toBe(200);
      expect(answer.headers['x-mizuchi-trace-id']).toBe(fields['traceparent']?.slice(3, 35));
    });
    spans = await wholeTrace(traceId);
  });

  test('is stored, byte for byte', async () => {
    expect(await traced().stored.readHash('large.bin')).toEqual({ sha256: body.sha256(), size: sizeBytes });
  });

  test('is the tree that the example shows', async () => {
    expect(drawTree(spans)).toBe(await expectedTree());
    expectWholeTree(spans);
  });

  test('reaches every neighbour under the span of its call, with the state of the trace, outside of what is signed', () => {
    const { storeRecorder, opaRecorder } = traced();
    expectCarriedTo(
      storeRecorder,
      spans.filter(({ name }) => name.startsWith('S3.')),
    );
    expectCarriedTo(opaRecorder, [find(spans, 'POST opa')]);
    for (const { head } of [...storeRecorder.seen, ...opaRecorder.seen]) {
      if (head.includes('traceparent: ')) expect(head).toContain('tracestate: vendor=value\n');
    }
    expect(spans.filter(({ name }) => name !== 'upload').every(({ state }) => state === 'vendor=value')).toBe(true);
  });

  test('says what was done', () => {
    const request = find(spans, 'PutObject');
    expect(request.kind).toBe('server');
    expect(request.attributes).toMatchObject({
      'http.request.method': 'PUT',
      'http.response.status_code': 200,
      'url.scheme': 'http',
      'server.address': '127.0.0.1',
      'server.port': Number(new URL(traced().proxy.url).port),
      'aws.s3.bucket': 'uploads',
      'http.request.body.size': sizeBytes,
      'mizuchi.plan': 'multipart',
      'mizuchi.parts': 7,
      'mizuchi.sent_bytes': sizeBytes,
    });
    expect(request.attributes['mizuchi.request_id']).toMatch(/^[0-9A-F]{16}$/u);
    expect(request.isError).toBe(false);
    expect(find(spans, 'authenticate').attributes).toEqual({ 'mizuchi.credential': 'jwt' });
    expect(find(spans, 'authorize').attributes).toEqual({
      'mizuchi.authz.engine': 'opa',
      'mizuchi.authz.decision': 'allow',
      'mizuchi.authz.cached': false,
    });
    expect(find(spans, 'POST opa').attributes).toEqual({
      'http.request.method': 'POST',
      'http.response.status_code': 200,
      'url.scheme': 'http',
      'server.address': '127.0.0.1',
      'server.port': traced().opaRecorder.port,
    });
    const [event] = request.events;
    expect(event?.name).toBe('first byte sent to the backend');
    expect(event?.timeMs).toBeGreaterThanOrEqual(request.startMs);
    expect(event?.timeMs).toBeLessThanOrEqual(request.endMs);
    expect(request.resource).toMatchObject({ 'service.name': 'mizuchi-uploadr', 'process.runtime.name': 'nodejs' });
  });

  test('says of each part its number, its size, and what the backend said', () => {
    const parts = childrenOf(spans, find(spans, 'PutObject')).filter(({ name }) => name === 'S3.UploadPart');
    expect(parts.map(({ attributes }) => attributes['aws.s3.part_number'])).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const sent = parts.map(({ attributes }) => Number(attributes['mizuchi.sent_bytes']));
    expect(sent.reduce((sum, bytes) => sum + bytes)).toBe(sizeBytes);
    for (const { attributes, kind } of parts) {
      expect(kind).toBe('client');
      expect(attributes).toMatchObject({
        'rpc.system.name': 'aws-api',
        'rpc.method': 'S3/UploadPart',
        'http.request.method': 'PUT',
        'http.response.status_code': 200,
        'aws.s3.bucket': 'backend-bucket',
        'server.port': traced().storeRecorder.port,
      });
      expect(attributes['aws.request_id']).toMatch(/^[0-9A-F]{16}$/u);
    }
  });
});

describe.each([
  ['signed', true],
  ['not signed', false],
])('100 MiB of a SigV4 client whose traceparent is %s', (name, isSigned) => {
  test('is one trace', async () => {
    const { proxy, client, stored, storeRecorder, opaRecorder } = traced();
    const key = `sigv4-${name.replace(' ', '-')}.bin`;
    const traceId = await client.within('upload', async (fields) => {
      const signed = signS3Request({
        credential,
        method: 'PUT',
        host: new URL(proxy.url).host,
        path: `/uploads/${key}`,
        headers: isSigned ? fields : {},
        body: body.bytes(),
        mode: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
        chunkBytes: 1024 * 1024,
      });
      const headers = isSigned ? signed.headers : { ...signed.headers, ...fields };
      const request = { url: proxy.url, method: 'PUT', path: `/uploads/${key}`, headers, body: signed.body };
      expect((await sendRequest(request)).status).toBe(200);
    });
    const spans = await wholeTrace(traceId);
    expect(drawTree(spans)).toBe(await expectedTree());
    expectWholeTree(spans);
    expect(find(spans, 'authenticate').attributes).toEqual({ 'mizuchi.credential': 'sigv4' });
    const s3Calls = spans.filter((span) => span.name.startsWith('S3.'));
    expectCarriedTo(storeRecorder, s3Calls);
    expectCarriedTo(opaRecorder, [find(spans, 'POST opa')]);
    expect(await stored.readHash(key)).toEqual({ sha256: body.sha256(), size: sizeBytes });
  });
});
