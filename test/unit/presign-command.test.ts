// The sub-command `presign`: which bucket, credential and address a URL is made for.
import { describe, expect, test } from 'vitest';
import type { BucketConfig, Config, SigV4Config } from '../../src/config/config.ts';
import { presignCommand, type PresignArguments } from '../../src/presign-command.ts';
import { sigv4Config } from '../support/sigv4.ts';

const nowMs = Date.UTC(2026, 1, 3, 4, 5, 6);

function bucket(name: string, sigv4: SigV4Config | undefined, pathPrefix?: string): BucketConfig {
  const isPattern = name.includes('*');
  const auth = sigv4 === undefined ? { enabled: false as const } : { enabled: true as const, sigv4 };
  return { name, isPattern, pathPrefix: isPattern ? undefined : (pathPrefix ?? `/${name}`), auth } as BucketConfig;
}

const other: SigV4Config = {
  ...sigv4Config,
  region: 'eu-west-1',
  credentials: [
    { accessKey: 'AK1', secretKey: 's1', subject: '1' },
    { accessKey: 'AK2', secretKey: 's2', sessionToken: 'token', subject: '2' },
  ],
};
const buckets = [
  bucket('open', undefined),
  bucket('team-*', sigv4Config),
  bucket('first', sigv4Config, '/up/loads'),
  bucket('team-x-*', other),
  bucket('second', other),
  bucket('hashed', { ...sigv4Config, allowUnsignedPayload: false }),
];
const address = { host: '127.0.0.1', port: 8080 };

function presign(given: PresignArguments, server: Partial<Config['server']> = {}): string {
  return presignCommand({ buckets, server: { address, ...server } } as unknown as Config, given, nowMs);
}

test('of the first bucket that takes signatures, with its first credential, for an hour', () => {
  const url = new URL(presign({ key: "a b/c'd" }));
  expect(`${url.origin}${url.pathname}`).toBe('http://127.0.0.1:8080/up/loads/a%20b/c%27d');
  expect(Object.fromEntries(url.searchParams)).toEqual({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': 'AKIAIOSFODNN7EXAMPLE/20260203/us-east-1/s3/aws4_request',
    'X-Amz-Date': '20260203T040506Z',
    'X-Amz-Expires': '3600',
    'X-Amz-SignedHeaders': 'host',
    'X-Amz-Signature': expect.stringMatching(/^[0-9a-f]{64}$/),
  });
});

test.each([
  ['second', '/second/k', 'AK1/20260203/eu-west-1'],
  ['first', '/up/loads/k', 'AKIAIOSFODNN7EXAMPLE/20260203/us-east-1'],
  ['team-a', '/team-a/k', 'AKIAIOSFODNN7EXAMPLE/20260203/us-east-1'],
  ['team-x-1', '/team-x-1/k', 'AK1/20260203/eu-west-1'],
])('of the bucket %s', (name, path, credential) => {
  const url = new URL(presign({ key: 'k', bucket: name }));
  expect(url.pathname).toBe(path);
  expect(url.searchParams.get('X-Amz-Credential')).toContain(credential);
});

test('as is asked', () => {
  const asked = {
    key: 'k',
    bucket: 'second',
    method: 'POST',
    expires: '60',
    'access-key': 'AK2',
    query: 'partNumber=1&uploadId=x%2B',
  };
  const url = new URL(presign({ ...asked, url: 'https://up.example' }));
  expect(url.origin).toBe('https://up.example');
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    'X-Amz-Credential': 'AK2/20260203/eu-west-1/s3/aws4_request',
    'X-Amz-Security-Token': 'token',
    'X-Amz-Expires': '60',
    partNumber: '1',
    uploadId: 'x+',
  });
  expect(presign({ ...asked, method: 'PUT' })).not.toBe(presign(asked));
});

test.each([
  [{ host: '0.0.0.0', port: 80 }, 'http://127.0.0.1'],
  [{ host: '::', port: 8080 }, 'http://127.0.0.1:8080'],
  [{ host: '::1', port: 8080 }, 'http://[::1]:8080'],
  [{ host: 'up.example', port: 8080 }, 'http://up.example:8080'],
])('for the address %j', (listen, origin) => {
  expect(new URL(presign({ key: 'k' }, { address: listen })).origin).toBe(origin);
  const tls = { certFile: 'c', keyFile: 'k' };
  expect(new URL(presign({ key: 'k' }, { address: listen, tls })).protocol).toBe('https:');
});

describe('what is wrong is said', () => {
  test.each<[PresignArguments, string]>([
    [{}, '--key is missing'],
    [{ key: '' }, '--key is missing'],
    ...['..', './k', 'a/../k', '../second/k', 'a/.'].map((key): [PresignArguments, string] => [
      { key },
      'must not hold . or .. as a path segment',
    ]),
    [{ key: 'k', method: 'put' }, '--method is one of'],
    [{ key: 'k', expires: '0' }, '--expires'],
    [{ key: 'k', expires: '604801' }, '--expires'],
    [{ key: 'k', expires: 'x' }, '--expires'],
    [{ key: 'k', bucket: 'unknown' }, 'no bucket named unknown'],
    // A pattern would have them.
    ...['team-*', 'team-../second', 'team-A'].map((name): [PresignArguments, string] => [
      { key: 'k', bucket: name },
      `no bucket named ${name}`,
    ]),
    [{ key: 'k', bucket: 'open' }, 'bucket open takes no signatures'],
    [{ key: 'k', bucket: 'hashed' }, 'bucket hashed takes only bodies that are signed'],
    [{ key: 'k', 'access-key': 'AK9' }, 'no credential with the access key AK9'],
    [{ key: 'k', url: 'up.example' }, '--url'],
    [{ key: 'k', url: 'ftp://up.example' }, '--url'],
    [{ key: 'k', url: 'http://up.example/path' }, '--url'],
  ])('%j', (given, message) => {
    expect(() => presign(given)).toThrow(message);
  });

  test('a port that is not known yet', () => {
    expect(() => presign({ key: 'k' }, { address: { ...address, port: 0 } })).toThrow('--url is missing');
  });

  test('no bucket at all takes signatures', () => {
    const config = { buckets: [bucket('open', undefined)], server: { address } } as unknown as Config;
    expect(() => presignCommand(config, { key: 'k' }, nowMs)).toThrow('no bucket takes signatures');
  });
});
