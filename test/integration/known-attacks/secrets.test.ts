// Secrets, and what is the clients' own, in everything that a request has room for: none of it stands in a log, at any
// level, whatever goes wrong; and no credential of a client reaches the backend.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../servers/free-port.ts';
import { startMinio } from '../../servers/start-minio.ts';
import type { S3Server } from '../../servers/start-s3-server.ts';
import { openRawConnection } from '../../support/raw-connection.ts';
import { answerWith, passOnTo, startRecorder, type Recorder } from '../../support/recorder.ts';
import { createBucket } from '../../support/s3-client.ts';
import { sendRequest, type Answer, type RequestOptions } from '../../support/send-request.ts';
import { presignS3Url, signS3Request, type RequestToSign, type UrlToPresign } from '../../support/sign-s3-request.ts';
import { createToken, startProxy, type RunningProxy } from '../../support/start-proxy.ts';

/** What must not be found, and what it is. */
const planted: (readonly [what: string, text: string])[] = [];
/** A text that stands nowhere else. */
function plant(what: string): string {
  const text = `${what.replaceAll(/\W/gu, '')}${randomBytes(12).toString('hex')}`;
  planted.push([what, text]);
  return text;
}
async function plantToken(
  what: string,
  claims: Record<string, string | number> = {},
  secret?: string,
): Promise<string> {
  const token = await createToken(
    { sub: plant(`subject of ${what}`), role: plant(`claim of ${what}`), ...claims },
    secret ?? jwtSecret,
  );
  const [, payload = '', signature = ''] = token.split('.');
  planted.push([`payload of ${what}`, payload]);
  planted.push([`signature of ${what}`, signature]);
  return token;
}

const jwtSecret = plant('JWT secret of 32 bytes at the least');
const credential = { accessKey: plant('AKID'), secretKey: plant('SigV4 secret'), region: 'us-east-1' };
const sessionToken = plant('session token');
const key = plant('object key');
const metadata = plant('metadata');
const sseKey = Buffer.from(plant('SSE-C key').slice(0, 32));
planted.push(['SSE-C key', sseKey.toString('base64').replace(/=+$/u, '')]);

const secretsOfConfig = {
  redis: plant('Redis password'),
  jwks: plant('key in the address of keys'),
  backend: plant('backend secret'),
  backendToken: plant('backend session token'),
  opa: plant('OPA credential'),
  openfga: plant('OpenFGA credential'),
  collector: plant('field for the collector'),
};

let server: S3Server;
let backend: Recorder;
let collector: Collector;
let redis: Server;
/** Else the proxy would not become ready. */
let redisTakesAll: boolean;
beforeAll(async () => {
  server = await startMinio();
  await createBucket(server, 'store');
  backend = await startRecorder(passOnTo(server));
  collector = await startCollector();
  redis = createServer((socket) => {
    socket.on('error', () => undefined);
    // As real ones do, it repeats a command that it has been told not to know.
    socket.on('data', (command) => {
      if (redisTakesAll) return void socket.write('+OK\r\n');
      const [, name, ...args] = String(command).split(/\r\n\$\d+\r\n/u);
      socket.write(
        `-ERR unknown command '${name}', with args beginning with: ${args.join(' ').replaceAll(/\r\n/gu, ' ')}\r\n`,
      );
    });
  }).listen(0, '127.0.0.1');
  await once(redis, 'listening');
});
afterAll(async () => {
  await backend.stop();
  await collector.stop();
  redis.close();
  await server.stop();
});

async function start(level: string): Promise<RunningProxy> {
  const { endpoint } = backend;
  const good = { endpoint, access_key: server.accessKey, secret_key: server.secretKey };
  const token_sources = [
    { type: 'bearer' },
    { type: 'header', name: 'X-Auth-Token' },
    // In which oauth2-proxy passes the provider's token on.
    { type: 'header', name: 'X-Forwarded-Access-Token' },
    { type: 'cookie', name: 'session' },
    { type: 'query', name: 'token' },
  ];
  const jwt = { secret: jwtSecret, token_sources };
  const one = {
    access_key: credential.accessKey,
    secret_key: credential.secretKey,
    subject: plant('subject of a key'),
  };
  const sigv4 = { credentials: [one] };
  const upload = { multipart_threshold: 5 * 1024 * 1024, part_size: 5 * 1024 * 1024, retry: { max_attempts: 1 } };
  const opa = { url: endpoint, policy_path: '/v1/data/a', token: secretsOfConfig.opa, cache_ttl_seconds: 0 };
  const openfga = { url: endpoint, store_id: '01JARCHVE00000000000000000', api_token: secretsOfConfig.openfga };
  const config = {
    redis: { url: `redis://user:${secretsOfConfig.redis}@127.0.0.1:${(redis.address() as AddressInfo).port}` },
    buckets: [
      { name: 'bearers', s3: { ...good, bucket: 'store' }, auth: { jwt: { secret: jwtSecret } } },
      { name: 'tokens', s3: { ...good, bucket: 'store' }, auth: { jwt }, upload },
      {
        name: 'ruled',
        s3: { ...good, bucket: 'store' },
        auth: { jwt: { ...jwt, claims: [{ claim: 'role', equals: 'admin' }] } },
      },
      { name: 'signed', s3: { ...good, bucket: 'store' }, auth: { sigv4 } },
      {
        name: 'sessions',
        s3: { ...good, bucket: 'store' },
        auth: { sigv4: { credentials: [{ ...one, session_token: sessionToken }] } },
      },
      { name: 'once', s3: { ...good, bucket: 'store' }, auth: { jwt, sigv4: { ...sigv4, reject_replays: true } } },
      { name: 'wrong-*', s3: { ...good, secret_key: secretsOfConfig.backend }, auth: { jwt }, upload },
      { name: 'stale-*', s3: { ...good, session_token: secretsOfConfig.backendToken }, auth: { jwt }, upload },
      { name: 'down-*', s3: { ...good, endpoint: `http://127.0.0.1:${await freePort()}` }, auth: { jwt }, upload },
      {
        name: 'keys',
        filesystem: { root: './data' },
        auth: {
          jwt: { algorithm: 'RS256', jwks_url: `${endpoint}/jwks?key=${secretsOfConfig.jwks}`, cooldown_seconds: 0.1 },
        },
      },
      { name: 'files', filesystem: { root: './data' }, auth: { jwt } },
      { name: 'asked', s3: { ...good, bucket: 'store' }, auth: { jwt }, authz: { fail_mode: 'open', opa, openfga } },
    ],
    logging: { level, format: 'json', keys: 'off', audit: { enabled: true, destination: './audit.log' } },
    tracing: {
      enabled: true,
      otlp: {
        endpoint: collector.endpoint,
        protocol: 'http/protobuf',
        compression: 'none',
        headers: { authorization: secretsOfConfig.collector },
      },
    },
  };
  return startProxy({ config });
}

/** Takes spans, as they come over the wire. */
interface Collector {
  readonly endpoint: string;
  takeReceived(): string;
  stop(): Promise<void>;
}

async function startCollector(): Promise<Collector> {
  const received: Buffer[] = [];
  const http = createHttpServer((request, response) => {
    request.on('data', (piece: Buffer) => received.push(piece));
    request.on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    takeReceived: () => Buffer.concat(received.splice(0)).toString('latin1'),
    async stop() {
      http.close();
      http.closeAllConnections();
    },
  };
}

const fields: Readonly<Record<string, string>> = {
  'content-type': `text/${plant('content type')}`,
  'content-disposition': `attachment; filename="${plant('file name')}"`,
  'x-amz-meta-note': metadata,
  'x-amz-tagging': `tag=${plant('tag')}`,
};
const sseKeyField = 'server-side-encryption-customer-key';
const sseFields: Readonly<Record<string, string>> = {
  'x-amz-server-side-encryption-customer-algorithm': 'AES256',
  [`x-amz-${sseKeyField}`]: sseKey.toString('base64'),
  'x-amz-server-side-encryption-customer-key-md5': 'AAAAAAAAAAAAAAAAAAAAAA==',
};
const completion = (etag: string): string =>
  `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part></CompleteMultipartUpload>`;

class Load {
  readonly answers: Answer[] = [];
  readonly #proxy: RunningProxy;
  constructor(proxy: RunningProxy) {
    this.#proxy = proxy;
  }

  async send(options: Partial<RequestOptions>): Promise<Answer> {
    const answer = await sendRequest({ url: this.#proxy.url, method: 'PUT', path: '/', body: 'x', ...options });
    this.answers.push(answer);
    return answer;
  }

  /** Every call of every operation. */
  async sendAll(bucket: string, headers: Readonly<Record<string, string>>, query = ''): Promise<void> {
    const more = query === '' ? '' : `&${query}`;
    const target = `/${bucket}/${key}`;
    const created = await this.send({
      method: 'POST',
      path: `${target}?uploads${more}`,
      headers: { ...headers, ...fields },
    });
    const uploadId = /<UploadId>(?<id>[^<]+)/u.exec(created.body)?.groups?.['id'] ?? 'none';
    const ofUpload = `${target}?uploadId=${uploadId}${more}`;
    await Promise.all([
      this.send({ path: `${target}?${query}`, headers: { ...headers, ...fields } }),
      this.send({ path: `${target}?${query}`, headers: { ...headers, ...sseFields } }),
      this.send({ path: `${target}?${query}`, headers: { ...headers, 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' } }),
      this.send({ path: `${ofUpload}&partNumber=1`, headers }),
      this.send({ method: 'GET', path: ofUpload, headers }),
      this.send({ method: 'POST', path: ofUpload, headers, body: completion(`"${metadata}"`) }),
      this.send({ path: `${target}?tagging${more}`, headers }),
      this.send({ path: `/${bucket}/../${key}?${query}`, headers }),
      this.send({ path: `/${bucket}/%zz${key}?${query}`, headers }),
      this.send({ method: 'GET', path: `${target}?${query}`, headers }),
    ]);
    await this.send({ method: 'DELETE', path: ofUpload, headers });
  }

  async sendSigned(path: string, more: Partial<RequestToSign> = {}, added: Record<string, string> = {}): Promise<void> {
    const { host } = new URL(this.#proxy.url);
    const { headers, body } = signS3Request({
      credential,
      method: 'PUT',
      host,
      path,
      body: Buffer.from('x'),
      mode: 'sha256',
      ...more,
    });
    this.noteSignature(headers['authorization']);
    const target = more.query === undefined ? path : `${path}?${more.query}`;
    await this.send({ path: target, headers: { ...headers, ...added }, body });
  }

  async sendPresigned(
    path: string,
    more: Partial<UrlToPresign> = {},
    added: Record<string, string> = {},
  ): Promise<void> {
    const { host } = new URL(this.#proxy.url);
    const url = presignS3Url({ credential, method: 'PUT', host, path, ...more });
    this.noteSignature(url);
    await this.send({ path: url, headers: { ...more.headers, ...added } });
  }

  noteSignature(text = ''): void {
    const signature = /Signature=(?<hex>[0-9a-f]{64})/u.exec(text)?.groups?.['hex'];
    if (signature !== undefined) planted.push(['signature', signature]);
  }

  /** A client that leaves in the middle of its body. */
  async leave(target: string, lines: readonly string[]): Promise<void> {
    const connection = await openRawConnection(this.#proxy.url);
    await connection.write(
      [`PUT ${target} HTTP/1.1`, 'Host: a', ...lines, 'Content-Length: 1000', '', 'some'].join('\r\n'),
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    connection.destroy(true);
  }
}

async function runLoad(proxy: RunningProxy): Promise<Load> {
  const load = new Load(proxy);
  const good = await plantToken('good token');
  const bad = [
    await plantToken('expired token', { exp: 1_600_000_000 }),
    await plantToken('forged token', {}, plant('secret of somebody else, 32 bytes at the least')),
    `${plant('token header')}.${plant('token payload')}.${plant('token signature')}`,
    plant('no token'),
  ];
  await sendByToken(load, good, bad);
  for (const bucket of ['signed', 'sessions', 'once', 'files']) await sendSigned(load, bucket, good);
  await meetFaults(load, good);

  await mkdir(path.join(proxy.folder, 'data/files', `blocked-${key}`), { recursive: true });
  await load.send({ path: `/files/blocked-${key}`, headers: { ...bearer(good), ...fields } });
  const targets = ['tokens', 'files', 'down-a'].map((bucket) => `/${bucket}/${key}`);
  await Promise.all([
    ...targets.map((target) => load.leave(`${target}?token=${good}`, [`X-Amz-Meta-Note: ${metadata}`])),
    ...targets.map((target) => load.leave(target, [`Authorization: Bearer ${good}`])),
    load.leave(`/tokens/${key}?token=${good}`, [`Authorization: Bearer ${good}`, `no colon ${metadata}`]),
  ]);
  await proxy.waitUntilIdle();
  return load;
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

async function sendByToken(load: Load, good: string, bad: readonly string[]): Promise<void> {
  const basic = Buffer.from(`user:${plant('password')}`).toString('base64');
  planted.push(['Basic credentials', basic.replace(/=+$/u, '')]);
  const buckets = ['tokens', 'wrong-a', 'stale-a', 'down-a', 'files', 'ruled', 'asked', 'nowhere'];
  await Promise.all([
    ...buckets.map((bucket) => load.sendAll(bucket, bearer(good))),
    load.sendAll('tokens', { 'x-auth-token': good }),
    load.sendAll('tokens', { 'x-forwarded-access-token': good }),
    load.sendAll('files', { 'x-forwarded-access-token': good }),
    load.sendAll('tokens', { cookie: `session=${good}; other=${plant('another cookie')}` }),
    load.sendAll('tokens', {}, `token=${good}`),
    load.sendAll('bearers', {}, `token=${good}&password=${plant('another parameter')}`),
    load.sendAll('tokens', { authorization: `Basic ${basic}` }),
  ]);
  for (const token of [good, ...bad]) {
    await Promise.all([
      ...['tokens', 'bearers', 'ruled', 'keys'].map((bucket) =>
        load.send({ path: `/${bucket}/${key}`, headers: bearer(token) }),
      ),
      load.send({ path: `/tokens/${key}?token=${token}` }),
      load.send({ path: `/bearers/${key}?token=${token}` }),
      load.send({ path: `/tokens/${key}`, headers: { 'x-auth-token': token } }),
      load.send({ path: `/tokens/${key}`, headers: { 'x-forwarded-access-token': token } }),
      load.send({ path: `/tokens/${key}`, headers: { cookie: `session=${token}` } }),
      load.send({ path: `/tokens/${key}`, headers: { authorization: `${token} ${token}` } }),
    ]);
  }
}

async function sendSigned(load: Load, bucket: string, token: string): Promise<void> {
  const target = `/${bucket}/${key}`;
  const session = { 'x-amz-security-token': sessionToken };
  const hoisted = Object.entries(sseFields).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const past = new Date(1_600_000_000_000);
  const wrong = { ...credential, secretKey: plant('wrong SigV4 secret') };
  for (const signer of [credential, wrong, { ...credential, accessKey: 'AKIDNOBODY' }]) {
    const by = { credential: signer };
    await Promise.all([
      load.sendSigned(target, { ...by, headers: { ...fields, ...sseFields } }),
      load.sendSigned(target, { ...by, headers: session }),
      load.sendSigned(target, { ...by, headers: { cookie: `session=${token}`, 'x-auth-token': token } }),
      load.sendSigned(target, { ...by, query: `token=${token}` }),
      load.sendSigned(target, { ...by, mode: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' }),
      load.sendSigned(target, { ...by, date: past }),
      load.sendSigned(target, by, { 'x-amz-meta-note': metadata, ...session }),
      load.sendPresigned(target, { ...by, query: [`x-amz-meta-note=${metadata}`] }),
      load.sendPresigned(target, { ...by, query: [`X-Amz-Security-Token=${sessionToken}`] }),
      load.sendPresigned(target, { ...by, query: hoisted }),
      load.sendPresigned(target, {
        ...by,
        query: [`x-amz-copy-source-${sseKeyField}=${plant('SSE-C key of a copy')}`],
      }),
      load.sendPresigned(target, { ...by, query: [`token=${token}`] }),
      load.sendPresigned(target, { ...by, date: past }, session),
    ]);
  }
  await load.sendPresigned(target, {}, bearer(token));
  await load.send({ path: target, headers: { authorization: `AWS4-HMAC-SHA256 ${plant('malformed authorization')}` } });
  await load.send({
    path: target,
    headers: { authorization: `AWS ${credential.accessKey}:${plant('old signature')}` },
  });
}

/** A backend whose refusals name the object, as those of Amazon S3 do. */
async function meetFaults(load: Load, token: string): Promise<void> {
  const resource = `arn:aws:s3:::store/${key}`;
  const told = `User: arn:aws:iam::1:user/a is not authorized to perform: s3:AbortMultipartUpload on resource: ${resource}`;
  const refusal = `<Error><Code>AccessDenied</Code><Message>${told}</Message><Resource>${key}</Resource></Error>`;
  const refuse = answerWith(403, { 'content-type': 'application/xml' }, refusal);
  const passOn = passOnTo(server);
  backend.setAnswer(refuse);
  await load.sendAll('tokens', bearer(token));
  // An upload that the proxy cuts into parts itself, and then may not give up.
  backend.setAnswer((request, response) => (request.method === 'POST' ? passOn : refuse)(request, response));
  await load.send({ path: `/tokens/${key}`, headers: bearer(token), body: [Buffer.alloc(6 * 1024 * 1024)] });
  const failed = `<Error><Code>InternalError</Code><Message>failed for /store/${key} of "${key}"</Message></Error>`;
  backend.setAnswer(answerWith(500, { 'content-type': 'application/xml' }, failed));
  await load.sendAll('tokens', bearer(token));
  backend.setAnswer((request) => request.socket.end(`what is ${String(request.url)}?\r\n\r\n`));
  await load.sendAll('tokens', bearer(token));
  backend.setAnswer(passOn);
}

describe.each(['trace', 'info'])('at level %s', (level) => {
  let proxy: RunningProxy;
  let load: Load;
  let logs: string;
  /** By where it was found. */
  let told: ReadonlyMap<string, string>;
  beforeAll(async () => {
    backend.seen.length = 0;
    redisTakesAll = true;
    proxy = await start(level);
    redisTakesAll = false;
    load = await runLoad(proxy);
    const metrics = await (await fetch(proxy.metricsUrl)).text();
    const audit = await readFile(path.join(proxy.folder, 'audit.log'), 'utf8');
    await proxy.stop();
    logs = proxy.logs();
    told = new Map([
      ['metrics', metrics],
      ['audit', audit],
      ['traces', collector.takeReceived()],
    ]);
  });

  test('the load is what it should be: good and bad, and failing everywhere', () => {
    const statuses = new Set(load.answers.map(({ status }) => status));
    for (const status of [200, 204, 400, 401, 403, 404, 405, 500, 501, 503]) expect([...statuses]).toContain(status);
    expect(logs).toContain('"status":500');
    expect(logs).toContain('"status":503');
    expect(logs.includes('a signature did not match')).toBe(level === 'trace');
  });

  test('no secret and nothing of the clients stands in any line', () => {
    const lines = logs.split('\n');
    // Whose purpose it is to show what was signed; only what is secret may not stand there.
    const isForComparison = (line: string): boolean => line.includes('"msg":"a signature did not match');
    const found = planted.flatMap(([what, text]) => {
      const mayCompare = /^(?:object key|content type|file name|tag)$/u.test(what);
      const line = lines.find((one) => one.includes(text) && !(mayCompare && isForComparison(one)));
      return line === undefined ? [] : [[what, line.slice(0, 600)]];
    });
    expect(found).toEqual([]);
  });

  test('nor in the audit log, the metrics or the traces', () => {
    expect(told.get('audit')).toContain('"operation":"PutObject"');
    expect(told.get('metrics')).toContain('# TYPE');
    expect(told.get('traces')).toContain('PutObject');
    const found = planted.flatMap(([what, text]) =>
      [...told].filter(([, all]) => all.includes(text)).map(([where]) => `${what} in ${where}`),
    );
    expect(found).toEqual([]);
  });

  test('no answer tells a secret of the configuration', () => {
    const all = JSON.stringify(load.answers);
    for (const secret of [jwtSecret, credential.secretKey, ...Object.values(secretsOfConfig)])
      expect(all).not.toContain(secret);
  });

  test('no credential of a client reaches the backend', () => {
    const heads = backend.seen.map(({ head }) => head).join('\n');
    expect(heads).toContain(metadata);
    const credentials = planted.filter(
      ([what]) =>
        /token|claim|subject|cookie|password|signature|another parameter/iu.test(what) &&
        what !== 'backend session token',
    );
    expect(credentials.length).toBeGreaterThan(50);
    expect(credentials.filter(([, text]) => heads.includes(text))).toEqual([]);
    expect(heads).not.toMatch(/^(?:cookie|x-auth-token|x-forwarded-access-token): /imu);
  });
});
