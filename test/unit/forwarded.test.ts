// Whom the proxy believes what is said of a client.
import { describe, expect, test } from 'vitest';
import { createForwardedReader } from '../../src/forwarded.ts';
import { RequestHeaders } from '../../src/http.ts';
import type { Forwarded } from '../../src/server/exchange.ts';

type Fields = Readonly<Record<string, string | readonly string[]>>;

const trusted = ['10.0.0.0/8', '::1', '2001:db8::/32'];
const nothing = { isTls: undefined, host: undefined };

function read(peerIp: string, fields: Fields): Forwarded | undefined {
  const list = Object.entries(fields).flatMap(([name, values]) => [values].flat().flatMap((value) => [name, value]));
  return createForwardedReader(trusted)?.(peerIp, new RequestHeaders(list));
}

const clientOf = (list: string | readonly string[]) => read('10.0.0.1', { 'x-forwarded-for': list })?.clientIp;
const hostOf = (value: string | readonly string[]) => read('10.0.0.1', { 'x-forwarded-host': value })?.host;
const isTlsOf = (value: string | readonly string[]) => read('10.0.0.1', { 'x-forwarded-proto': value })?.isTls;

test('where nobody is trusted there is nothing to read', () => {
  expect(createForwardedReader([])).toBeUndefined();
});

describe('a peer that is not trusted', () => {
  const claims = {
    'x-forwarded-for': '192.0.2.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'elsewhere.example',
    forwarded: 'for=192.0.2.1',
    'x-real-ip': '192.0.2.1',
  };
  test.each(['192.0.2.9', '11.0.0.1', '2001:db9::1', '::2', ''])('%j is not believed', (peerIp) => {
    expect(read(peerIp, claims)).toEqual({ clientIp: peerIp, ...nothing });
  });
});

describe('a peer that is trusted', () => {
  test.each(['10.0.0.1', '::1', '2001:db8::5'])('%s says nothing: the client is the peer', (peerIp) => {
    expect(read(peerIp, {})).toEqual({ clientIp: peerIp, ...nothing });
  });

  test('all that it says is believed', () => {
    const fields = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'a.example' };
    expect(read('10.0.0.1', fields)).toEqual({ clientIp: '192.0.2.1', isTls: true, host: 'a.example' });
  });
});

describe('X-Forwarded-For', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1, 10.0.0.2, 10.0.0.3', '192.0.2.1'],
    ['  192.0.2.1\t,10.0.0.2 ', '192.0.2.1'],
    ['2001:DB9:0::1', '2001:db9::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['192.0.2.1:4711', '192.0.2.1'],
    ['[2001:db9::1]:4711', '2001:db9::1'],
    ['[2001:db9::1]', '2001:db9::1'],
  ])('%s: the first from the right that is no proxy', (list, client) => {
    expect(clientOf(list)).toBe(client);
  });

  test('what the client itself has sent stands further left and is not reached', () => {
    expect(clientOf('203.0.113.9, 192.0.2.1')).toBe('192.0.2.1');
    expect(clientOf('10.0.0.9, 192.0.2.1, 10.0.0.2')).toBe('192.0.2.1');
    expect(clientOf(['203.0.113.9', '192.0.2.1'])).toBe('192.0.2.1');
    expect(clientOf('10.1.1.1, ::1, 192.0.2.1, ::ffff:10.0.0.2')).toBe('192.0.2.1');
  });

  test('when all are proxies, the farthest of them is the client', () => {
    expect(clientOf('10.0.0.3, 10.0.0.2')).toBe('10.0.0.3');
  });

  test.each([
    '',
    ',',
    'unknown',
    '_hidden',
    '192.0.2.1, unknown',
    '192.0.2.1,',
    '192.0.2',
    'fe80::1%eth0',
    '1.2.3.4 5.6.7.8',
  ])('%j hides who came before: the client is the last proxy that is known', (list) => {
    expect(clientOf(list)).toBe('10.0.0.1');
    expect(clientOf(`${list}, 10.0.0.2`)).toBe('10.0.0.2');
  });

  test('a list as long as a head may be is no trouble', () => {
    expect(clientOf(`192.0.2.1${', 10.0.0.2'.repeat(1500)}`)).toBe('192.0.2.1');
  });
});

describe('X-Forwarded-Proto', () => {
  test.each<[string | string[], boolean | undefined]>([
    ['https', true],
    ['HTTPS', true],
    ['http', false],
    ['http, https', true],
    [['https', 'http'], false],
    ['wss', undefined],
    ['https,', undefined],
    ['', undefined],
  ])('%j', (value, isTls) => {
    expect(isTlsOf(value)).toBe(isTls);
  });
});

describe('X-Forwarded-Host', () => {
  test.each([
    ['a.example', 'a.example'],
    ['a.example:8443', 'a.example:8443'],
    ['A.Example', 'A.Example'],
    ['192.0.2.1:80', '192.0.2.1:80'],
    ['[2001:db8::1]:80', '[2001:db8::1]:80'],
    ['[::1]', '[::1]'],
    ['client.example, a.example', 'a.example'],
  ])('%s', (value, host) => {
    expect(hostOf(value)).toBe(host);
  });

  test('of several fields the last holds', () => {
    expect(hostOf(['client.example', 'a.example'])).toBe('a.example');
  });

  const marks = [
    '',
    'a b',
    'a/b',
    'a?b',
    'a#b',
    'u@a',
    'a\\b',
    'a<b',
    "a'b",
    'a"b',
    'ä.example',
    'a:b',
    'a:',
    'a:123456',
  ];
  test.each([
    ...marks,
    'a:65536',
    '[::1',
    '::1',
    '[a]',
    '[1.2.3.4]',
    '[::1%lo]',
    'a.example,',
    'http://a',
    'x'.repeat(256),
  ])('%j is no host', (value) => {
    expect(hostOf(value)).toBeUndefined();
  });
});
