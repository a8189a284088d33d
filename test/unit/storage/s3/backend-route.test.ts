// Which host a bucket is asked at, and how it is named there.
import { expect, test } from 'vitest';
import { awsEndpoint, createBackendRoutes } from '../../../../src/storage/s3/backend-route.ts';

test.each([
  ['eu-central-1', 'https://s3.eu-central-1.amazonaws.com'],
  ['us-east-1', 'https://s3.us-east-1.amazonaws.com'],
  ['cn-north-1', 'https://s3.cn-north-1.amazonaws.com.cn'],
])('the endpoint of %s', (region, endpoint) => {
  expect(awsEndpoint(region)).toBe(endpoint);
});

test.each([
  // endpoint, path style forced, bucket → host, connect to, before the key
  ['https://s3.eu-central-1.amazonaws.com', false, 'bucket', 'bucket.s3.eu-central-1.amazonaws.com', 443, '/'],
  [
    'https://s3.eu-central-1.amazonaws.com',
    false,
    'dotted.bucket',
    's3.eu-central-1.amazonaws.com',
    443,
    '/dotted.bucket/',
  ],
  ['https://s3.eu-central-1.amazonaws.com', false, 'Upper_Case', 's3.eu-central-1.amazonaws.com', 443, '/Upper_Case/'],
  ['https://s3.eu-central-1.amazonaws.com', true, 'bucket', 's3.eu-central-1.amazonaws.com', 443, '/bucket/'],
  ['http://minio:9000', true, 'bucket', 'minio:9000', 9000, '/bucket/'],
  ['http://minio:9000', false, 'dotted.bucket', 'dotted.bucket.minio:9000', 9000, '/'],
  ['http://localhost', true, 'bucket', 'localhost', 80, '/bucket/'],
  ['http://127.0.0.1:9000', false, 'bucket', '127.0.0.1:9000', 9000, '/bucket/'],
] as const)('%s, path style %s, bucket %s', (endpoint, forcePathStyle, bucket, host, port, pathPrefix) => {
  const route = createBackendRoutes(endpoint, forcePathStyle)(bucket);
  const isTls = endpoint.startsWith('https:');
  expect(route).toEqual({ host, hostname: host.replace(/:\d+$/, ''), port, isTls, pathPrefix });
});

test('an IPv6 address loses its brackets where it is connected to', () => {
  const route = createBackendRoutes('http://[::1]:9000', false)('bucket');
  expect(route).toMatchObject({ hostname: '::1', host: '[::1]:9000', pathPrefix: '/bucket/' });
});

test.each(['http://host/path', 'http://host/?a', 'http://user@host', 'ftp://host', 'host:9000', ''])(
  '%j is no endpoint',
  (endpoint) => {
    expect(() => createBackendRoutes(endpoint, true)).toThrow(TypeError);
  },
);
