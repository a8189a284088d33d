// MinIO, a real OPA and a proxy that asks it: buckets for tests of what is allowed.
import { ListMultipartUploadsCommand, ListPartsCommand } from '@aws-sdk/client-s3';
import { startMinio } from '../servers/start-minio.ts';
import { startOpa, type Asked, type OpaServer } from '../servers/start-opa.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { driveMultipart, outcomeOf, type MultipartDriver, type Sender } from './policy-buckets.ts';
import { createBucket, type BucketView } from './s3-client.ts';
import { sendRequest, type Answer } from './send-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from './start-proxy.ts';
import { waitFor } from './wait-for.ts';

export interface AuthorizedBuckets {
  readonly proxy: RunningProxy;
  readonly opa: OpaServer;
  readonly store: S3Server;
  /** The store's bucket behind all of the proxy's, seen without it. */
  readonly stored: BucketView;
  /** With a token of these claims. */
  as(claims?: Readonly<Record<string, string | number>>): Sender;
  asNobody: Sender;
  /** Waits until OPA has told of so many questions. */
  asked(count: number): Promise<Asked[]>;
  /** All keys, and of one key its object, its open uploads and their parts: what a request for it can change. */
  look(key: string): Promise<unknown>;
  stop(): Promise<void>;
}

export interface AuthorizedBucketsOptions {
  readonly policy: string;
  /** By name: what stands in the bucket's block besides its storage; `opa` is its block in `authz`, less the URL. */
  readonly buckets: Readonly<
    Record<string, { readonly opa?: object; readonly authz?: object; readonly [key: string]: unknown }>
  >;
  readonly server?: object;
  /** Where the proxy finds OPA, when something stands before it. */
  readonly between?: (opa: OpaServer) => Promise<string>;
}

export const backendBucket = 'backend-bucket';

export async function startAuthorizedBuckets(options: AuthorizedBucketsOptions): Promise<AuthorizedBuckets> {
  const store = await startMinio();
  const stored = await createBucket(store, backendBucket);
  const opa = await startOpa({ policy: options.policy, decisionLog: true });
  const opaUrl = (await options.between?.(opa)) ?? opa.url;
  const s3 = {
    bucket: backendBucket,
    region: store.region,
    endpoint: store.endpoint,
    access_key: store.accessKey,
    secret_key: store.secretKey,
  };
  const buckets = Object.entries(options.buckets).map(([name, { opa: settings, authz, ...block }]) => ({
    name,
    s3,
    auth: { jwt: { algorithm: 'HS256', secret: jwtSecret } },
    authz: { opa: { url: opaUrl, ...settings }, ...authz },
    ...block,
  }));
  const proxy = await startProxy({
    config: { server: options.server ?? {}, logging: { level: 'debug', format: 'json' }, buckets },
  });
  const waiting: Asked[] = [];
  return {
    proxy,
    opa,
    store,
    stored,
    as: (claims = {}) => {
      const token = createToken(claims);
      return async (request) => send(proxy, request, { authorization: `Bearer ${await token}` });
    },
    asNobody: (request) => send(proxy, request, {}),
    async asked(count) {
      await waitFor(async () => {
        waiting.push(...opa.takeAsked());
        return waiting.length >= count;
      });
      return waiting.splice(0);
    },
    look: (key) => lookInto(stored, key),
    async stop() {
      await proxy.stop();
      await opa.stop();
      await store.stop();
    },
  };
}

function send(
  { url }: RunningProxy,
  { method, path, query, headers, body }: Parameters<Sender>[0],
  more: Readonly<Record<string, string>>,
): Promise<Answer> {
  return sendRequest({
    url,
    method,
    path: query === undefined ? path : `${path}?${query}`,
    headers: { ...headers, ...more },
    ...(body === undefined ? {} : { body }),
  });
}

async function lookInto(stored: BucketView, key: string): Promise<unknown> {
  const { client, bucket } = stored;
  // MinIO lists open uploads of a whole key only.
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: key }));
  const uploads = Uploads.map(async ({ UploadId }) => {
    const { Parts = [] } = await client.send(new ListPartsCommand({ Bucket: bucket, Key: key, UploadId }));
    return [UploadId, ...Parts.map(({ PartNumber, ETag }) => [PartNumber, ETag])];
  });
  const keys = await stored.listKeys();
  const bytes = keys.includes(key) ? (await stored.readBytes(key)).toString('base64') : undefined;
  return { keys, bytes, uploads: await Promise.all(uploads) };
}

export { driveMultipart, outcomeOf, type MultipartDriver, type Sender };
