// Where a server is, as spans say it.
import type { Attributes } from '@opentelemetry/api';
import { names } from './attributes.ts';

/** @param url of which scheme, host and port alone are told: what follows may be a secret. */
export function addressAttributes(url: string): Attributes {
  if (!URL.canParse(url)) return {};
  const { protocol, hostname, port } = new URL(url);
  const isTls = protocol === 'https:';
  return {
    [names.urlScheme]: isTls ? 'https' : 'http',
    [names.serverAddress]: hostname.replaceAll(/^\[|\]$/g, ''),
    [names.serverPort]: port === '' ? (isTls ? 443 : 80) : Number(port),
  };
}
