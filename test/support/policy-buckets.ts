// Buckets with upload policies behind one proxy, on a real S3 server or in a folder, and senders of several names.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { XMLParser } from 'fast-xml-parser';
import { listObjects, readObject } from '../contract/storage/filesystem-under-test.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { createBucket } from './s3-client.ts';
import { sendRequest, type Answer, type RequestOptions } from './send-request.ts';
import { signS3Request, type ClientCredential, type PayloadMode } from './sign-s3-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from './start-proxy.ts';

export interface PolicyRequest {
  readonly method: string;
  readonly path: string;
  /** Canonical. */
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: RequestOptions['body'];
}

export type Sender = (request: PolicyRequest) => Promise<Answer>;

export interface StoredView {
  keys(): Promise<string[]>;
  openUploads(): Promise<readonly string[]>;
  /** Header fields as they were stored, names in lower case. */
  read(key: string): Promise<{ bytes: Buffer; headers: ReadonlyMap<string, string | undefined> }>;
}

export interface PolicyBuckets {
  readonly proxy: RunningProxy;
  readonly storedIn: ReadonlyMap<string, StoredView>;
  asUser(claims: Readonly<Record<string, unknown>>): Sender;
  /** Signs with the key of alice or bob. */
  asKeyOf(subject: 'alice' | 'bob', mode?: PayloadMode): Sender;
  asNobody: Sender;
  /** A second proxy in front of the same buckets. @param server its block of the configuration. */
  startAnother(server: object): Promise<PolicyBuckets>;
  /** Leaves the backend running. */
  stopProxy(): Promise<void>;
  /** The backend too. */
  stop(): Promise<void>;
}

export interface PolicyBucketsOptions {
  /** Undefined: a folder. */
  readonly start: (() => Promise<S3Server>) | undefined;
  /** By name: what stands in the bucket's block besides its storage. Without `auth`: tokens, and the keys of alice and bob. */
  readonly buckets: Readonly<Record<string, object>>;
  readonly server?: object;
}

const region = 'us-east-1';
const credentials: Readonly<Record<'alice' | 'bob', ClientCredential>> = {
  alice: { accessKey: 'AKIDALICE', secretKey: 'a-secret-key-of-alice-1234', region },
  bob: { accessKey: 'AKIDBOB', secretKey: 'a-secret-key-of-bob-123456', region },
};
const auth = {
  jwt: { algorithm: 'HS256', secret: jwtSecret },
  sigv4: {
    credentials: Object.entries(credentials).map(([subject, { accessKey, secretKey }]) => ({
      access_key: accessKey,
      secret_key: secretKey,
      subject,
    })),
  },
};

export async function startPolicyBuckets(options: PolicyBucketsOptions): Promise<PolicyBuckets> {
  const backend = options.start === undefined ? await makeFolders() : await makeS3Buckets(await options.start());
  const names = Object.keys(options.buckets);
  const storedIn = new Map<string, StoredView>();
  for (const name of names) storedIn.set(name, await backend.open(name));
  const served = Object.entries(options.buckets).map(([name, block]) => ({
    name,
    ...backend.storage(name),
    auth,
    ...block,
  }));
  const start = async (server: object): Promise<PolicyBuckets> => {
    const proxy = await startProxy({ config: { server, buckets: served } });
    return {
      proxy,
      storedIn,
      ...sendersTo(proxy),
      startAnother: start,
      stopProxy: async () => void (await proxy.stop()),
      async stop() {
        await proxy.stop();
        await backend.stop();
      },
    };
  };
  return start(options.server ?? {});
}

function sendersTo({ url }: RunningProxy): Pick<PolicyBuckets, 'asUser' | 'asKeyOf' | 'asNobody'> {
  const send = (
    { method, path: target, query, headers, body }: PolicyRequest,
    more: Readonly<Record<string, string>>,
  ): Promise<Answer> =>
    sendRequest({
      url,
      method,
      path: query === undefined ? target : `${target}?${query}`,
      headers: { ...headers, ...more },
      ...(body === undefined ? {} : { body }),
    });
  return {
    asUser: (claims) => async (request) =>
      send(request, { authorization: `Bearer ${await createToken(claims as Record<string, string>)}` }),
    asKeyOf:
      (subject, mode = 'sha256') =>
      (request) => {
        const body = request.body === undefined ? Buffer.alloc(0) : Buffer.from(request.body as string | Uint8Array);
        const signed = signS3Request({
          ...request,
          credential: credentials[subject],
          host: new URL(url).host,
          body,
          mode,
        });
        return send({ ...request, body: signed.body }, signed.headers);
      },
    asNobody: (request) => send(request, {}),
  };
}

interface Backend {
  /** The storage block of a bucket. */
  storage(name: string): object;
  open(name: string): Promise<StoredView>;
  stop(): Promise<void>;
}

async function makeS3Buckets(server: S3Server): Promise<Backend> {
  const { endpoint, accessKey, secretKey } = server;
  const s3 = { endpoint, region: server.region, access_key: accessKey, secret_key: secretKey };
  return {
    storage: () => ({ s3 }),
    async open(name) {
      const bucket = await createBucket(server, name);
      return {
        keys: () => bucket.listKeys(),
        openUploads: () => bucket.listOpenUploads(),
        async read(key) {
          const { ContentType, ContentDisposition, StorageClass, CacheControl, Metadata = {} } = await bucket.head(key);
          const metadata = Object.entries(Metadata).map(([name, value]) => [`x-amz-meta-${name}`, value] as const);
          const headers = new Map([
            ['content-type', ContentType],
            ['content-disposition', ContentDisposition],
            ['cache-control', CacheControl],
            ['x-amz-storage-class', StorageClass],
            ...metadata,
          ]);
          return { bytes: await bucket.readBytes(key), headers };
        },
      };
    },
    stop: () => server.stop(),
  };
}

async function makeFolders(): Promise<Backend> {
  const root = await mkdtemp(path.join(tmpdir(), 'mizuchi-policy-'));
  return {
    storage: () => ({ filesystem: { root } }),
    async open(name) {
      const folder = path.join(root, name);
      return {
        keys: async () => ((await exists(folder)) ? [...(await listObjects(folder)).keys()] : []),
        openUploads: () => readdir(path.join(folder, '%uploads')).catch(() => []),
        async read(key) {
          const object = await readObject(folder, key);
          if (object === undefined) throw new Error(`no object ${key}`);
          return { bytes: Buffer.from(object.bytes), headers: object.headers };
        },
      };
    },
    stop: () => rm(root, { recursive: true }),
  };
}

const exists = (folder: string): Promise<boolean> =>
  readdir(folder).then(
    () => true,
    () => false,
  );

const parser = new XMLParser({ parseTagValue: false, isArray: (name) => name === 'Part' });

/** The fields of a result or an error document. */
export function fieldsOf({ body }: Answer): Readonly<Record<string, string>> {
  const document = parser.parse(body);
  return Object.values<Record<string, string>>(document).find((value) => typeof value === 'object') ?? {};
}

/** Status and S3 error code, or the status alone. */
export function outcomeOf(answer: Answer): string {
  return answer.status < 300 ? String(answer.status) : `${answer.status} ${fieldsOf(answer)['Code']}`;
}

/** One multipart upload, step by step, as a client of its own. */
export function driveMultipart(send: Sender, target: string) {
  const withId = (uploadId: string, before = '') => `${before}uploadId=${encodeURIComponent(uploadId)}`;
  return {
    create: (headers: Readonly<Record<string, string>> = {}) =>
      send({ method: 'POST', path: target, query: 'uploads=', headers }),
    part: (uploadId: string, number: number, body: Buffer) =>
      send({ method: 'PUT', path: target, query: withId(uploadId, `partNumber=${number}&`), body }),
    complete: (
      uploadId: string,
      etags: readonly (readonly [number: number, etag: string | undefined])[],
      headers: Readonly<Record<string, string>> = {},
    ) => {
      const parts = etags.map(
        ([number, etag]) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`,
      );
      const body = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
      return send({ method: 'POST', path: target, query: withId(uploadId), body, headers });
    },
    abort: (uploadId: string) => send({ method: 'DELETE', path: target, query: withId(uploadId) }),
    list: (uploadId: string) => send({ method: 'GET', path: target, query: withId(uploadId) }),
  };
}

export type MultipartDriver = ReturnType<typeof driveMultipart>;
