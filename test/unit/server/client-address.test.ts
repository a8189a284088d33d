// Who the server says that a client is, on real connections, without and with a reader of what proxies say.
import { networkInterfaces } from 'node:os';
import { afterEach, expect, test } from 'vitest';
import { createForwardedReader } from '../../../src/forwarded.ts';
import { listen, type Listener } from '../../../src/server/listen.ts';
import { ByteBudget } from '../../../src/upload/body/byte-budget.ts';
import { sendRequest } from '../../support/send-request.ts';

let listener: Listener | undefined;
afterEach(async () => {
  await listener?.drain();
  listener?.close();
});

/** A server that answers with what it knows of the client. */
async function start(host: string, trusted: readonly string[] = []): Promise<number> {
  listener = await listen({
    host,
    port: 0,
    sharePort: false,
    tls: undefined,
    maxHeaderBytes: 16_384,
    maxConnections: 10,
    idleTimeoutSeconds: 5,
    uploadTimeoutSeconds: 0,
    queueTimeoutSeconds: 10,
    memory: new ByteBudget(16 * 1024 * 1024),
    readForwarded: createForwardedReader(trusted),
    handle: async ({ clientIp, isTls, host: authority }) => ({
      status: 200,
      headers: [],
      body: JSON.stringify([clientIp, isTls, authority]),
    }),
    refuse: () => ({ status: 500, headers: [] }),
  });
  return listener.port;
}

async function ask(url: string, headers: Readonly<Record<string, string>> = {}): Promise<unknown> {
  return JSON.parse((await sendRequest({ url, method: 'GET', path: '/', headers })).body);
}

const claims = { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'files.example' };
const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));

test('nobody is trusted: the connection tells', async () => {
  const port = await start('127.0.0.1');
  expect(await ask(`http://127.0.0.1:${port}`, claims)).toEqual(['127.0.0.1', false, `127.0.0.1:${port}`]);
});

test('a trusted peer tells', async () => {
  const port = await start('127.0.0.1', ['127.0.0.1']);
  expect(await ask(`http://127.0.0.1:${port}`, claims)).toEqual(['203.0.113.9', true, 'files.example']);
});

test('another peer does not', async () => {
  const port = await start('127.0.0.1', ['127.0.0.2']);
  expect(await ask(`http://127.0.0.1:${port}`, claims)).toEqual(['127.0.0.1', false, `127.0.0.1:${port}`]);
});

test.runIf(hasIPv6)('IPv4 clients of a dual-stack socket have IPv4 addresses, and IPv6 ones short ones', async () => {
  const port = await start('::', ['127.0.0.0/8']);
  expect(await ask(`http://127.0.0.1:${port}`)).toEqual(['127.0.0.1', false, `127.0.0.1:${port}`]);
  expect(await ask(`http://127.0.0.1:${port}`, claims)).toEqual(['203.0.113.9', true, 'files.example']);
  expect(await ask(`http://[::1]:${port}`, claims)).toEqual(['::1', false, `[::1]:${port}`]);
});
