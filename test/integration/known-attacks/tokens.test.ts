// Forged, borrowed and confused tokens: each gets the refusal that no token gets, and nothing is stored.
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SignJWT, type JWTHeaderParameters } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { answerWith, startRecorder, type Recorder } from '../../support/recorder.ts';
import { sendRequest, type Answer } from '../../support/send-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from '../../support/start-proxy.ts';

const otherSecret = 'the-secret-of-another-bucket-and-issuer';
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pemOf = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();
const nowSeconds = (): number => Math.floor(Date.now() / 1000);

let proxy: RunningProxy;
/** Where keys lie that no token should be verified with. */
let trap: Recorder;
beforeAll(async () => {
  const jwk = { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'trap', alg: 'RS256' };
  trap = await startRecorder(answerWith(200, { 'content-type': 'application/json' }, JSON.stringify({ keys: [jwk] })));
  const buckets = {
    plain: { secret: jwtSecret },
    other: { secret: otherSecret },
    exact: { secret: jwtSecret, clock_skew_seconds: 0 },
    issued: { secret: jwtSecret, issuer: 'https://login.example', audience: 'uploads' },
    listed: { secret: jwtSecret, audience: ['uploads', 'archive'] },
    rsa: { algorithm: 'RS256', public_key: pemOf(rsa.publicKey) },
    'rsa-pss': { algorithms: ['PS256'], public_key: pemOf(rsa.publicKey) },
    p256: { algorithm: 'ES256', public_key: pemOf(ec.publicKey) },
  };
  proxy = await startProxy({
    config: {
      buckets: Object.entries(buckets).map(([name, jwt]) => ({
        name,
        filesystem: { root: './data' },
        auth: { jwt },
      })),
    },
  });
});
afterAll(async () => {
  await proxy.stop();
  await trap.stop();
});

function put(
  bucket: string,
  token: string | undefined,
  key = 'taken',
  more: Record<string, string> = {},
): Promise<Answer> {
  const headers = token === undefined ? more : { authorization: `Bearer ${token}`, ...more };
  return sendRequest({ url: proxy.url, method: 'PUT', path: `/${bucket}/${key}`, headers, body: 'x' });
}

const messageOf = ({ body }: Answer): string | undefined =>
  /<Code>Unauthorized<\/Code><Message>(?<message>[^<]+)</u.exec(body)?.groups?.['message'];

/** By status, code and message no different from a request without a token. */
async function seeRefused(bucket: string, token: string): Promise<void> {
  const [answer, without] = await Promise.all([put(bucket, token, 'forged'), put(bucket, undefined, 'forged')]);
  expect([token, answer.status, messageOf(answer)]).toEqual([token, without.status, messageOf(without)]);
  expect([without.status, messageOf(without)]).toEqual([401, 'A valid bearer token is required.']);
  // RFC 6750, section 3.1: only who has sent a token is told that there is something wrong with it.
  expect(without.headers['www-authenticate']).toBe('Bearer realm="mizuchi"');
  expect(answer.headers['www-authenticate']).toBe('Bearer realm="mizuchi", error="invalid_token"');
}

afterEach(async () => {
  const files = await readdir(path.join(proxy.folder, 'data'), { recursive: true });
  expect(files.filter((file) => file.includes('forged'))).toEqual([]);
});

const encode = (value: object | string): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const claims = { sub: 'mallory', exp: nowSeconds() + 3600 };

/** Not by the library, which refuses to make most of these. */
function signByHand(header: object, secret: string | Uint8Array, payload: object = claims): string {
  const signed = `${encode(header)}.${encode(payload)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
const signBy = (key: KeyObject, header: JWTHeaderParameters): Promise<string> =>
  new SignJWT(claims).setProtectedHeader(header).sign(key);

describe('algorithm confusion', () => {
  const kinds = [
    ['rsa', 'RS256', rsa],
    ['rsa-pss', 'PS256', rsa],
    ['p256', 'ES256', ec],
  ] as const;

  test.each(kinds)('the key of bucket %s takes what its owner signs with %s', async (bucket, alg, { privateKey }) => {
    expect((await put(bucket, await signBy(privateKey, { alg }))).status).toBe(200);
  });

  test.each(kinds)('%s: its public key is no secret of HMAC, in whatever form', async (bucket, _, { publicKey }) => {
    const pem = pemOf(publicKey);
    const forms = [
      pem,
      pem.trim(),
      pem.replaceAll('\n', '\r\n'),
      pem.split('\n').slice(1, -2).join(''),
      publicKey.export({ type: 'spki', format: 'der' }),
      JSON.stringify(publicKey.export({ format: 'jwk' })),
      '',
    ];
    for (const form of forms) await seeRefused(bucket, signByHand({ alg: 'HS256' }, form));
  });

  test.each([...kinds.map(([bucket]) => bucket), 'plain'])('%s: no algorithm at all', async (bucket) => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', 'HS1', 'hs256']) {
      const unsigned = `${encode({ alg })}.${encode(claims)}.`;
      for (const signature of ['', 'AA', encode('none')]) await seeRefused(bucket, unsigned + signature);
      await seeRefused(bucket, signByHand({ alg }, jwtSecret));
    }
    await seeRefused(bucket, signByHand({ typ: 'JWT' }, jwtSecret));
    await seeRefused(bucket, signByHand({ alg: ['HS256'] }, jwtSecret));
  });

  test('another algorithm of the same key', async () => {
    for (const alg of ['RS384', 'RS512', 'PS256']) await seeRefused('rsa', await signBy(rsa.privateKey, { alg }));
    await seeRefused('rsa-pss', await signBy(rsa.privateKey, { alg: 'RS256' }));
    const signed = `${encode({ alg: 'HS512' })}.${encode(claims)}`;
    await seeRefused('plain', `${signed}.${createHmac('sha512', jwtSecret).update(signed).digest('base64url')}`);
  });

  test('a signature of zeros', async () => {
    const signed = `${encode({ alg: 'ES256' })}.${encode(claims)}`;
    await seeRefused('p256', `${signed}.${Buffer.alloc(64).toString('base64url')}`);
    await seeRefused('rsa', `${encode({ alg: 'RS256' })}.${encode(claims)}.${Buffer.alloc(256).toString('base64url')}`);
  });
});

describe('what a token says of its own key', () => {
  const mallory = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = mallory.publicKey.export({ format: 'jwk' }) as JWTHeaderParameters['jwk'] & object;

  test('a key, or the address of one, is not looked at', async () => {
    const headers: JWTHeaderParameters[] = [
      { alg: 'RS256', jwk },
      { alg: 'RS256', jwk, kid: 'mallory' },
      { alg: 'RS256', jku: `${trap.endpoint}/jwks`, kid: 'trap' },
      { alg: 'RS256', x5u: `${trap.endpoint}/cert` },
      { alg: 'RS256', x5c: [mallory.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')] },
    ];
    for (const header of headers) await seeRefused('rsa', await signBy(mallory.privateKey, header));
    const symmetric = { alg: 'HS256', jwk: { kty: 'oct', k: encode('known') } };
    for (const bucket of ['plain', 'rsa']) await seeRefused(bucket, signByHand(symmetric, 'known'));
    expect(trap.seen).toEqual([]);
  });

  test('a name of a key is a name, and leads nowhere', async () => {
    const names = [
      '../../../../dev/null',
      '/dev/null',
      "' UNION SELECT 'known' --",
      '| cat /etc/passwd',
      '\0',
      '__proto__',
    ];
    for (const kid of [...names, `${trap.endpoint}/jwks`]) {
      for (const secret of ['', 'known', '\0']) {
        await seeRefused('plain', signByHand({ alg: 'HS256', kid }, secret));
        await seeRefused('rsa', signByHand({ alg: 'RS256', kid }, secret));
      }
    }
    expect(trap.seen).toEqual([]);
  });

  test('what must be understood, and is not, is refused, though the signature is right', async () => {
    const headers = [
      { alg: 'HS256', crit: ['exp'] },
      { alg: 'HS256', crit: ['mallory'], mallory: true },
      { alg: 'HS256', crit: ['b64'], b64: false },
      { alg: 'HS256', b64: false },
      { alg: 'HS256', crit: [] },
      { alg: 'HS256', crit: 'b64', b64: true },
    ];
    for (const header of headers) await seeRefused('plain', signByHand(header, jwtSecret));
  });
});

describe('caches', () => {
  test('a token that differs in one bit from one that is known is not known', async () => {
    const token = await createToken();
    const [header = '', payload = '', signature = ''] = token.split('.');
    for (let turn = 0; turn < 3; turn++) expect((await put('plain', token)).status).toBe(200);
    const flip = (text: string, at: number, bit: number): string =>
      text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << bit)) + text.slice(at + 1);
    const spoilt: string[] = [];
    // Not the last character of the signature: some of its bits belong to no byte.
    for (let at = 0; at < token.length - 1; at++) spoilt.push(flip(token, at, at % 5));
    const wellFormed = spoilt.filter((one) => /^[\w.-]+$/u.test(one));
    expect(wellFormed.length).toBeGreaterThan(100);
    const answers = await Promise.all(wellFormed.map((one) => put('plain', one, 'forged')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));

    // The same claims once more, and by nobody who may make them.
    await seeRefused(
      'plain',
      signByHand({ alg: 'HS256' }, otherSecret, JSON.parse(String(Buffer.from(payload, 'base64url'))) as object),
    );
    await seeRefused('plain', `${header}.${payload}.${'A'.repeat(signature.length)}`);
    await seeRefused('plain', `${header}.${payload}`);
    await seeRefused('plain', `${header}.${payload}.${signature}.${signature}`);
    await seeRefused('plain', `${header}.${payload}.${signature}=`);
    expect((await put('plain', token)).status).toBe(200);
  });

  test('what one bucket knows is nothing to another', async () => {
    const ofPlain = await createToken();
    const ofOther = await createToken({}, otherSecret);
    const ofIssued = await createToken({ iss: 'https://login.example', aud: 'uploads' });
    for (let turn = 0; turn < 3; turn++) {
      expect((await put('plain', ofPlain)).status).toBe(200);
      expect((await put('other', ofOther)).status).toBe(200);
      expect((await put('issued', ofIssued)).status).toBe(200);
      await seeRefused('other', ofPlain);
      await seeRefused('plain', ofOther);
      await seeRefused('issued', ofPlain);
      await seeRefused('listed', ofPlain);
      await seeRefused('rsa', ofPlain);
    }
  });

  test('a refusal is not kept for a token that is right, nor a token beyond its time', async () => {
    const brief = await createToken({ exp: nowSeconds() + 3 });
    await Promise.all(Array.from({ length: 20 }, () => put('exact', `${brief}x`, 'forged')));
    expect((await put('exact', brief)).status).toBe(200);
    await delay(4000);
    await seeRefused('exact', brief);
  });
});

describe('issuer and audience', () => {
  const iss = 'https://login.example';
  test.each<readonly [string, object]>([
    ['neither', {}],
    ['no issuer', { aud: 'uploads' }],
    ['no audience', { iss }],
    ['another issuer', { iss: 'https://login.example.evil', aud: 'uploads' }],
    ['an issuer with a slash more', { iss: `${iss}/`, aud: 'uploads' }],
    ['an issuer in other letters', { iss: iss.toUpperCase(), aud: 'uploads' }],
    ['a list of issuers', { iss: [iss], aud: 'uploads' }],
    ['no text for an issuer', { iss: { toString: iss }, aud: 'uploads' }],
    ['another audience', { iss, aud: 'downloads' }],
    ['a longer audience', { iss, aud: 'uploads-admin' }],
    ['other audiences', { iss, aud: ['downloads', 'upload', 'uploads '] }],
    ['an empty list of audiences', { iss, aud: [] }],
    ['an audience in a list in a list', { iss, aud: [['uploads']] }],
    ['an audience as a key', { iss, aud: { uploads: true } }],
  ])('%s', async (_, more) => {
    await seeRefused('issued', signByHand({ alg: 'HS256' }, jwtSecret, { ...claims, ...more }));
  });

  test('are taken as they should be', async () => {
    for (const aud of ['uploads', ['uploads'], ['downloads', 'uploads']]) {
      const token = signByHand({ alg: 'HS256' }, jwtSecret, { ...claims, iss, aud });
      expect((await put('issued', token)).status).toBe(200);
      expect((await put('listed', token)).status).toBe(200);
    }
    const archive = signByHand({ alg: 'HS256' }, jwtSecret, { ...claims, iss, aud: 'archive' });
    expect((await put('listed', archive)).status).toBe(200);
    await seeRefused('issued', archive);
    await seeRefused('listed', signByHand({ alg: 'HS256' }, jwtSecret, { ...claims, aud: 'uploads,archive' }));
  });
});

test('a token where nobody has said that tokens are: it is not looked at', async () => {
  const token = await createToken();
  const elsewhere: readonly (readonly [key: string, headers: Record<string, string>])[] = [
    [`forged?token=${token}`, {}],
    [`forged?access_token=${token}`, {}],
    [`forged?jwt=${token}&authorization=Bearer%20${token}`, {}],
    ['forged', { cookie: `token=${token}; access_token=${token}` }],
    ['forged', { 'x-auth-token': token, 'x-access-token': token, 'proxy-authorization': `Bearer ${token}` }],
    ['forged', { authorization: `Basic ${Buffer.from(`bearer:${token}`).toString('base64')}` }],
    ['forged', { authorization: token }],
    ['forged', { authorization: `Token ${token}` }],
    ['forged', { authorization: `JWT ${token}` }],
  ];
  for (const [key, headers] of elsewhere) {
    const answer = await put('plain', undefined, key, headers);
    expect([headers, answer.status, answer.headers['www-authenticate']]).toEqual([
      headers,
      401,
      'Bearer realm="mizuchi"',
    ]);
  }
  expect((await put('plain', await createToken({}, otherSecret), `forged?token=${token}`)).status).toBe(401);
});
