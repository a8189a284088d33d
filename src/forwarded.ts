// What proxies in front of this one say of the client: believed when they are trusted, ignored otherwise.
import { isIPv6 } from 'node:net';
import { createAddressSet, normalizeAddress, type AddressSet } from './ip-address.ts';
import type { ForwardedReader } from './server/exchange.ts';

/**
 * @param trusted addresses and ranges of proxies. Each of them must append to X-Forwarded-For, and must set or append to the
 * other two: of a list the last value is the one that the nearest proxy vouches for; what stands before it may be the client's.
 * @returns undefined when nobody is trusted.
 * @throws TypeError for what is no address or range.
 */
export function createForwardedReader(trusted: readonly string[]): ForwardedReader | undefined {
  if (trusted.length === 0) return undefined;
  const proxies = createAddressSet(trusted);
  return (peerIp, headers) => {
    if (!proxies.has(peerIp)) return { clientIp: peerIp, isTls: undefined, host: undefined };
    return {
      clientIp: findClient(peerIp, headers.get('x-forwarded-for'), proxies),
      isTls: readProto(lastOf(headers.get('x-forwarded-proto'))),
      host: readHost(lastOf(headers.get('x-forwarded-host'))),
    };
  };
}

/**
 * From the right, where the nearest proxy wrote, to the first address that is not a proxy's. What is no address (`unknown`,
 * an obfuscated name) hides who came before it, so that the proxy which wrote it down is all that is known.
 */
function findClient(peerIp: string, list: string | undefined, proxies: AddressSet): string {
  let known = peerIp;
  for (const entry of (list ?? '').split(',').toReversed()) {
    const address = normalizeAddress(withoutPort(entry.trim()));
    if (address === undefined) return known;
    known = address;
    if (!proxies.has(address)) return known;
  }
  return known;
}

/** Some proxies write the client's port too: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(entry: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([0-9.]+))(?::[0-9]{1,5})?$/.exec(entry) ?? [];
  return bracketed ?? plain ?? entry;
}

function lastOf(list: string | undefined): string | undefined {
  return list?.slice(list.lastIndexOf(',') + 1).trim();
}

function readProto(value: string | undefined): boolean | undefined {
  switch (value?.toLowerCase()) {
    case 'https':
      return true;
    case 'http':
      return false;
    default:
      return undefined;
  }
}

/** As it is written, because a signature covers it so; undefined when it is no host with perhaps a port (RFC 3986, section 3.2). */
function readHost(value: string | undefined): string | undefined {
  const [, bracketed, name, port] = /^(?:\[([^\]]*)\]|([\w.-]{1,255}))(?::([0-9]{1,5}))?$/.exec(value ?? '') ?? [];
  const isHost = bracketed === undefined ? name !== undefined : isIPv6(bracketed) && !bracketed.includes('%');
  return isHost && Number(port ?? 0) <= 65_535 ? value : undefined;
}
