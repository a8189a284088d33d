// Where a server is, as spans say it.
import { names } from './attributes.ts';
import { encodeAttribute } from './span-writer.ts';

/** @param url of which scheme, host and port alone are told: what follows may be a secret. */
export function addressAttributes(url: string): Uint8Array {
  if (!URL.canParse(url)) return new Uint8Array(0);
  const { protocol, hostname, port } = new URL(url);
  const isTls = protocol === 'https:';
  return Buffer.concat([
    encodeAttribute(names.urlScheme, isTls ? 'https' : 'http'),
    encodeAttribute(names.serverAddress, hostname.replaceAll(/^\[|\]$/g, '')),
    encodeAttribute(names.serverPort, port === '' ? (isTls ? 443 : 80) : Number(port)),
  ]);
}
