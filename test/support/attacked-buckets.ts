// Buckets for tokens, for signatures and for both before one real store, and requests to them whose credentials are right
// whatever else is wrong with them.
import type { S3Server } from '../servers/start-s3-server.ts';
import { startMinio } from '../servers/start-minio.ts';
import { passOnTo, startRecorder, type Recorder, type SeenRequest } from './recorder.ts';
import { createBucket, type BucketView } from './s3-client.ts';
import { sendRequest, type Answer } from './send-request.ts';
import { presignS3Url, signS3Request, type ClientCredential, type PayloadMode } from './sign-s3-request.ts';
import { createToken, jwtSecret, startProxy, type RunningProxy } from './start-proxy.ts';

export const alice: ClientCredential = {
  accessKey: 'AKIDALICE',
  secretKey: 'a-secret-key-of-alice-1234',
  region: 'us-east-1',
};

export type BucketName = 'tokens' | 'signed' | 'mixed';
export type CredentialKind = 'token' | 'header' | 'url';

export interface Way {
  readonly bucket: BucketName;
  readonly credential: CredentialKind;
}

/** Every bucket by every credential that it takes. */
export const ways: readonly Way[] = [
  { bucket: 'tokens', credential: 'token' },
  { bucket: 'signed', credential: 'header' },
  { bucket: 'signed', credential: 'url' },
  { bucket: 'mixed', credential: 'token' },
  { bucket: 'mixed', credential: 'header' },
  { bucket: 'mixed', credential: 'url' },
];

export interface AttackedRequest {
  readonly method: string;
  /** As they go over the wire. */
  readonly path: string;
  readonly query?: string;
  /** Signed where the request is; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Of requests that are signed in their header. */
  readonly mode?: PayloadMode;
}

export interface AttackedBuckets {
  readonly server: S3Server;
  readonly recorder: Recorder;
  readonly proxy: RunningProxy;
  /** The store's buckets, seen without the proxy. */
  readonly stored: Readonly<Record<BucketName, BucketView>>;
  send(credential: CredentialKind, request: AttackedRequest): Promise<Answer>;
  /** What the proxy has asked of the store for its clients since the last call of this. */
  takeAsked(): SeenRequest[];
  stop(): Promise<void>;
}

export interface AttackedBucketsOptions {
  /** Further settings of every bucket. */
  readonly settings?: object;
  /** Overrides of `server` in the configuration. */
  readonly server?: object;
  /** Further buckets, which may use the store. */
  readonly more?: (s3: object) => readonly object[];
}

export const jwt = { secret: jwtSecret };
export const sigv4 = { access_key: alice.accessKey, secret_key: alice.secretKey };

export async function startAttackedBuckets(options: AttackedBucketsOptions = {}): Promise<AttackedBuckets> {
  const { settings = {}, server: serverConfig = {}, more = () => [] } = options;
  const server = await startMinio();
  const recorder = await startRecorder(passOnTo(server));
  const stored = {
    tokens: await createBucket(server, 'store-of-tokens'),
    signed: await createBucket(server, 'store-of-signed'),
    mixed: await createBucket(server, 'store-of-mixed'),
  };
  const { endpoint } = recorder;
  const s3 = { endpoint, region: server.region, access_key: server.accessKey, secret_key: server.secretKey };
  const bucket = (name: BucketName, auth: object): object => ({
    name,
    s3: { ...s3, bucket: stored[name].bucket },
    auth,
    ...settings,
  });
  const own = [bucket('tokens', { jwt }), bucket('signed', { sigv4 }), bucket('mixed', { jwt, sigv4 })];
  const proxy = await startProxy({ config: { server: serverConfig, buckets: [...own, ...more(s3)] } });
  const authorization = `Bearer ${await createToken()}`;
  const host = new URL(proxy.url).host;
  return {
    server,
    recorder,
    proxy,
    stored,
    send: (credential, request) => sendRequest({ url: proxy.url, ...authenticate(credential, request) }),
    takeAsked: () => recorder.seen.splice(0).filter(({ method }) => method !== 'HEAD'),
    async stop() {
      await proxy.stop();
      await recorder.stop();
      await server.stop();
    },
  };

  function authenticate(credential: CredentialKind, request: AttackedRequest) {
    const { method, path, query = '', headers = {}, body = '', mode = 'UNSIGNED-PAYLOAD' } = request;
    const target = query === '' ? path : `${path}?${query}`;
    const bytes = Buffer.from(body);
    switch (credential) {
      case 'token':
        return { method, path: target, headers: { ...headers, authorization }, body: bytes };
      case 'header': {
        const toSign = { method, host, path: canonicalPath(path), query: canonicalQuery(query).join('&'), headers };
        return { method, path: target, ...signS3Request({ credential: alice, ...toSign, body: bytes, mode }) };
      }
      case 'url': {
        const signedPath = canonicalPath(path);
        const own = canonicalQuery(query);
        const url = presignS3Url({ credential: alice, method, host, path: signedPath, query: own, headers });
        const added = url.slice(signedPath.length + 1).split('&');
        for (const piece of own) added.splice(added.indexOf(piece), 1);
        const wire = [...(query === '' ? [] : [query]), ...added].join('&');
        return { method, path: `${path}?${wire}`, headers, body: bytes };
      }
    }
  }
}

const encode = (text: string): string =>
  encodeURIComponent(decodeURIComponent(text)).replaceAll(
    /[!'()*]/gu,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** An encoded slash stays encoded: it divides nothing. */
function canonicalPath(path: string): string {
  return path.split('/').map(encode).join('/');
}

function canonicalQuery(query: string): string[] {
  const pieces = query.split('&').filter((piece) => piece !== '');
  return pieces
    .map((piece) => {
      const at = piece.indexOf('=');
      return at === -1 ? `${encode(piece)}=` : `${encode(piece.slice(0, at))}=${encode(piece.slice(at + 1))}`;
    })
    .toSorted();
}
