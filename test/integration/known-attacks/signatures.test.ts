// Signatures that are used for what they do not sign, used again, or come with a second credential: nothing is stored.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { answeredCode } from '../../support/answered-code.ts';
import { alice, jwt, sigv4, startAttackedBuckets, type AttackedBuckets } from '../../support/attacked-buckets.ts';
import { openRawConnection, type RawAnswer } from '../../support/raw-connection.ts';
import { sendRequest, type Answer } from '../../support/send-request.ts';
import { presignS3Url, signS3Request, type RequestToSign, type UrlToPresign } from '../../support/sign-s3-request.ts';
import { signedByHeader } from '../../support/sigv4.ts';
import { createToken } from '../../support/start-proxy.ts';

let buckets: AttackedBuckets;
let host: string;
let bearer: string;
beforeAll(async () => {
  const token_sources = [
    { type: 'bearer' },
    { type: 'header', name: 'X-Auth-Token' },
    { type: 'cookie', name: 'session' },
    { type: 'query', name: 'token' },
  ];
  buckets = await startAttackedBuckets({
    more: (s3) => {
      const store = { ...s3, bucket: 'store-of-mixed' };
      return [
        { name: 'anywhere', s3: store, auth: { jwt: { ...jwt, token_sources }, sigv4 } },
        { name: 'visited', s3: store, auth: { jwt: { ...jwt, token_sources } } },
        { name: 'twin', s3: store, auth: { sigv4: { ...sigv4, secret_key: 'another-secret-for-the-same-key' } } },
        { name: 'once', s3: store, auth: { sigv4: { ...sigv4, reject_replays: true } } },
        { name: 'team-*', s3: store, auth: { sigv4 } },
      ];
    },
  });
  host = new URL(buckets.proxy.url).host;
  bearer = `Bearer ${await createToken()}`;
});
afterAll(() => buckets.stop());

/** Refusals reach nobody; what a test takes rightly it removes. */
afterEach(async () => {
  for (const stored of Object.values(buckets.stored)) expect(await stored.listKeys()).toEqual([]);
});

type Fields = Readonly<Record<string, string>>;

const sign = (path: string, more: Partial<RequestToSign> = {}): Fields =>
  signS3Request({ credential: alice, method: 'PUT', host, path, body: Buffer.from('x'), mode: 'sha256', ...more })
    .headers;
const presign = (path: string, more: Partial<UrlToPresign> = {}): string =>
  presignS3Url({ credential: alice, method: 'PUT', host, path, ...more });
const send = (path: string, headers: Fields = {}, method = 'PUT'): Promise<Answer> =>
  sendRequest({ url: buckets.proxy.url, method, path, headers, body: 'x' });

async function sendRaw(target: string, fields: readonly string[]): Promise<RawAnswer> {
  const connection = await openRawConnection(buckets.proxy.url);
  await connection.write(`${[`PUT ${target} HTTP/1.1`, ...fields, 'Content-Length: 1'].join('\r\n')}\r\n\r\nx`);
  const answer = await connection.readAnswer();
  connection.destroy();
  return answer;
}

/** Right by itself: what a test changes is what is refused. */
async function seeTaken(path: string, headers: Fields = {}): Promise<void> {
  expect((await send(path, headers)).status).toBe(200);
  const views = Object.values(buckets.stored);
  await Promise.all(views.map(async (view) => view.deleteObjects(await view.listKeys())));
  buckets.takeAsked();
}

describe('two credentials', () => {
  const path = '/anywhere/key';

  test('in one request: neither counts', async () => {
    const signed = sign(path);
    const [, token = ''] = bearer.split(' ');
    await seeTaken(path, signed);
    await seeTaken(presign(path));
    for (const given of [{ authorization: bearer }, { 'x-auth-token': token }, { cookie: `session=${token}` }])
      await seeTaken(path, given);
    await seeTaken(`${path}?token=${token}`);

    const answers = await Promise.all([
      send(presign(path), { authorization: bearer }),
      send(presign(path), { authorization: signed['authorization'] ?? '' }),
      send(presign(path), signed),
      send(presign(path), { 'x-auth-token': token }),
      send(presign(path), { cookie: `session=${token}` }),
      send(presign(path, { query: [`token=${token}`] })),
      send(path, { ...signed, 'x-auth-token': token }),
      send(path, { ...signed, cookie: `a=b; session=${token}` }),
      send(`${path}?token=${token}`, sign(path, { query: `token=${token}` })),
      // One of two that is wrong, or empty, is one of two all the same.
      send(presign(path), { authorization: 'Bearer ' }),
      send(path, { ...signed, 'x-auth-token': '' }),
    ]);
    expect(answers.map((answer) => `${answer.status} ${answeredCode(answer)}`)).toEqual(
      answers.map(() => '400 InvalidArgument'),
    );
    expect(buckets.takeAsked()).toEqual([]);
  });

  test('in two Authorization fields: refused in either order', async () => {
    const signed = sign(path);
    const signature = `Authorization: ${signed['authorization']}`;
    const token = `Authorization: ${bearer}`;
    const others = ['x-amz-date', 'x-amz-content-sha256'].map((name) => `${name}: ${signed[name]}`);
    const [half = '', ...halves] = signature.split(', ');
    const pairs = [
      [signature, signature],
      [token, token],
      [signature, token],
      [token, signature],
      [token, 'Authorization: Bearer '],
      ['Authorization: Bearer ', token],
      ['Authorization: Basic YTpi', signature],
      ['Authorization: Basic YTpi', token],
      [token, 'authorization: Basic YTpi'],
      [half, `Authorization: ${halves.join(', ')}`],
    ];
    for (const pair of pairs) {
      const { status } = await sendRaw(path, [`Host: ${host}`, ...pair, ...others]);
      expect([pair, status]).toEqual([pair, status === 400 ? 400 : 401]);
    }
    expect(buckets.takeAsked()).toEqual([]);
  });
});

test('a credential of a kind that the bucket does not take is none', async () => {
  expect((await buckets.send('token', { method: 'PUT', path: '/signed/key' })).status).toBe(403);
  for (const credential of ['header', 'url'] as const) {
    const answer = await buckets.send(credential, { method: 'PUT', path: '/tokens/key' });
    expect([answer.status, answeredCode(answer)]).toEqual([401, 'Unauthorized']);
  }
  // Nor does it stand in the way of one that the bucket takes.
  const cookie = `session=${bearer.slice('Bearer '.length)}`;
  for (const authorization of ['Basic YTpi', sign('/visited/key')['authorization'] ?? '']) {
    await seeTaken('/visited/key', { cookie, authorization });
  }
  await seeTaken('/anywhere/key', { cookie, authorization: 'Basic YTpi' });
  for (const path of ['/tokens/key', '/mixed/key', '/signed/key']) {
    const { status, headers } = await send(path);
    expect([path, status]).toEqual([path, path === '/signed/key' ? 403 : 401]);
    expect(headers['www-authenticate']).toBe(status === 401 ? 'Bearer realm="mizuchi"' : undefined);
  }
  expect(buckets.takeAsked()).toEqual([]);
});

describe('the host', () => {
  test('given twice: refused, whichever is signed', async () => {
    const path = '/signed/key';
    const fields = Object.entries(sign(path)).flatMap(([name, value]) =>
      name === 'host' || name === 'content-length' ? [] : [`${name}: ${value}`],
    );
    const own = `Host: ${host}`;
    expect((await sendRaw(path, [own, ...fields])).status).toBe(200);
    await buckets.stored.signed.deleteObjects(['key']);
    buckets.takeAsked();
    for (const hosts of [
      [own, own],
      [own, 'Host: evil.example'],
      ['Host: evil.example', own],
      [own, 'host: evil.example'],
      [],
    ]) {
      expect((await sendRaw(path, [...hosts, ...fields])).status).toBe(400);
      expect((await sendRaw(presign(path), hosts)).status).toBe(400);
    }
    expect(buckets.takeAsked()).toEqual([]);
  });

  test('is not what a peer says that nobody trusts', async () => {
    const path = '/signed/key';
    const claims = ['x-forwarded-host', 'forwarded', 'x-host', 'x-original-host', 'x-http-host-override'];
    for (const name of claims) {
      const claim = { [name]: name === 'forwarded' ? 'host=files.example' : 'files.example' };
      const there = { host: 'files.example' };
      expect(answeredCode(await send(path, { ...sign(path, there), host, ...claim }))).toBe('SignatureDoesNotMatch');
      expect(answeredCode(await send(presign(path, there), claim))).toBe('SignatureDoesNotMatch');
      await seeTaken(path, { ...sign(path), ...claim });
    }
  });
});

describe('a signature', () => {
  test.each([
    ['/signed/key', '/mixed/key'],
    ['/signed/key', '/anywhere/key'],
    ['/team-a/key', '/team-b/key'],
    ['/signed/key', '/signed/key/'],
    ['/signed/key', '/signed/Key'],
    ['/signed/a%2Fb', '/signed/a/b'],
  ])('for %s is none for %s', async (path, other) => {
    await seeTaken(path, sign(path));
    await seeTaken(presign(path));
    expect(answeredCode(await send(other, sign(path)))).toBe('SignatureDoesNotMatch');
    expect(answeredCode(await send(presign(path).replace(path, other)))).toBe('SignatureDoesNotMatch');
    expect(buckets.takeAsked()).toEqual([]);
  });

  test('by a key that another bucket knows by another secret', async () => {
    const path = '/twin/key';
    const credential = { ...alice, secretKey: 'another-secret-for-the-same-key' };
    await seeTaken('/signed/key', sign('/signed/key'));
    await seeTaken(path, sign(path, { credential }));
    for (const headers of [sign(path), sign('/signed/key')]) {
      expect(answeredCode(await send(path, headers))).toBe('SignatureDoesNotMatch');
    }
    expect(answeredCode(await send('/signed/key', sign('/signed/key', { credential })))).toBe('SignatureDoesNotMatch');
  });

  test('does not cover header fields that it does not name', async () => {
    const path = '/signed/key';
    const unsigned = [
      'x-amz-meta-owner',
      'x-amz-tagging',
      'x-amz-storage-class',
      'x-amz-server-side-encryption',
      'x-amz-object-lock-mode',
      'x-amz-copy-source',
      'x-amz-acl',
      'X-Amz-Website-Redirect-Location',
    ];
    for (const name of unsigned) {
      for (const answer of [
        await send(path, { ...sign(path), [name]: 'a' }),
        await send(presign(path), { [name]: 'a' }),
      ]) {
        const isScreened = name === 'x-amz-copy-source' || name === 'x-amz-acl';
        expect([name, answeredCode(answer)]).toEqual([name, isScreened ? expect.any(String) : 'AccessDenied']);
        expect(answer.status).toBeGreaterThanOrEqual(400);
      }
    }
    // The host is a field like these: a signature without it would be good for any.
    const signedHeaders = ['x-amz-content-sha256', 'x-amz-date'];
    const timestamp = `${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/gu, '')}Z`;
    const scope = `${timestamp.slice(0, 8)}/us-east-1/s3/aws4_request`;
    const hostless = signedByHeader({ ...alice, rawPath: path, timestamp, scope, signedHeaders });
    expect(answeredCode(await send(path, { ...Object.fromEntries(hostless.headers), host }))).toBe('AccessDenied');
    // One that is signed, and comes a second time.
    const headers = sign(path, { headers: { 'x-amz-meta-owner': 'alice' } });
    const fields = Object.entries(headers).flatMap(([name, value]) =>
      name === 'content-length' ? [] : [`${name}: ${value}`],
    );
    expect((await sendRaw(path, [...fields, 'x-amz-meta-owner: mallory'])).status).toBe(403);
    expect(buckets.takeAsked()).toEqual([]);
  });
});

test('a presigned PUT is good for nothing else', async () => {
  const path = '/signed/key';
  const url = presign(path);
  const [, query = ''] = url.split('?');
  await seeTaken(url);
  const replaced = (pattern: RegExp, by: string): string => url.replace(pattern, by);
  const uses: readonly (readonly [method: string, path: string])[] = [
    ['POST', `${url}&uploads=`],
    ['POST', `${url}&uploadId=x`],
    ['DELETE', `${url}&uploadId=x`],
    ['GET', `${url}&uploadId=x`],
    ['GET', `${path.slice(0, -4)}?location&${query}`],
    ['HEAD', `${path.slice(0, -4)}?${query}`],
    ['PUT', `${url}&partNumber=1&uploadId=x`],
    ['PUT', `${url}&x-amz-meta-owner=mallory`],
    ['PUT', `${url}&x-amz-tagging=a%3Db`],
    ['PUT', `${url}&x-id=PutObject`],
    ['PUT', `${url}&unknown=1`],
    ['PUT', `/signed/other?${query}`],
    ['PUT', `/signed/key%20?${query}`],
    ['PUT', replaced(/Expires=300/u, 'Expires=604800')],
    ['PUT', replaced(/Date=(\d{8})T\d{6}Z/u, 'Date=$1T000000Z')],
    ['PUT', replaced(/AKIDALICE/u, 'AKIDBOB')],
    ['PUT', replaced(/us-east-1/u, 'eu-west-1')],
    ['PUT', replaced(/SignedHeaders=host/u, 'SignedHeaders=')],
    ['PUT', replaced(/SignedHeaders=host/u, 'SignedHeaders=date%3Bhost')],
    ['PUT', url.endsWith('0') ? url.replace(/0$/u, '1') : url.replace(/.$/u, '0')],
    ['PUT', replaced(/X-Amz-Signature=.*/u, 'X-Amz-Signature=')],
    ['PUT', replaced(/&X-Amz-Signature=.*/u, '')],
    ['PUT', `${url}&X-Amz-Expires=604800`],
    ['PUT', `${url}&x-amz-expires=604800`],
    ['PUT', `${url}&X-Amz-Security-Token=any`],
    ['PUT', replaced(/X-Amz-/gu, 'x-amz-')],
  ];
  for (const [method, target] of uses) {
    const { status } = await send(target, {}, method);
    expect([method, target, status]).toEqual([method, target, status >= 400 && status < 500 ? status : '4xx']);
  }
  // A signature of one operation of an upload is none for another.
  const part = presign(path, { query: ['partNumber=1', 'uploadId=x'] });
  for (const target of [part.replace('partNumber=1', 'partNumber=2'), part.replace('uploadId=x', 'uploadId=y')]) {
    expect(answeredCode(await send(target))).toBe('SignatureDoesNotMatch');
  }
  for (const method of ['POST', 'DELETE', 'GET']) {
    const ofUpload = presign(path, { query: ['uploadId=x'], method: method === 'POST' ? 'DELETE' : 'POST' });
    expect((await send(ofUpload, {}, method)).status).toBe(403);
  }
  expect(buckets.takeAsked()).toEqual([]);
});

describe('a signature that is good for one use', () => {
  const path = '/once/key';
  const uses: readonly (readonly [string, () => (body: string) => Promise<Answer>])[] = [
    [
      'in the header',
      () => {
        const headers = sign(path, { mode: 'UNSIGNED-PAYLOAD' });
        return (body) =>
          sendRequest({
            url: buckets.proxy.url,
            method: 'PUT',
            path,
            headers: { ...headers, 'content-length': String(body.length) },
            body,
          });
      },
    ],
    [
      'in the URL',
      () => {
        const url = presign(path);
        return (body) => sendRequest({ url: buckets.proxy.url, method: 'PUT', path: url, body });
      },
    ],
  ];

  test.each(uses)('%s: of many at the same time one wins, and the others store nothing', async (_, create) => {
    const use = create();
    const bodies = Array.from({ length: 20 }, (_unused, index) => `body of use ${index}`);
    const answers = await Promise.all(bodies.map((body) => use(body)));
    const winners = answers.flatMap(({ status }, index) => (status === 200 ? [bodies[index]] : []));
    expect(winners).toHaveLength(1);
    const losers = answers.filter(({ status }) => status !== 200);
    expect(losers.map((answer) => `${answer.status} ${answeredCode(answer)}`)).toEqual(
      losers.map(() => '403 AccessDenied'),
    );
    expect(buckets.takeAsked()).toHaveLength(1);
    expect((await use('later')).status).toBe(403);
    expect(String(await buckets.stored.mixed.readBytes('key'))).toBe(winners[0]);
    expect(buckets.takeAsked().filter(({ method }) => method !== 'GET')).toEqual([]);
    await buckets.stored.mixed.deleteObjects(['key']);
  });

  test('is not used up by somebody who has not got it', async () => {
    const headers = sign(path);
    const [, signature = ''] = /Signature=(?<hex>\w+)/u.exec(headers['authorization'] ?? '') ?? [];
    const forged = headers['authorization']?.replace('Credential=AKIDALICE', 'Credential=AKIDMALLORY') ?? '';
    expect(answeredCode(await send(path, { ...headers, authorization: forged }))).toBe('InvalidAccessKeyId');
    expect(answeredCode(await send('/once/other', headers))).toBe('SignatureDoesNotMatch');
    expect(answeredCode(await send(presign(path).replace(/Signature=\w+/u, `Signature=${signature}`)))).toBe(
      'SignatureDoesNotMatch',
    );
    buckets.takeAsked();
    await seeTaken(path, headers);
    expect(answeredCode(await send(path, headers))).toBe('AccessDenied');
    // Another spelling of the same signature is no other signature.
    const upper = headers['authorization']?.replace(signature, signature.toUpperCase()) ?? '';
    expect((await send(path, { ...headers, authorization: upper })).status).toBe(403);
    expect(
      (await send(path, { ...headers, authorization: headers['authorization']?.replaceAll(', ', ',') ?? '' })).status,
    ).toBe(403);
    expect(buckets.takeAsked()).toEqual([]);
  });
});
