// What a real OPA decides, over real HTTP and in a real store: what is allowed arrives, and of what is refused nothing does.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  driveMultipart,
  outcomeOf,
  startAuthorizedBuckets,
  type AuthorizedBuckets,
  type MultipartDriver,
  type Sender,
} from '../support/authorized-bucket.ts';
import { createAuthorizationChecks, uploadIdOf } from '../support/authorization-checks.ts';
import { requestLines } from '../support/log-lines.ts';
import { openRawConnection } from '../support/raw-connection.ts';
import { presignS3Url, signS3Request, type ClientCredential } from '../support/sign-s3-request.ts';
import { sendRequest, type Answer } from '../support/send-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from '../support/start-proxy.ts';
import { waitFor } from '../support/wait-for.ts';

const policy = `package mizuchi

default allow := false

allow if input.context.operation in data.rules.operations

by_action if input.action in data.rules.actions

named if input.subject in data.rules.subjects

told := {"allow": false, "reason": sprintf("%s may not write %s%s", [input.subject, input.resource.key, concat("", [c | some _ in numbers.range(1, 300); c := "."])])}
`;
const operations = [
  'PutObject',
  'CreateMultipartUpload',
  'UploadPart',
  'CompleteMultipartUpload',
  'AbortMultipartUpload',
  'ListParts',
] as const;
type OperationName = (typeof operations)[number];

const alice: ClientCredential = {
  accessKey: 'AKIDALICE',
  secretKey: 'a-secret-key-of-alice-1234',
  region: 'us-east-1',
};
const sigv4 = { access_key: alice.accessKey, secret_key: alice.secretKey };
const uncached = { cache_ttl_seconds: 0, timeout_seconds: 2 };
const rememberedMs = 2000;

let buckets: AuthorizedBuckets;
let tester: Sender;
let key: string;
let keyCount = 0;
beforeAll(async () => {
  buckets = await startAuthorizedBuckets({
    policy,
    server: { trusted_proxies: ['127.0.0.1'] },
    buckets: {
      asked: { opa: uncached, cors: { allowed_origins: ['https://a.example'] } },
      prefixed: { opa: uncached, upload: { key_prefix: '{sub}/' } },
      bound: { opa: uncached, upload: { bind_multipart_to_creator: true } },
      'by-action': { opa: { ...uncached, policy_path: 'mizuchi/by_action' } },
      named: {
        opa: { ...uncached, policy_path: '/v1/data/mizuchi/named' },
        auth: { jwt: { secret: jwtSecret }, sigv4 },
      },
      told: { opa: { ...uncached, policy_path: '/v1/data/mizuchi/told' } },
      nobody: { auth: { enabled: false }, opa: uncached },
      remembered: { opa: { cache_ttl_seconds: rememberedMs / 1000, deny_cache_ttl_seconds: 1 } },
      off: { authz: { enabled: false } },
    },
  });
  tester = buckets.as();
}, 180_000);
afterAll(() => buckets.stop());
beforeEach(async () => {
  keyCount += 1;
  key = `folder/object-${keyCount}`;
  await setRules({ operations });
  // Questions of the test before.
  buckets.opa.takeAsked();
});

const { setRules, put, seeRefused } = createAuthorizationChecks(() => ({ buckets, key }));
const allBut = (...names: OperationName[]) => ({ operations: operations.filter((name) => !names.includes(name)) });

/** OPA tells what it was asked in order, and a little late. */
async function seeNobodyAsked(run: () => Promise<unknown>): Promise<void> {
  await run();
  await tester({ method: 'DELETE', path: '/asked/last', query: 'uploadId=x' });
  const [first] = await buckets.asked(1);
  expect(first?.input).toMatchObject({ resource: { key: 'last' } });
}

/** One request of each operation on an upload that is there, with a part. */
function requestsOf(
  upload: MultipartDriver,
  uploadId: string,
  etag: string | undefined,
): Record<OperationName, () => Promise<Answer>> {
  return {
    PutObject: () => put(tester, 'asked', Buffer.from('whole')),
    CreateMultipartUpload: () => upload.create(),
    UploadPart: () => upload.part(uploadId, 2, Buffer.from('another part')),
    ListParts: () => upload.list(uploadId),
    CompleteMultipartUpload: () => upload.complete(uploadId, [[1, etag]]),
    AbortMultipartUpload: () => upload.abort(uploadId),
  };
}

describe('each operation', () => {
  test.each(operations)('%s: allowed goes through, denied changes nothing', async (name) => {
    const upload = driveMultipart(tester, `/asked/${key}`);
    const uploadId = uploadIdOf(await upload.create());
    const { etag } = (await upload.part(uploadId, 1, Buffer.from('a part'))).headers;
    const run = requestsOf(upload, uploadId, etag)[name];
    await setRules(allBut(name));
    const answer = await seeRefused(run);
    // None of the engine's words, and not that there is one.
    expect(answer.body).toContain('<Message>Access Denied.</Message>');
    await setRules({ operations: [name] });
    expect((await run()).status).toBeLessThan(300);
  });

  test.each(operations)('%s is refused before its body is read', async (name) => {
    const uploadId = uploadIdOf(await driveMultipart(tester, `/asked/${key}`).create());
    await setRules({ operations: [] });
    const targets: Record<OperationName, string> = {
      PutObject: `PUT /asked/${key}`,
      CreateMultipartUpload: `POST /asked/${key}?uploads`,
      UploadPart: `PUT /asked/${key}?partNumber=1&uploadId=${uploadId}`,
      CompleteMultipartUpload: `POST /asked/${key}?uploadId=${uploadId}`,
      AbortMultipartUpload: `DELETE /asked/${key}?uploadId=${uploadId}`,
      ListParts: `GET /asked/${key}?uploadId=${uploadId}`,
    };
    const connection = await openRawConnection(buckets.proxy.url);
    const fields = ['host: x', `authorization: Bearer ${await createToken()}`, 'content-length: 1000000'];
    await connection.write(`${targets[name]} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
    expect(outcomeOf({ ...(await connection.readAnswer()), headers: {} })).toBe('403 AccessDenied');
    connection.destroy();
    await buckets.proxy.waitUntilIdle();
  });

  test('a refusal between the first part and the last call takes effect, and its end too', async () => {
    const upload = driveMultipart(tester, `/asked/${key}`);
    const uploadId = uploadIdOf(await upload.create());
    const { etag } = (await upload.part(uploadId, 1, Buffer.from('a part'))).headers;
    await setRules({ operations: [] });
    await seeRefused(() => upload.part(uploadId, 2, Buffer.from('more')));
    await seeRefused(() => upload.complete(uploadId, [[1, etag]]));
    await seeRefused(() => upload.abort(uploadId));
    await setRules({ operations });
    expect(outcomeOf(await upload.complete(uploadId, [[1, etag]]))).toBe('200');
    expect((await buckets.stored.readBytes(key)).toString()).toBe('a part');
  });

  test('the action is upload, abort or list_parts', async () => {
    const upload = driveMultipart(tester, `/by-action/${key}`);
    await setRules({ actions: ['upload'] });
    expect(outcomeOf(await put(tester, 'by-action', Buffer.from('x')))).toBe('200');
    const uploadId = uploadIdOf(await upload.create());
    const { etag } = (await upload.part(uploadId, 1, Buffer.from('a part'))).headers;
    await seeRefused(() => upload.list(uploadId));
    await seeRefused(() => upload.abort(uploadId));
    await setRules({ actions: ['list_parts'] });
    expect(outcomeOf(await upload.list(uploadId))).toBe('200');
    await seeRefused(() => upload.complete(uploadId, [[1, etag]]));
    await setRules({ actions: ['abort'] });
    expect(outcomeOf(await upload.abort(uploadId))).toBe('204');
  });

  test('HeadBucket, GetBucketLocation and preflights ask nobody', async () => {
    await setRules({ operations: [] });
    await seeNobodyAsked(async () => {
      expect((await tester({ method: 'HEAD', path: '/asked' })).status).toBe(200);
      expect((await tester({ method: 'GET', path: '/asked', query: 'location' })).status).toBe(200);
      const headers = { origin: 'https://a.example', 'access-control-request-method': 'PUT' };
      expect((await tester({ method: 'OPTIONS', path: `/asked/${key}`, headers })).status).toBe(204);
    });
  });

  test('a bucket whose authz is off asks nobody', async () => {
    await setRules({ operations: [] });
    await seeNobodyAsked(async () => {
      expect(outcomeOf(await put(tester, 'off', Buffer.from('x')))).toBe('200');
    });
  });

  test('whoever is not authenticated is not asked about', async () => {
    await seeNobodyAsked(() => seeRefused(() => put(buckets.asNobody, 'asked', Buffer.from('x')), '401 Unauthorized'));
  });
});

describe('what is asked', () => {
  test('of a PUT with a token', async () => {
    const claims = { sub: 'alice', team: 'blue', level: 3 };
    const headers = {
      'content-type': 'text/plain; charset=utf-8',
      'user-agent': 'tests/1',
      'x-forwarded-for': '192.0.2.7',
      'x-amz-meta-Album': 'holidays',
      'x-amz-meta-empty': '',
    };
    const before = Date.now();
    expect(outcomeOf(await put(buckets.as(claims), 'asked', Buffer.from('12345'), headers))).toBe('200');
    const [{ path, input } = { path: '', input: {} }] = await buckets.asked(1);
    expect(path).toBe('mizuchi/allow');
    expect(input).toEqual({
      subject: 'alice',
      principal: {
        kind: 'jwt',
        subject: 'alice',
        claims: { ...claims, iat: expect.any(Number), exp: expect.any(Number) },
      },
      action: 'upload',
      resource: { bucket: 'asked', key, backend_bucket: 'backend-bucket' },
      context: {
        operation: 'PutObject',
        method: 'PUT',
        client_ip: '192.0.2.7',
        content_length: 5,
        content_type: 'text/plain; charset=utf-8',
        user_agent: 'tests/1',
        metadata: { album: 'holidays', empty: '' },
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      },
    });
    const { time } = (input as { context: { time: string } }).context;
    expect(Date.parse(time)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(time)).toBeLessThanOrEqual(Date.now());
  });

  test('of a part, and of a body whose length is not known', async () => {
    const upload = driveMultipart(tester, `/asked/${key}`);
    const uploadId = uploadIdOf(await upload.create());
    await upload.part(uploadId, 7, Buffer.from('123'));
    await put(tester, 'asked', [Buffer.from('12'), Buffer.from('345')]);
    const [create, part, chunked] = await buckets.asked(3);
    expect(create?.input).toMatchObject({ context: { operation: 'CreateMultipartUpload', method: 'POST' } });
    expect(part?.input).toMatchObject({
      context: { operation: 'UploadPart', upload_id: uploadId, part_number: 7, content_length: 3 },
    });
    expect(chunked?.input).not.toHaveProperty('context.content_length');
    expect(chunked?.input).not.toHaveProperty('context.upload_id');
  });

  test('of signed requests, in the header and in the URL, and of signed chunks', async () => {
    await setRules({ subjects: [alice.accessKey] });
    const host = new URL(buckets.proxy.url).host;
    const path = `/named/${key}`;
    for (const mode of ['sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'] as const) {
      const body = Buffer.from('12345');
      const signed = signS3Request({ credential: alice, method: 'PUT', host, path, body, mode });
      expect(outcomeOf(await sendRequest({ url: buckets.proxy.url, method: 'PUT', path, ...signed }))).toBe('200');
    }
    const url = presignS3Url({ credential: alice, method: 'PUT', host, path });
    expect(outcomeOf(await sendRequest({ url: buckets.proxy.url, method: 'PUT', path: url, body: '12345' }))).toBe(
      '200',
    );
    for (const { input } of await buckets.asked(3)) {
      expect(input).toMatchObject({ subject: alice.accessKey, context: { content_length: 5 } });
      expect((input as { principal: unknown }).principal).toEqual({
        kind: 'sigv4',
        subject: alice.accessKey,
        access_key_id: alice.accessKey,
      });
    }
    await setRules({ subjects: ['somebody'] });
    await seeRefused(() => sendRequest({ url: buckets.proxy.url, method: 'PUT', path: url, body: '12345' }));
  });

  test('where nobody is asked for credentials', async () => {
    expect(outcomeOf(await put(buckets.asNobody, 'nobody', Buffer.from('x')))).toBe('200');
    const [asked] = await buckets.asked(1);
    expect(asked?.input).toMatchObject({ principal: { kind: 'anonymous' } });
    expect(asked?.input).not.toHaveProperty('subject');
    await setRules({ operations: [] });
    await seeRefused(() => put(buckets.asNobody, 'nobody', Buffer.from('y')));
  });

  test('is the key with its prefix, as it is stored', async () => {
    expect(outcomeOf(await put(buckets.as({ sub: 'alice' }), 'prefixed', Buffer.from('x')))).toBe('200');
    const [asked] = await buckets.asked(1);
    expect(asked?.input).toMatchObject({ resource: { key: `alice/${key}` } });
    expect(await buckets.stored.listKeys('alice/')).toContain(`alice/${key}`);
  });

  test('is the upload id of the backend, where the client has another', async () => {
    const upload = driveMultipart(tester, `/bound/${key}`);
    const uploadId = uploadIdOf(await upload.create());
    expect((await upload.part(uploadId, 1, Buffer.from('1'))).status).toBe(200);
    const [, part] = await buckets.asked(2);
    const [[storedId]] = ((await buckets.look(key)) as { uploads: [[string]] }).uploads;
    expect(storedId).not.toBe(uploadId);
    expect(part?.input).toMatchObject({ context: { upload_id: storedId } });
  });
});

describe('the key that was asked about is the key that is stored', () => {
  test.each([
    'two%20words%20%20two%20spaces',
    '%20leading%20and%20trailing%20',
    'plus+plus',
    'plus%2Bencoded',
    'slash%2Fencoded',
    'percent%2541',
    'hundred%25',
    'nfc-%C3%A9',
    'nfd-e%CC%81',
    'lower-%c3%a9-hex',
    'emoji-%F0%9F%A6%88',
    "quotes-%22'%60%3C%3E%26",
    'marks-!*()_-.~$,;=:@',
    'question%3Fhash%23',
    'back%5Cslash',
    'unencoded-[]{}|^',
    'dots/..a/.b/c../...',
    'control-%01%1F%7F',
    'line-%E2%80%A8',
    'json-%22%2C%22bucket%22%3A%22x',
  ])('%s', async (wire) => {
    const answer = await tester({ method: 'PUT', path: `/asked/${wire}`, body: `body of ${wire}` });
    expect(outcomeOf(answer)).toBe('200');
    const asked = (await buckets.asked(1)) as { input: { resource: { key: string } } }[];
    const seen = asked[0]?.input.resource.key ?? '';
    expect((await buckets.stored.readBytes(seen)).toString()).toBe(`body of ${wire}`);
    await buckets.stored.deleteObjects([seen]);
  });

  // MinIO does not take them all.
  test.each([
    ['double//slash', 'double//slash'],
    ['/leading-slash', '/leading-slash'],
    ['trailing/', 'trailing/'],
    ['newline-%0A%0D', 'newline-\n\r'],
  ])('%s, or nothing is stored', async (wire, key) => {
    const before = await buckets.stored.listKeys();
    const { status } = await tester({ method: 'PUT', path: `/asked/${wire}`, body: 'body' });
    expect(await buckets.asked(1)).toMatchObject([{ input: { resource: { key } } }]);
    if (status !== 200) return expect(await buckets.stored.listKeys()).toEqual(before);
    expect((await buckets.stored.readBytes(key)).toString()).toBe('body');
    await buckets.stored.deleteObjects([key]);
  });

  test.each(['a/../b', '%2e%2e/b', 'a%2F..%2Fb', '%00', '%ff'])(
    '%s is refused before anybody is asked',
    async (wire) => {
      await seeNobodyAsked(async () => {
        expect((await tester({ method: 'PUT', path: `/asked/${wire}`, body: 'x' })).status).toBe(400);
      });
    },
  );
});

describe('memory', () => {
  test('parts of one upload ask once; another subject asks anew', async () => {
    const upload = driveMultipart(tester, `/remembered/${key}`);
    const uploadId = uploadIdOf(await upload.create());
    const body = Buffer.from('a part');
    const numbers = Array.from({ length: 40 }, (_, index) => index + 1);
    const answers = await Promise.all(numbers.map((number) => upload.part(uploadId, number, body)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    // The creation, the parts, and what asks anew.
    await put(buckets.as({ sub: 'somebody-else' }), 'remembered', body);
    const seen = (await buckets.asked(3)) as { input: { subject: string; context: { operation: string } } }[];
    const asked = seen.map(({ input: { subject, context } }) => `${subject} ${context.operation}`);
    expect(asked).toEqual(['tester CreateMultipartUpload', 'tester UploadPart', 'somebody-else PutObject']);
  });

  test('ten thousand parts of one upload ask only when a decision is forgotten', async () => {
    const upload = driveMultipart(tester, `/remembered/${key}`);
    const uploadId = uploadIdOf(await upload.create());
    await buckets.asked(1);
    const authorization = `Bearer ${await createToken()}`;
    const startedAt = performance.now();
    let number = 0;
    const sendParts = async (): Promise<void> => {
      while (number < 10_000) {
        number += 1;
        const url = `${buckets.proxy.url}/remembered/${key}?partNumber=${number}&uploadId=${uploadId}`;
        const answer = await fetch(url, { method: 'PUT', headers: { authorization }, body: 'a part' });
        await answer.arrayBuffer();
        expect(answer.status).toBe(200);
      }
    };
    await Promise.all(Array.from({ length: 16 }, sendParts));
    const mostAsked = 1 + Math.floor((performance.now() - startedAt) / rememberedMs);
    // Its question is the last that OPA tells of.
    await upload.abort(uploadId);
    const operationsAsked: string[] = [];
    while (operationsAsked.at(-1) !== 'AbortMultipartUpload') {
      const asked = (await buckets.asked(1)) as { input: { context: { operation: string } } }[];
      operationsAsked.push(...asked.map(({ input }) => input.context.operation));
    }
    operationsAsked.pop();
    expect(new Set(operationsAsked)).toEqual(new Set(['UploadPart']));
    expect(operationsAsked.length).toBeLessThanOrEqual(mostAsked);
  });

  test('a change of the policy is seen within the time that a decision is remembered', async () => {
    const send = () => put(tester, 'remembered', Buffer.from('x'));
    expect(outcomeOf(await send())).toBe('200');
    const changedAtMs = performance.now();
    await setRules({ operations: [] });
    expect(outcomeOf(await send())).toBe('200');
    await waitFor(async () => (await send()).status === 403, 5000);
    expect(performance.now() - changedAtMs).toBeLessThan(2500);
    await setRules({ operations });
    const allowedAtMs = performance.now();
    await waitFor(async () => (await send()).status === 200, 5000);
    expect(performance.now() - allowedAtMs).toBeLessThan(1500);
  });
});

test('a client that leaves while it is being decided stores nothing', async () => {
  const before = await buckets.look(key);
  buckets.opa.suspend();
  try {
    const connection = await openRawConnection(buckets.proxy.url);
    const fields = ['host: x', `authorization: Bearer ${await createToken()}`, 'content-length: 5'];
    await connection.write(`PUT /asked/${key} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n12345`);
    await new Promise((resolve) => {
      setTimeout(resolve, 300);
    });
    connection.destroy(true);
    await connection.closed;
    await new Promise((resolve) => {
      setTimeout(resolve, 200);
    });
  } finally {
    buckets.opa.resume();
  }
  await waitFor(async () => buckets.proxy.logs().includes('"code":"ClientGone"'));
  await buckets.proxy.waitUntilIdle();
  expect(await buckets.look(key)).toEqual(before);
});

test('the log says how each request was decided', async () => {
  const lastTwo = (): object[] =>
    buckets.proxy
      .logs()
      .split('\n')
      .filter((line) => line.includes('"operation":"PutObject"') && line.endsWith('}'))
      .slice(-2)
      .map((line) => (JSON.parse(line) as { decision: object }).decision);
  await put(tester, 'asked', Buffer.from('x'));
  await setRules({ operations: [] });
  await put(tester, 'asked', Buffer.from('x'));
  const decided = { engine: 'opa', cached: false, failedOpen: [] };
  // A line comes after its answer.
  await expect.poll(lastTwo, { timeout: 10_000 }).toEqual([
    { ...decided, allow: true },
    { ...decided, allow: false },
  ]);
});

describe('a policy’s words are in the log', () => {
  /** Of the decision in the last line of a refused upload. */
  async function reasonOf(proxy: RunningProxy, send: Sender): Promise<string | undefined> {
    const answer = await send({ method: 'PUT', path: `/told/${key}`, body: Buffer.from('x') });
    expect(outcomeOf(answer)).toBe('403 AccessDenied');
    expect(answer.body).not.toContain('may not write');
    const id = answer.headers['x-amz-request-id'];
    const find = () => requestLines(proxy.logs()).find(({ requestId }) => requestId === id);
    await waitFor(() => Promise.resolve(find() !== undefined));
    return (find()?.['decision'] as { reason?: string } | undefined)?.reason;
  }
  const words = () => `tester may not write ${key}`.padEnd(256, '.');

  test('at debug, and not more than fit in a line', async () => {
    expect(await reasonOf(buckets.proxy, tester)).toBe(words());
  });

  test.each([
    [{}, false],
    [{ keys: 'hashed', subjects: 'plain' }, false],
    [{ keys: 'plain', subjects: 'plain' }, true],
  ])('at info with %j: %s', async (logging, isTold) => {
    const opa = { url: buckets.opa.url, policy_path: '/v1/data/mizuchi/told' };
    const told = { name: 'told', filesystem: { root: './data' }, auth: { jwt: { secret: jwtSecret } }, authz: { opa } };
    const proxy = await startProxy({ config: { logging: { format: 'json', ...logging }, buckets: [told] } });
    const authorization = `Bearer ${await createToken({ sub: 'tester' })}`;
    try {
      const send: Sender = ({ method, path, body = '' }) =>
        sendRequest({ url: proxy.url, method, path, headers: { authorization }, body });
      expect(await reasonOf(proxy, send)).toBe(isTold ? words() : undefined);
    } finally {
      await proxy.stop();
    }
  });
});

test('/ready names an engine that is away', async () => {
  const ready = () => sendRequest({ url: buckets.proxy.url, method: 'GET', path: '/ready' });
  expect((await ready()).status).toBe(200);
  buckets.opa.suspend();
  try {
    await waitFor(async () => (await ready()).status === 503);
    expect(JSON.parse((await ready()).body)).toEqual({ status: 'not ready', away: ['opa'] });
  } finally {
    buckets.opa.resume();
  }
  await waitFor(async () => (await ready()).status === 200);
});
