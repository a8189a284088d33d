// Ids of multipart uploads that are bound to their creator, and which other proxies know them.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { startMinio } from '../servers/start-minio.ts';
import {
  driveMultipart,
  fieldsOf,
  outcomeOf,
  startPolicyBuckets,
  type PolicyBuckets,
  type PolicyBucketsOptions,
} from '../support/policy-buckets.ts';

const block = { bound: { upload: { bind_multipart_to_creator: true } } };
const target = '/bound/x';

/** Makes an upload with one proxy and asks another one for it. */
async function outcomeElsewhere(
  start: PolicyBucketsOptions['start'],
  run: (first: PolicyBuckets) => Promise<PolicyBuckets>,
): Promise<string> {
  const first = await startPolicyBuckets({ start, buckets: block });
  const { UploadId: uploadId = '' } = fieldsOf(await driveMultipart(first.asUser({ sub: 'a' }), target).create());
  expect(uploadId).toMatch(/\.[\w-]{43}$/);
  const second = await run(first);
  try {
    return outcomeOf(await driveMultipart(second.asUser({ sub: 'a' }), target).list(uploadId));
  } finally {
    await second.stopProxy();
    await first.stop();
  }
}

test('are good for every proxy that has the backend’s key', async () => {
  expect(await outcomeElsewhere(startMinio, (first) => first.startAnother({}))).toBe('200');
});

test('without one, for those that share a folder, where others cannot read the secret', async () => {
  const shared = (first: PolicyBuckets) => ({ state_dir: path.join(first.proxy.folder, 'state') });
  expect(
    await outcomeElsewhere(undefined, async (first) => {
      const { mode } = await stat(path.join(first.proxy.folder, 'state', 'upload-id-secret'));
      expect(mode & 0o777).toBe(0o600);
      return first.startAnother(shared(first));
    }),
  ).toBe('200');
  expect(await outcomeElsewhere(undefined, (first) => first.startAnother({}))).toBe('404 NoSuchUpload');
});
