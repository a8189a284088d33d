// The benchmark's backend and load generator: the compiled ones and those in Node do the same.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Backend, startBackend } from '../../../bench/load/backend.ts';
import { type Children, createChildren } from '../../../bench/load/children.ts';
import { buildTools, nodeTools, type Tools } from '../../../bench/load/native-tools.ts';
import { sendLoad } from '../../../bench/load/send-load.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-bench-test-'));
const payloadPath = path.join(folder, 'payload');
writeFileSync(payloadPath, Buffer.alloc(10_000, 'x'));
afterAll(() => rmSync(folder, { recursive: true }));

const kinds: readonly (readonly [name: string, build: () => Promise<Tools>])[] = [
  ['as built here', () => buildTools(folder)],
  ['in Node', () => Promise.resolve(nodeTools())],
];

describe.each(kinds)('backend and load generator %s', (_name, build) => {
  let children: Children;
  let tools: Tools;
  let backend: Backend;

  beforeAll(async () => {
    children = createChildren();
    tools = await build();
    backend = await startBackend(children, tools.sink, {}, 'backend');
  });
  afterAll(() => children.endAll());

  const ask = (method: string, target: string, body?: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${backend.port}${target}`, { method, ...(body === undefined ? {} : { body }) });

  it('sends whole bodies, repeats the payload, and counts what arrives', async () => {
    const before = await backend.stats();
    const outcome = await sendLoad(children, tools.load, {
      port: backend.port,
      request: { path: '/bench/key', headers: ['x-amz-meta-a: b'] },
      payloadPath,
      bodyBytes: 25_000,
      connections: 3,
      until: { requests: 7 },
    });
    expect(outcome).toMatchObject({ succeeded: 7, failed: 0, bytes: 175_000, statuses: { 200: 7 } });
    expect(outcome.p50Us).toBeLessThanOrEqual(outcome.p99Us);
    const after = await backend.stats();
    expect(after.bytes - before.bytes).toBe(175_000);
    expect(after.puts - before.puts).toBe(7);
  });

  it('sends a body in frames, counting its payload, and each header field in turn', async () => {
    const received: { readonly user: string | undefined; readonly body: string }[] = [];
    const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const user = request.headers['x-amz-meta-user'];
      received.push({ user: typeof user === 'string' ? user : undefined, body: await text(request) });
      response.writeHead(200, { 'Content-Length': 0 }).end();
    };
    const server = createServer((request, response) => void take(request, response));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const outcome = await sendLoad(children, tools.load, {
      port: (server.address() as AddressInfo).port,
      request: {
        path: '/bench/key',
        headers: [],
        frames: [
          { text: '2ee0\r\n', payloadBytes: 12_000 },
          { text: '\r\n', payloadBytes: 0 },
          { text: '3\r\n', payloadBytes: 3 },
          { text: '\r\n0\r\n\r\n', payloadBytes: 0 },
        ],
        turns: ['x-amz-meta-user: a', 'x-amz-meta-user: b'],
      },
      payloadPath,
      bodyBytes: 12_003,
      connections: 1,
      until: { requests: 3 },
    });
    server.close();
    expect(outcome).toMatchObject({ succeeded: 3, failed: 0, bytes: 36_009 });
    const body = `2ee0\r\n${'x'.repeat(12_000)}\r\n3\r\nxxx\r\n0\r\n\r\n`;
    expect(received).toEqual(['a', 'b', 'a'].map((user) => ({ user, body })));
  });

  it('fails loudly when requests are refused', async () => {
    const load = { port: backend.port, payloadPath, bodyBytes: 10, connections: 1, until: { requests: 2 } };
    const refused = { ...load, request: { path: '/bench/key', headers: ['Transfer-Encoding: chunked'] } };
    await expect(sendLoad(children, tools.load, refused)).rejects.toThrow(/requests failed/);
  });

  it('answers the calls of a multipart upload as S3 does', async () => {
    const before = await backend.stats();
    expect(await (await ask('POST', '/bench/key?uploads')).text()).toContain('<UploadId>sink-upload-1</UploadId>');
    const part = await ask('PUT', '/bench/key?partNumber=1&uploadId=sink-upload-1', 'part');
    expect(part.headers.get('etag')).toMatch(/^"[0-9a-f]{32}"$/);
    const completed = await ask('POST', '/bench/key?uploadId=sink-upload-1', '<CompleteMultipartUpload/>');
    expect(await completed.text()).toContain('<CompleteMultipartUploadResult');
    expect((await ask('DELETE', '/bench/key?uploadId=sink-upload-1')).status).toBe(204);
    const after = await backend.stats();
    expect(after.creates - before.creates).toBe(1);
    expect(after.parts - before.parts).toBe(1);
    expect(after.completes - before.completes).toBe(1);
    expect(after.aborts - before.aborts).toBe(1);
  });

  it('reads no faster than it is told to', async () => {
    const slow = await startBackend(children, tools.sink, { connectionBytesPerSecond: 2_000_000 }, 'slow-backend');
    const load = { port: slow.port, request: { path: '/a/b', headers: [] }, payloadPath, connections: 1 };
    const outcome = await sendLoad(children, tools.load, { ...load, bodyBytes: 1_000_000, until: { requests: 1 } });
    expect(outcome.seconds).toBeGreaterThan(0.4);
  });
});
