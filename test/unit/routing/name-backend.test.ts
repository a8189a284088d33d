// Endpoints that are one service.
import { expect, test } from 'vitest';
import { nameBackend } from '../../../src/routing/name-backend.ts';

test.each([
  [
    undefined,
    'https://s3.amazonaws.com',
    'https://s3.eu-west-1.amazonaws.com',
    'https://s3.cn-north-1.amazonaws.com.cn',
  ],
  ['http://localhost:9000', 'http://127.0.0.1:9000', 'http://127.0.0.2:9000', 'http://[::1]:9000'],
  ['http://minio', 'http://MINIO', 'http://minio:80'],
  ['https://minio.example', 'https://minio.example:443'],
])('%s and its other names', (...endpoints) => {
  expect(new Set(endpoints.map(nameBackend)).size).toBe(1);
});

test('others are others', () => {
  const endpoints = [
    undefined,
    'http://localhost:9000',
    'http://localhost:9001',
    'http://minio',
    'https://minio',
    'http://amazonaws.com.example',
    'http://notamazonaws.com',
  ];
  expect(new Set(endpoints.map(nameBackend)).size).toBe(endpoints.length);
});
