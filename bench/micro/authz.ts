// Authorization: a decision that is remembered, by the kind of its sender, and the text that a question to OPA is.
import type { JwtPrincipal, Principal } from '../../src/auth/principal.ts';
import type { Authorizer, Question } from '../../src/authz/authorizer.ts';
import { cacheDecisions, type CachedAuthorizer } from '../../src/authz/cached-authorizer.ts';
import { breakCircuit } from '../../src/authz/circuit-breaker.ts';
import { writeInput } from '../../src/authz/opa.ts';
import { createOpenFgaAuthorizer } from '../../src/authz/openfga.ts';
import type { MicroBenchmark } from '../micro.ts';

const expiresAtMs = Date.now() + 86_400_000;

function tokenWith(claims: Readonly<Record<string, unknown>>): JwtPrincipal {
  return Object.freeze({
    kind: 'jwt',
    subject: 'alice',
    claims: Object.freeze({ sub: 'alice', ...claims }),
    expiresAtMs,
  });
}

const small = tokenWith({ iss: 'https://login.example.com', aud: 'uploads', scope: 'openid upload', iat: 1, exp: 2 });
const large = tokenWith({ groups: Array.from({ length: 200 }, (_, index) => `group-of-some-length-${index}`) });
const metadata = Object.freeze({});

/** As a request makes it: all of it new but the principal of a token. */
const questionOf = (principal: Principal, partNumber: number): Question => ({
  principal,
  action: 'upload',
  resource: { bucket: 'uploads', key: 'some/folder/with/a/file-of-a-usual-name.bin', backendBucket: 'backend-bucket' },
  context: {
    operation: 'UploadPart',
    method: 'PUT',
    clientIp: '192.0.2.1',
    contentLength: 16_777_216,
    contentType: 'application/octet-stream',
    userAgent: 'aws-sdk-js/3.1169.0 ua/2.1 os/linux lang/js md/nodejs#22.23.3 api/s3#3.1169.0',
    uploadId: 'ZDI4NTk2YzYtYjA5Mi00ZWNjLWE3NjQtMmRlMzQ4',
    partNumber,
    metadata,
  },
});
const signed = (): Principal => ({ kind: 'sigv4', subject: 'alice', accessKeyId: 'AKIDALICE', expiresAtMs });

const engine: Authorizer = {
  engine: 'none',
  authorize: () => Promise.resolve({ allow: true }),
  checkReady: () => Promise.resolve(),
  close: () => Promise.resolve(),
};
const times = { cacheTtlMs: 3_600_000, denyCacheTtlMs: 5000, cacheMaxEntries: 1000 };
const cached = cacheDecisions(breakCircuit(engine), times);
const uncached = cacheDecisions(breakCircuit(engine), { ...times, cacheTtlMs: 0 });

const forAll = <T>(value: T) => ({ upload: value, abort: value, list_parts: value });

function remembersByOpenFga(...objects: readonly string[]): CachedAuthorizer {
  const openfga = createOpenFgaAuthorizer({
    ...times,
    url: 'http://127.0.0.1:9',
    storeId: '01JARCHVE00000000000000000',
    modelId: undefined,
    credentials: undefined,
    timeoutMs: 5000,
    user: forAll('user:{sub}'),
    relation: forAll(['writer']),
    object: forAll(objects),
    contextualTuples: [],
    consistency: 'MINIMIZE_LATENCY',
  });
  return cacheDecisions(breakCircuit(engine), { ...times, identify: openfga.identify });
}
const byBucket = remembersByOpenFga('bucket:{bucket}');
const byFolders = remembersByOpenFga('bucket:{bucket}', 'folder:{key.ancestors}');

let part = 0;
const ask = (authorizer: CachedAuthorizer, principal: Principal) =>
  authorizer.authorize(questionOf(principal, ++part % 10_000));

export const benchmarks: readonly MicroBenchmark[] = [
  { name: 'remembered: a token of six claims', call: () => ask(cached, small) },
  { name: 'remembered: a token of two hundred groups (5 KB)', call: () => ask(cached, large) },
  { name: 'remembered: a signature', call: () => ask(cached, signed()) },
  { name: 'remembered by what OpenFGA is asked: a bucket', call: () => ask(byBucket, small) },
  { name: 'remembered by what OpenFGA is asked: a bucket and four folders', call: () => ask(byFolders, small) },
  { name: 'not remembered, the engine itself left out', call: () => ask(uncached, small) },
  { name: 'the input of OPA: a token of six claims', call: () => writeInput(questionOf(small, 1), new Date()) },
  { name: 'the input of OPA: a token of two hundred groups', call: () => writeInput(questionOf(large, 1), new Date()) },
];
