// Why a text names no origin that a browser could send.

const shapeFault = 'must be *, null, or scheme://host, perhaps with a port, and nothing behind it';
/** Stands for the `*` while the URL parser looks at the rest. */
const placeholder = 'any-label';
/** The whole host; or before a dot, or before a hyphen in a label that is not the last: `*example.com` is also evilexample.com. */
const mayHoldWildcard = /^(?:\*(?::[0-9]+)?|[^*]*\*(?:-[^.*]*)?\.[^*]+)$/;

/**
 * What is wrong with an entry of `allowed_origins`, or undefined. Origins are compared as text, so one that is not in the form
 * in which browsers send it (RFC 6454, section 6.2: lower case, punycode, no default port) would never match.
 */
export function findOriginFault(text: string): string | undefined {
  if (text === '*' || text === 'null') return undefined;
  if (text.indexOf('*') !== text.lastIndexOf('*')) return 'must hold at most one *';
  const [, scheme, authority] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#@\\\s]+)\/?$/i.exec(text) ?? [];
  if (scheme === undefined || authority === undefined) return shapeFault;
  if (authority.includes('*') && !mayHoldWildcard.test(authority)) {
    return 'must have its * as the whole host, or before a dot or a hyphen and not in the last label';
  }
  // The URL parser knows the hosts of the Web's own schemes; capacitor://localhost and the like are compared as they are.
  if (!/^https?$/i.test(scheme)) {
    return /^[a-z][^:]*:\/\/[a-z0-9._*-]+(?::[0-9]{1,5})?$/.test(text) ? undefined : shapeFault;
  }
  const probe = text.replace('*', placeholder);
  if (!URL.canParse(probe)) return shapeFault;
  const origin = new URL(probe).origin.replace(placeholder, '*');
  return origin === text ? undefined : `must be written as browsers send it: ${origin}`;
}
