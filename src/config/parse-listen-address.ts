// `host:port` as it stands in server.address.
import { isIPv6 } from 'node:net';
import type { ListenAddress } from './config.ts';

const hostName = /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/;

/** Host and port; undefined for anything else. IPv6 stands in brackets (RFC 3986, section 3.2.2) and is given without. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^[\]:]*)):([0-9]{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return undefined;
  if (bracketed !== undefined) return isIPv6(bracketed) ? { host: bracketed, port } : undefined;
  return plain !== undefined && hostName.test(plain) ? { host: plain, port } : undefined;
}
