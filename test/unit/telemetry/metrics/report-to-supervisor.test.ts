// A worker that is asked for its figures and cannot read them.
import pino from 'pino';
import { expect, test } from 'vitest';
import { toLog } from '../../../../src/log.ts';
import { reportToSupervisor } from '../../../../src/telemetry/metrics/report-to-supervisor.ts';

test('it says so, and goes on', async () => {
  const said = Promise.withResolvers<string>();
  const log = toLog(pino({}, { write: said.resolve }), { keys: 'plain' });
  const reporting = reportToSupervisor({ read: () => Promise.reject(new Error('no file is left')), log });
  process.emit('message', { type: 'mizuchi:read-metrics', id: 1 }, undefined);
  expect(JSON.parse(await said.promise)).toMatchObject({
    msg: 'metrics could not be read',
    err: { message: 'no file is left' },
  });
  await reporting.stop();
});
