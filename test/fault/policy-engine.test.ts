// A policy engine that is away, slow, or not what it should be: nothing is let through that was not allowed, nobody waits
// for long, and all is right again as soon as the engine is.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startToxiproxy, type Toxic, type Toxiproxy, type ToxicProxy } from '../servers/start-toxiproxy.ts';
import {
  driveMultipart,
  outcomeOf,
  startAuthorizedBuckets,
  type AuthorizedBuckets,
  type Sender,
} from '../support/authorized-bucket.ts';
import { requestLines } from '../support/log-lines.ts';
import { answerWith, startRecorder, type Recorder } from '../support/recorder.ts';
import type { Answer } from '../support/send-request.ts';
import { waitFor } from '../support/wait-for.ts';

const policy = 'package mizuchi\n\ndefault allow := false\n\nallow if input.subject == "tester"\n';
const timeoutMs = 1000;
const settings = { timeout_seconds: timeoutMs / 1000, cache_ttl_seconds: 0 };
const json = { 'content-type': 'application/json' };

let buckets: AuthorizedBuckets;
let toxiproxy: Toxiproxy;
let network: ToxicProxy;
let impostor: Recorder;
let tester: Sender;
let keyCount = 0;
let key: string;
beforeAll(async () => {
  toxiproxy = await startToxiproxy();
  impostor = await startRecorder(answerWith(200, json, '{"result":true}'));
  const opa = { ...settings, url: impostor.endpoint };
  buckets = await startAuthorizedBuckets({
    policy,
    between: async ({ url }) => (network = await toxiproxy.createProxy(url)).endpoint,
    buckets: {
      closed: { opa: settings },
      open: { opa: settings, authz: { fail_mode: 'open' } },
      remembered: { opa: { ...settings, cache_ttl_seconds: 60 } },
      impostor: { opa },
      'open-impostor': { authz: { opa, fail_mode: 'open' } },
    },
  });
  tester = buckets.as();
}, 180_000);
afterAll(async () => {
  await buckets.stop();
  await toxiproxy.stop();
  await impostor.stop();
});
beforeEach(() => {
  keyCount += 1;
  key = `object-${keyCount}`;
});
afterEach(async () => {
  impostor.setAnswer(answerWith(200, json, '{"result":true}'));
  await buckets.proxy.waitUntilIdle();
  // The circuit breakers close again.
  for (const bucket of ['closed', 'open', 'impostor']) {
    await waitFor(async () => (await put(bucket, buckets.as({ sub: 'tester' }))).status === 200);
  }
});

const put = (bucket: string, send: Sender = tester): Promise<Answer> =>
  send({ method: 'PUT', path: `/${bucket}/${key}`, body: 'body' });

/** Sees that the answer is 503 in time, that it tells nothing of the engine, and that nothing has changed in the store. */
async function seeClosed(run: () => Promise<Answer>, withinMs = timeoutMs + 500): Promise<Answer> {
  const before = await buckets.look(key);
  const startedAtMs = performance.now();
  const answer = await run();
  expect(performance.now() - startedAtMs).toBeLessThan(withinMs);
  expect(outcomeOf(answer)).toBe('503 ServiceUnavailable');
  expect(answer.body).toContain('<Message>The service is unavailable. Try again later.</Message>');
  expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  await buckets.proxy.waitUntilIdle();
  expect(await buckets.look(key)).toEqual(before);
  return answer;
}

describe('an engine that is away', () => {
  test('lets nothing through, and is found again without a restart', async () => {
    await network.setEnabled(false);
    const upload = driveMultipart(tester, `/closed/${key}`);
    const steps = [
      () => put('closed'),
      () => upload.create(),
      () => upload.part('x', 1, Buffer.from('part')),
      () => upload.complete('x', [[1, 'y']]),
      () => upload.abort('x'),
      () => upload.list('x'),
    ];
    for (const run of steps) await seeClosed(run, 1000);
    await network.setEnabled(true);
    await waitFor(async () => (await put('closed')).status === 200, 10_000);
  });

  test.each<readonly [string, Toxic]>([
    ['slow', { type: 'latency', stream: 'downstream', attributes: { latency: 5000 } }],
    ['half-open: nothing comes back', { type: 'timeout', stream: 'downstream', attributes: { timeout: 0 } }],
    ['half-open: nothing arrives', { type: 'timeout', stream: 'upstream', attributes: { timeout: 0 } }],
    ['reset', { type: 'reset_peer', stream: 'downstream', attributes: { timeout: 0 } }],
    ['cut in the middle of the answer', { type: 'limit_data', stream: 'downstream', attributes: { bytes: 120 } }],
    ['cut in the middle of the question', { type: 'limit_data', stream: 'upstream', attributes: { bytes: 100 } }],
  ])('%s', async (_, toxic) => {
    const added = await network.addToxic(toxic);
    await seeClosed(() => put('closed'));
    await added.remove();
    // What hung is cut by toxiproxy or given up; the next connection is a good one.
    await waitFor(async () => (await put('closed')).status === 200, 10_000);
  });

  test.each<readonly [string, Toxic]>([
    ['latency', { type: 'latency', stream: 'downstream', attributes: { latency: 200 } }],
    ['pieces', { type: 'slicer', stream: 'downstream', attributes: { average_size: 5, size_variation: 2 } }],
  ])('%s: all is right', async (_, toxic) => {
    const added = await network.addToxic(toxic);
    expect(outcomeOf(await put('closed'))).toBe('200');
    expect(outcomeOf(await put('closed', buckets.as({ sub: 'other' })))).toBe('403 AccessDenied');
    await added.remove();
  });

  test('the log says how long an upload waited for it in vain, and for which', async () => {
    const added = await network.addToxic({ type: 'latency', stream: 'downstream', attributes: { latency: 5000 } });
    const { headers } = await seeClosed(() => put('closed'));
    await added.remove();
    const findLine = () =>
      requestLines(buckets.proxy.logs()).find(({ requestId }) => requestId === headers['x-amz-request-id']);
    await waitFor(async () => findLine() !== undefined);
    const line = findLine();
    expect(Math.abs(Number(line?.['authorizeMs']) - timeoutMs - 200)).toBeLessThan(300);
    expect(JSON.stringify(line?.['err'])).toContain('opa');
  });

  test('after some failures nobody waits for it, until it is back', async () => {
    const added = await network.addToxic({ type: 'timeout', stream: 'downstream', attributes: { timeout: 0 } });
    await Promise.all(Array.from({ length: 5 }, () => put('closed')));
    const answer = await seeClosed(() => put('closed'), 300);
    expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(3);
    await added.remove();
    await waitFor(async () => (await put('closed')).status === 200, 5000);
  });

  test('a hundred uploads that wait for it at the same time take no slot, and none waits longer', async () => {
    const added = await network.addToxic({ type: 'timeout', stream: 'downstream', attributes: { timeout: 0 } });
    const startedAtMs = performance.now();
    const sending = Promise.all(Array.from({ length: 100 }, () => put('closed')));
    await new Promise((resolve) => {
      setTimeout(resolve, 300);
    });
    expect((await buckets.proxy.health()).uploads).toBe(0);
    expect(new Set((await sending).map(outcomeOf))).toEqual(new Set(['503 ServiceUnavailable']));
    expect(performance.now() - startedAtMs).toBeLessThan(timeoutMs + 1500);
    await added.remove();
  });

  test('what is remembered goes on', async () => {
    expect(outcomeOf(await put('remembered'))).toBe('200');
    await network.setEnabled(false);
    for (let times = 0; times < 8; times++) {
      expect(outcomeOf(await put('remembered'))).toBe('200');
      await seeClosed(() => put('remembered', buckets.as({ sub: 'other' })), 1000);
    }
    await network.setEnabled(true);
  });
});

describe('a server that is none', () => {
  test.each<readonly [string, Parameters<typeof answerWith>]>([
    ['nothing', [200, json, '']],
    ['garbage', [200, json, '<html>yes</html>']],
    ['half an answer', [200, json, '{"result":tr']],
    ['another type', [200, json, '{"result":"true"}']],
    ['another type of an obligation', [200, json, '{"result":{"allow":true,"key_prefix":1}}']],
    ['an obligation that is not known', [200, json, '{"result":{"allow":true,"max_size":1}}']],
    ['no allow', [200, json, '{"result":{}}']],
    ['more than is sensible', [200, json, `{"result":true,"x":"${'x'.repeat(100_000)}"}`]],
    ['500', [500, json, '{"result":true,"message":"secret of the engine"}']],
    ['404', [404, json, '{"result":true}']],
    ['a redirect', [307, { location: 'http://127.0.0.1:1/v1/data' }, '']],
  ])('that answers %s lets nothing through', async (_, answer) => {
    impostor.setAnswer(answerWith(...answer));
    await seeClosed(() => put('impostor'));
    await seeClosed(() => driveMultipart(tester, `/impostor/${key}`).create());
  });

  test('that answers wrongly to one is asked by others all the same', async () => {
    impostor.setAnswer(answerWith(500, json, '{}'));
    await Promise.all(Array.from({ length: 10 }, () => put('impostor')));
    impostor.setAnswer(answerWith(200, json, '{"result":true}'));
    expect(outcomeOf(await put('impostor'))).toBe('200');
  });
});

describe('fail_mode: open', () => {
  test('is said at start', () => {
    expect(buckets.proxy.logs()).toContain('bucket open: authz.fail_mode is open');
    expect(buckets.proxy.logs()).not.toContain('bucket closed: authz.fail_mode is open');
  });

  test('lets through what cannot be decided, says so, and not what is refused', async () => {
    const refused = () => put('open', buckets.as({ sub: 'other' }));
    expect(outcomeOf(await refused())).toBe('403 AccessDenied');
    await network.setEnabled(false);
    const logged = buckets.proxy.logs().length;
    const answers = await Promise.all(Array.from({ length: 20 }, () => put('open')));
    expect(new Set(answers.map(outcomeOf))).toEqual(new Set(['200']));
    expect(outcomeOf(await refused())).toBe('200');
    const said = () =>
      buckets.proxy
        .logs()
        .slice(logged)
        .split('\n')
        .filter((line) => line.includes('let through without being authorized'))
        .map((line) => JSON.parse(line) as { level: number; requests: number; engine: string });
    expect(said().length).toBeGreaterThanOrEqual(1);
    // At most once a second.
    expect(said().length).toBeLessThanOrEqual(3);
    expect(said()[0]).toMatchObject({ level: 40, engine: 'opa', bucket: 'open' });
    await network.setEnabled(true);
    await waitFor(async () => (await refused()).status === 403, 10_000);
  });

  test('an engine that is away is named, and keeps the proxy from nothing', async () => {
    impostor.setAnswer(answerWith(503, json, 'secret of the engine'));
    expect(outcomeOf(await put('open-impostor'))).toBe('200');
    expect(outcomeOf(await put('impostor'))).toBe('503 ServiceUnavailable');
  });

  test('one that fails on a question lets it through for nobody: its sender may have chosen it', async () => {
    impostor.setAnswer(answerWith(500, json, 'secret of the engine'));
    expect(outcomeOf(await put('open-impostor'))).toBe('503 ServiceUnavailable');
  });
});

test('nothing that an engine has said is in an answer or in the log', () => {
  expect(buckets.proxy.logs()).not.toContain('secret of the engine');
});
