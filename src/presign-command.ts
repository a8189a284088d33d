// The sub-command `presign`: a URL by which somebody without credentials may make one request.
import { presignUrl } from './auth/sigv4/presign.ts';
import type { BucketConfig, Config, SigV4Config, SigV4Credential } from './config/config.ts';
import { findPatternBucket } from './find-pattern-bucket.ts';
import { checkKey } from './routing/decode-key.ts';
import { encodeKey } from './uri/percent-encode.ts';

/** As given on the command line. */
export interface PresignArguments {
  readonly key?: string | undefined;
  /** Of several buckets; a name for which one of the patterns stands will do. */
  readonly bucket?: string | undefined;
  /** PUT unless told. */
  readonly method?: string | undefined;
  /** Seconds; an hour unless told. */
  readonly expires?: string | undefined;
  /** Scheme, host and port by which clients reach the proxy; from `server` unless told. */
  readonly url?: string | undefined;
  /** Of several credentials. */
  readonly 'access-key'?: string | undefined;
  /** Percent-encoded, such as `partNumber=1&uploadId=x`. */
  readonly query?: string | undefined;
}

const methods = ['PUT', 'POST', 'DELETE', 'GET', 'HEAD'];

/** @throws Error for what is missing or cannot be; its message is for whoever typed the command. */
export function presignCommand(config: Config, given: PresignArguments, nowMs: number): string {
  const { key, method = 'PUT', expires = '3600', query = '' } = given;
  if (key === undefined || key === '') throw new Error('--key is missing');
  // In a URL dot segments are steps in a tree: it would be signed for another key, or for another bucket's.
  checkKey(key);
  if (!methods.includes(method)) throw new Error(`--method is one of ${methods.join(', ')}`);
  const expiresSeconds = /^\d{1,6}$/.test(expires) ? Number(expires) : 0;
  if (expiresSeconds < 1 || expiresSeconds > 604_800) throw new Error('--expires is a number of seconds up to 604800');
  const { path, name, sigv4 } = findBucket(config, given.bucket);
  // The URL is made before there is a body.
  if (!sigv4.allowUnsignedPayload)
    throw new Error(
      `bucket ${name} takes only bodies that are signed (allow_unsigned_payload), and this would sign none`,
    );
  const base = findOrigin(config, given.url);
  return presignUrl({
    method,
    url: `${base}${path}/${encodeKey(key)}${query === '' ? '' : `?${query}`}`,
    credential: findCredential(sigv4, given['access-key']),
    region: sigv4.region,
    service: sigv4.service,
    expiresSeconds,
    nowMs,
  });
}

interface SigningBucket {
  readonly path: string;
  readonly name: string;
  readonly sigv4: SigV4Config;
}

function findBucket({ buckets }: Config, name: string | undefined): SigningBucket {
  const bucket =
    name === undefined
      ? buckets.find((one) => !one.isPattern && sigV4Of(one) !== undefined)
      : (buckets.find((one) => !one.isPattern && one.name === name) ?? findPatternBucket(buckets, name));
  if (bucket === undefined) {
    throw new Error(name === undefined ? 'no bucket takes signatures (auth.sigv4)' : `no bucket named ${name}`);
  }
  const sigv4 = sigV4Of(bucket);
  if (sigv4 === undefined) throw new Error(`bucket ${bucket.name} takes no signatures (auth.sigv4)`);
  return { path: bucket.pathPrefix ?? `/${name}`, name: bucket.name, sigv4 };
}

function sigV4Of({ auth }: BucketConfig): SigV4Config | undefined {
  return auth.enabled ? auth.sigv4 : undefined;
}

function findCredential({ credentials }: SigV4Config, accessKey: string | undefined): SigV4Credential {
  const found = credentials.find((one) => accessKey === undefined || one.accessKey === accessKey);
  if (found === undefined) throw new Error(`no credential with the access key ${accessKey}`);
  return found;
}

function findOrigin({ server }: Config, given: string | undefined): string {
  if (given !== undefined) {
    const url = URL.canParse(given) ? new URL(given) : undefined;
    const isOrigin = url !== undefined && ['http:', 'https:'].includes(url.protocol) && `${url.origin}/` === url.href;
    if (!isOrigin) throw new Error('--url is http:// or https://, a host and perhaps a port');
    return url.origin;
  }
  const { host, port } = server.address;
  if (port === 0) throw new Error('--url is missing: the configuration leaves the port open');
  // Nobody connects to the address that stands for all.
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  const { origin } = new URL(
    `${server.tls === undefined ? 'http' : 'https'}://${name.includes(':') ? `[${name}]` : name}:${port}`,
  );
  return origin;
}
