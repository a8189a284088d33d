// Why a text names no address and no range of addresses.
import { parseAddressRange } from '../ip-address.ts';

/** What is wrong with an address or a range in CIDR notation, or undefined. */
export function findAddressRangeFault(text: string): string | undefined {
  return parseAddressRange(text) === undefined
    ? 'must be an IP address, or a range such as 10.0.0.0/8 or 2001:db8::/32'
    : undefined;
}
