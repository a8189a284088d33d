// What is not said yet when the proxy stops is said then.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createConfig } from '../../../src/config/load-config.ts';
import { LineWriter } from '../../../src/line-writer.ts';
import { createLog } from '../../../src/log.ts';
import { startTelemetry } from '../../../src/telemetry/telemetry.ts';

let folder: string;
let fd: number;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-stop-'));
  fd = openSync(path.join(folder, 'log'), 'a');
});
afterEach(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

test('how many requests were let through without being authorized', async () => {
  const authz = { fail_mode: 'open', opa: { url: 'http://127.0.0.1:8181' } } as const;
  const config = createConfig({
    server: { state_dir: folder },
    metrics: { enabled: false },
    buckets: [{ name: 'uploads', filesystem: { root: folder }, auth: { enabled: false }, authz }],
  });
  const log = createLog(config.logging, new LineWriter({ fd, isImmediate: true }));
  const telemetry = await startTelemetry({ config, log, gauges: () => undefined, isSupervised: false });
  const [bucket] = config.buckets;
  const { onFailedOpen } = telemetry.authorizationEvents('uploads', bucket!.authz!);
  for (const _ of [1, 2, 3]) onFailedOpen('opa', new Error('away'));
  await telemetry.stop();
  const lines = readFileSync(path.join(folder, 'log'), 'utf8').split('\n').slice(0, -1);
  const told = lines.map((line) => (JSON.parse(line) as { readonly requests?: number }).requests);
  expect(told).toEqual([1, 2]);
});
