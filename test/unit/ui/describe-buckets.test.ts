// Which buckets the upload page is told of, and what of them.
import { expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';
import { describeBuckets } from '../../../src/ui/describe-buckets.ts';

const secret = 'a-secret-for-tests-of-more-than-32-bytes';

const describeAuth = (auth: object, more: object = {}) => {
  const bucket = { name: 'uploads', filesystem: { root: './data' }, auth, ...more };
  const { buckets } = loadConfig({ path: 'test', text: JSON.stringify({ buckets: [bucket] }), env: {} });
  return describeBuckets(buckets);
};

test('a bucket with its limits, and never its secret', () => {
  const upload = { max_object_size: '1GiB', min_object_size: 10, allowed_content_types: ['image/*'] };
  const described = describeAuth({ jwt: { secret } }, { path_prefix: '/in', upload });
  expect(described).toEqual([
    {
      name: 'uploads',
      path: '/in',
      needsToken: true,
      maxObjectBytes: 1024 ** 3,
      minObjectBytes: 10,
      allowedContentTypes: ['image/*'],
    },
  ]);
  expect(JSON.stringify(described)).not.toContain(secret);
});

test.each([
  ['nobody asks', { enabled: false }, [false]],
  [
    'a cookie does as well',
    { jwt: { secret, token_sources: [{ type: 'bearer' }, { type: 'cookie', name: 's' }] } },
    [false],
  ],
  ['tokens are read elsewhere', { jwt: { secret, token_sources: [{ type: 'query', name: 'token' }] } }, []],
  ['only signatures count', { sigv4: { access_key: 'AKIDALICE', secret_key: secret } }, []],
  ['either counts', { jwt: { secret }, sigv4: { access_key: 'AKIDALICE', secret_key: secret } }, [true]],
])('where %s', (_, auth, expected) => {
  expect(describeAuth(auth).map(({ needsToken }) => needsToken)).toEqual(expected);
});
