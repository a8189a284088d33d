// Endpoints that are one service.
import { expect, test } from 'vitest';
import { nameBackend } from '../../../src/routing/name-backend.ts';

test.each([
  [
    'https://s3.amazonaws.com',
    'https://s3.eu-west-1.amazonaws.com',
    'https://s3-eu-west-1.amazonaws.com',
    'https://s3.dualstack.eu-west-1.amazonaws.com',
    'https://bucket.vpce-1a2b3c4d.s3.us-east-1.vpce.amazonaws.com',
    'https://s3.us-east-1.amazonaws.com.',
  ],
  ['https://s3.cn-north-1.amazonaws.com.cn', 'https://s3.cn-northwest-1.amazonaws.com.cn'],
  ['http://localhost:9000', 'http://127.0.0.1:9000', 'http://127.10.0.20:9000', 'http://[::1]:9000'],
  ['http://minio', 'http://MINIO', 'http://minio:80'],
  ['https://minio.example', 'https://minio.example:443'],
])('%s and its other names', (...endpoints) => {
  expect(new Set(endpoints.map(nameBackend)).size).toBe(1);
});

test('others are others', () => {
  const endpoints = [
    'https://s3.eu-west-1.amazonaws.com',
    'https://s3.cn-north-1.amazonaws.com.cn',
    'http://localhost:9000',
    'http://localhost:9001',
    'http://minio',
    'https://minio',
    'http://minio-1.eu-west-1.elb.amazonaws.com:9000',
    'http://minio-2.eu-west-1.elb.amazonaws.com:9000',
    'http://s3.amazonaws.com.example',
    'http://nots3.amazonaws.com',
    'http://not-localhost:9000',
    'http://localhost.example:9000',
  ];
  expect(new Set(endpoints.map(nameBackend)).size).toBe(endpoints.length);
});
