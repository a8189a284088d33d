// Where a bucket is reached: which host to connect to, which Host to name, and what stands before the key.
import { isIP } from 'node:net';
import { percentEncode } from '../../uri/percent-encode.ts';

export interface BackendRoute {
  /** Name or address to connect to, IPv6 without brackets. */
  readonly hostname: string;
  readonly port: number;
  readonly isTls: boolean;
  /** As in the Host field: with the port unless it is the scheme's own. */
  readonly host: string;
  /** `/` or `/bucket/`; the encoded key follows. */
  readonly pathPrefix: string;
}

// "Virtual hosting of buckets": what can be a DNS label, or several of them.
const dnsName = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;
const dottedDnsName = /^[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]$/;

/** The regional endpoint of Amazon S3, for a configuration that names none. */
export function awsEndpoint(region: string): string {
  return `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}

/**
 * @param endpoint scheme and host, nothing behind it.
 * @throws TypeError for anything else.
 */
export function createBackendRoutes(endpoint: string, forcePathStyle: boolean): (bucket: string) => BackendRoute {
  const url = new URL(endpoint);
  if (!['http:', 'https:'].includes(url.protocol) || url.pathname !== '/' || url.search !== '' || url.username !== '') {
    throw new TypeError('an S3 endpoint is http:// or https:// and a host, with no path');
  }
  const isTls = url.protocol === 'https:';
  const hostname = url.hostname.replaceAll(/^\[|\]$/g, '');
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  const hasOwnHosts = !forcePathStyle && isIP(hostname) === 0;
  const shared = { port, isTls };
  return (bucket) => {
    // A wildcard certificate covers one label, so a bucket with dots has no host of its own over TLS.
    if (hasOwnHosts && (isTls ? dnsName : dottedDnsName).test(bucket)) {
      return { ...shared, hostname: `${bucket}.${hostname}`, host: `${bucket}.${url.host}`, pathPrefix: '/' };
    }
    return { ...shared, hostname, host: url.host, pathPrefix: `/${percentEncode(bucket)}/` };
  };
}
