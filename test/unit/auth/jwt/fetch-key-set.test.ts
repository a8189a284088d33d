// One fetch of a JWK set: what is believed, and everything that is not.
import { gzipSync } from 'node:zlib';
import type { JWK } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fetchKeySet } from '../../../../src/auth/jwt/fetch-key-set.ts';
import { startJwksServer, type JwksServer } from './jwks-server.ts';
import { jwkOf, keyPair } from './tokens.ts';

let server: JwksServer;
beforeEach(async () => {
  server = await startJwksServer();
});
afterEach(() => server.close());

const algorithms = ['RS256', 'ES256'];
const fetchIt = (more: Partial<Parameters<typeof fetchKeySet>[0]> = {}, previous?: Parameters<typeof fetchKeySet>[1]) =>
  fetchKeySet({ url: server.url, timeoutMs: 2000, algorithms, ...more }, previous);
const rsa = jwkOf(keyPair('RS256').publicKey, { kid: 'rsa' });
const ec = jwkOf(keyPair('ES256').publicKey, { kid: 'ec' });
const findIn = async (keys: Awaited<ReturnType<typeof fetchIt>>, alg: string, kid?: string) =>
  (await keys.find({ alg, ...(kid !== undefined && { kid }) }, { payload: '', signature: '' })) as { type: string };

test('keys are found by algorithm and kid', async () => {
  server.serve(rsa, ec);
  const keys = await fetchIt();
  expect(await findIn(keys, 'RS256', 'rsa')).toMatchObject({
    type: 'public',
    algorithm: { name: 'RSASSA-PKCS1-v1_5' },
  });
  expect(await findIn(keys, 'ES256')).toMatchObject({ type: 'public', algorithm: { name: 'ECDSA' } });
  await expect(findIn(keys, 'RS256', 'ec')).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
});

test('a set that has not changed is the same object', async () => {
  server.serve(rsa);
  const first = await fetchIt();
  expect(await fetchIt({}, first)).toBe(first);
  server.serve(rsa, ec);
  const second = await fetchIt({}, first);
  expect(second).not.toBe(first);
  expect(await findIn(second, 'ES256', 'ec')).toMatchObject({ type: 'public' });
});

test('one usable key is enough, among keys that are not', async () => {
  server.serve(
    { kty: 'future' },
    { kty: 'RSA', n: 'AQAB' },
    { ...rsa, use: 'enc' },
    jwkOf(keyPair('ES384').publicKey),
    ec,
    { kty: 'oct', k: 'c2VjcmV0' },
  );
  expect(await findIn(await fetchIt(), 'ES256', 'ec')).toMatchObject({ type: 'public' });
});

// Not a failed fetch: the keys from before would go on, and those are what the provider takes back with such a set.
test.each<[string, JWK[]]>([
  ['no keys', []],
  ['keys of other kinds', [jwkOf(keyPair('EdDSA').publicKey)]],
  ['secrets', [{ kty: 'oct', k: 'c2VjcmV0', alg: 'RS256' }]],
  ['keys for encryption', [{ ...rsa, use: 'enc' }]],
  ['keys for signing', [{ ...rsa, key_ops: ['sign'] }]],
  ['keys of another algorithm', [{ ...rsa, alg: 'PS256' }]],
  ['private keys', [jwkOf(keyPair('RS256').privateKey)]],
  [
    'keys that cannot be imported',
    [
      { ...ec, x: 'AAAA' },
      { ...ec, y: 'AAAA' },
    ],
  ],
])('a set of nothing but %s is believed, and takes every key back', async (_, jwks) => {
  server.serve(rsa);
  const first = await fetchIt();
  expect(first.isUsable).toBe(true);
  server.serve(...jwks);
  const keys = await fetchIt({}, first);
  expect(keys.isUsable).toBe(false);
  await expect(findIn(keys, 'RS256', 'rsa')).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
});

describe('not believed', () => {
  const text = (body: string | Uint8Array, status = 200, headers: Record<string, string> = {}) =>
    server.answer((_, response) => response.writeHead(status, headers).end(body));
  const good = JSON.stringify({ keys: [rsa] });

  test.each<[string, () => void, RegExp]>([
    ['another status', () => text(good, 404), /status 404/u],
    ['a status without content', () => text('', 204), /status 204/u],
    ['a redirect', () => text('', 302, { location: server.url }), /fetch failed/u],
    ['no JSON', () => text('<html>'), /JSON/u],
    ['bytes that are not UTF-8', () => text(Buffer.concat([Buffer.from(good), Buffer.from([0xff])])), /encoded data/u],
    ['no set', () => text(JSON.stringify(rsa)), /malformed/u],
    ['null', () => text('null'), /malformed/u],
    ['a list', () => text(JSON.stringify([rsa])), /malformed/u],
    ['a set of what are no keys', () => text('{"keys":[1]}'), /malformed/u],
    ['an object without keys', () => text('{}'), /malformed/u],
    ['a megabyte and more', () => text(good + ' '.repeat(1024 * 1024)), /longer than 1048576 bytes/u],
    [
      'a megabyte and more, compressed',
      () => text(gzipSync(good + ' '.repeat(64 * 1024 * 1024)), 200, { 'content-encoding': 'gzip' }),
      /longer than 1048576 bytes/u,
    ],
    [
      'an answer that is cut off',
      () =>
        server.answer((_, response) => {
          response.writeHead(200, { 'content-length': good.length + 1 });
          response.write(good, () => response.destroy());
        }),
      /terminated/u,
    ],
  ])('%s', async (_, make, message) => {
    make();
    await expect(fetchIt()).rejects.toThrow(message);
  });

  test('a redirect is not followed', async () => {
    server.answer((request, response) => {
      if (request.url === '/other') response.end(good);
      else response.writeHead(307, { location: '/other' }).end();
    });
    await expect(fetchIt()).rejects.toThrow('fetch failed');
    expect(server.requestCount()).toBe(1);
  });

  test('an answer that does not come, or does not end', async () => {
    for (const listener of [
      () => {},
      (_: unknown, response: import('node:http').ServerResponse) => void response.writeHead(200).write('{"keys":['),
    ]) {
      server.answer(listener);
      const startedAt = performance.now();
      await expect(fetchIt({ timeoutMs: 100 })).rejects.toMatchObject({ name: 'TimeoutError' });
      expect(performance.now() - startedAt).toBeLessThan(1500);
    }
  });

  test('nobody there', async () => {
    await server.close();
    await expect(fetchIt()).rejects.toThrow('fetch failed');
  });
});
