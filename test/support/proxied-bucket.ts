// A real S3 server, a bucket in it, and a proxy in front: what most integration tests stand on.
import type { S3Server } from '../servers/start-s3-server.ts';
import { createBucket, type BucketView } from './s3-client.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from './start-proxy.ts';
import { encodeKey, sendRequest, type Answer, type RequestOptions } from './send-request.ts';

export interface ProxiedBucketOptions {
  readonly start: () => Promise<S3Server>;
  /** Overrides of `server` in the configuration. */
  readonly server?: object;
  /** The bucket's `auth` block; left out: tokens signed with `jwtSecret`. */
  readonly auth?: object;
  /** The bucket's `upload` block. */
  readonly upload?: object;
  /** Where the proxy sends to, when something stands between it and the server. */
  readonly between?: (server: S3Server) => Promise<{ readonly endpoint: string; stop(): Promise<void> }>;
  readonly timeouts?: object;
  /** Of the proxy's process. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface ProxiedBucket {
  readonly server: S3Server;
  readonly proxy: RunningProxy;
  /** The backend's bucket, seen without the proxy. */
  readonly stored: BucketView;
  readonly token: string;
  /** Sends with the bearer token to `/uploads/` and the encoded key. */
  put(key: string, body: RequestOptions['body'], headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Sends with the bearer token; `path` is whole and goes out as it is. */
  send(options: Omit<RequestOptions, 'url'>): Promise<Answer>;
  stop(): Promise<void>;
}

export const prefix = '/uploads';
const backendBucket = 'backend-bucket';

export async function startProxiedBucket(options: ProxiedBucketOptions): Promise<ProxiedBucket> {
  const server = await options.start();
  const stored = await createBucket(server, backendBucket);
  const between = await options.between?.(server);
  const proxy = await startProxy({
    config: {
      server: options.server ?? {},
      buckets: [bucketConfig({ ...options, s3: s3Config(server, between?.endpoint) })],
    },
    ...(options.environment && { environment: options.environment }),
  });
  const token = await createToken();
  const send = (request: Omit<RequestOptions, 'url'>): Promise<Answer> =>
    sendRequest({ ...request, url: proxy.url, headers: { authorization: `Bearer ${token}`, ...request.headers } });
  return {
    server,
    proxy,
    stored,
    token,
    put: (key, body, headers = {}) =>
      send({ method: 'PUT', path: `${prefix}/${encodeKey(key)}`, headers, ...(body === undefined ? {} : { body }) }),
    send,
    async stop() {
      await proxy.stop();
      await between?.stop();
      await server.stop();
    },
  };
}

/** The `s3` block for a server's bucket. @param endpoint of what stands before the server, if anything does. */
export function s3Config(server: S3Server, endpoint: string = server.endpoint): object {
  return {
    bucket: backendBucket,
    region: server.region,
    endpoint,
    access_key: server.accessKey,
    secret_key: server.secretKey,
  };
}

export interface BucketConfigOptions extends Pick<ProxiedBucketOptions, 'auth' | 'upload' | 'timeouts'> {
  readonly s3: object;
}

export function bucketConfig({ s3, auth, upload, timeouts }: BucketConfigOptions): object {
  return {
    name: 'uploads',
    path_prefix: prefix,
    s3: { ...s3, ...(timeouts === undefined ? {} : { timeouts }) },
    auth: auth ?? { enabled: true, jwt: { algorithm: 'HS256', secret: jwtSecret } },
    ...(upload === undefined ? {} : { upload }),
  };
}
