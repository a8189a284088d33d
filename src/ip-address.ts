// IP addresses and ranges of them: one text for each address, and sets that can be asked.
import { BlockList, isIP } from 'node:net';

/** A single address, or all that share its first `prefixLength` bits. */
export interface AddressRange {
  readonly family: 'ipv4' | 'ipv6';
  readonly address: string;
  readonly prefixLength: number;
}

/** Addresses as `normalizeAddress` gives them. */
export interface AddressSet {
  has(address: string): boolean;
}

/**
 * The one text of an address: IPv4 as it is, IPv6 as RFC 5952 has it, and an IPv4-mapped IPv6 address (RFC 4291, section
 * 2.5.5.2), which is how a dual-stack socket shows an IPv4 client, as that IPv4 address.
 * @returns undefined for what is no address, or one with a zone, which means something on one machine only.
 */
export function normalizeAddress(text: string): string | undefined {
  const version = isIP(text);
  if (version === 4) return text;
  if (version === 0 || text.includes('%')) return undefined;
  // URL Standard, "IPv6 serializer": RFC 5952 without its dotted form.
  const address = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address) ?? [];
  if (high === undefined || low === undefined) return address;
  const bytes = [high, low].flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]);
  return bytes.join('.');
}

/**
 * The text of an address as a socket has it, as `normalizeAddress` writes it.
 * @param bytes in network order: 4 of IPv4, 16 of IPv6; empty for one that is not known, which stays empty.
 */
export function writeAddress(bytes: Uint8Array): string {
  const ipv4 = bytes.length === 16 && isMapped(bytes) ? bytes.subarray(12) : bytes;
  if (ipv4.length === 4) return `${ipv4[0]}.${ipv4[1]}.${ipv4[2]}.${ipv4[3]}`;
  const groups = Buffer.from(bytes).toString('hex').match(/.{4}/g) ?? [];
  return normalizeAddress(groups.join(':')) ?? '';
}

/** RFC 4291, section 2.5.5.2: ten bytes of zeros and two of ones. */
function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/**
 * @param text an address, or CIDR notation such as `10.0.0.0/8` or `2001:db8::/32` (RFC 4632, section 3.1; RFC 4291, section
 * 2.3); a range of IPv4-mapped addresses becomes one of IPv4 addresses.
 * @returns undefined for anything else.
 */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [, written = '', digits] = /^([^/]+)(?:\/(0|[1-9][0-9]{0,2}))?$/.exec(text) ?? [];
  const address = normalizeAddress(written);
  if (address === undefined) return undefined;
  const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
  const bits = family === 'ipv4' ? 32 : 128;
  const mappedBits = family === 'ipv4' && isIP(written) === 6 ? 96 : 0;
  const prefixLength = digits === undefined ? bits : Number(digits) - mappedBits;
  return prefixLength < 0 || prefixLength > bits ? undefined : { family, address, prefixLength };
}

/** @param ranges as for `parseAddressRange`. @throws TypeError for one that is none. */
export function createAddressSet(ranges: readonly string[]): AddressSet {
  // One for each family: together they would compare IPv4 addresses with IPv6 ranges in their IPv4-mapped form.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const text of ranges) {
    const range = parseAddressRange(text);
    if (range === undefined) throw new TypeError(`${text} is no address and no range of addresses`);
    lists[range.family].addSubnet(range.address, range.prefixLength, range.family);
  }
  return {
    has(address) {
      const version = isIP(address);
      if (version === 0) return false;
      const family = version === 4 ? 'ipv4' : 'ipv6';
      return lists[family].check(address, family);
    },
  };
}
