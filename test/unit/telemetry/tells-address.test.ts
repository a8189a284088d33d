// A client that has left has no address any more: it is asked for at the start of a request, and only where somebody may tell of it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';
import type { Bucket } from '../../../src/handle-request.ts';
import { RequestHeaders, type HttpRequest } from '../../../src/http.ts';
import { LineWriter } from '../../../src/line-writer.ts';
import { createLog } from '../../../src/log.ts';
import { startTelemetry } from '../../../src/telemetry/telemetry.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-address-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function asksForAddress({
  logging = '',
  tracing = '',
}: {
  logging?: string;
  tracing?: string;
}): Promise<boolean> {
  const text = `
server: { state_dir: ${JSON.stringify(folder)} }
metrics: { enabled: false }
buckets: [{ name: uploads, filesystem: { root: ${JSON.stringify(folder)} }, auth: { enabled: false } }]
logging: { ${logging} }
tracing: { ${tracing} }
`;
  const config = loadConfig({ path: 'config.yaml', text: text.replaceAll('FOLDER', folder), env: {} });
  const log = createLog(config.logging, new LineWriter({ fd: 1, maxWaitingBytes: 0 }));
  const telemetry = await startTelemetry({ config, log, gauges: () => undefined, isSupervised: false });
  let hasAsked = false;
  const request = {
    method: 'PUT',
    rawPath: '/uploads/a',
    rawQuery: '',
    headers: new RequestHeaders([]),
    get clientIp() {
      hasAsked = true;
      return '192.0.2.1';
    },
  } as unknown as HttpRequest;
  telemetry.watchRequest(request).enter({ name: 'uploads' } as Bucket);
  await telemetry.stop();
  return hasAsked;
}

const audit = 'audit: { enabled: true, destination: FOLDER/audit.log }';
const spans = 'enabled: true, sampling: { strategy: never }';

test.each([
  ['a line at info', { logging: 'level: info' }, true],
  ['no line at info', { logging: 'level: warn' }, false],
  ['a line that tells of nobody', { logging: 'level: info, subjects: off' }, false],
  ['an audit log', { logging: `level: warn, ${audit}` }, true],
  ['an audit log that tells of nobody', { logging: `level: warn, subjects: off, ${audit}` }, false],
  ['spans', { logging: 'level: warn, subjects: off', tracing: `${spans}, include_subject: true` }, true],
  ['spans that tell of nobody', { logging: 'level: warn', tracing: spans }, false],
])('%s', async (_, config, isAsked) => {
  expect(await asksForAddress(config)).toBe(isAsked);
});
