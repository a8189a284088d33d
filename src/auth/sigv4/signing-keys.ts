// The signing keys of one credential: one for each day, kept as long as requests of that day may come.
import type { SigV4Config } from '../../config/config.ts';
import { deriveSigningKey } from '../../sigv4/derive-signing-key.ts';
import { createHmacSha256 } from '../../sigv4/hmac-sha256.ts';

export interface SigningKey {
  /** `YYYYMMDD/region/service/aws4_request`. */
  readonly scope: string;
  /** 32 bytes. */
  readonly bytes: Buffer;
  /** From a string to sign to its signature, in lower-case hex. */
  readonly hmac: (stringToSign: string) => string;
}

/** Longest string to sign, but for the scope, that of a trailer: algorithm, timestamp, two hashes, and the line ends between. */
const otherBytesToSign = 24 + 16 + 2 * 64 + 4;
/** A presigned URL lives for a week, which touches eight days, and a clock may be ahead of ours. */
const maxDays = 9;

/** @returns from `YYYYMMDD` to the key of that day. */
export function createSigningKeys(
  secretKey: string,
  { region, service }: Pick<SigV4Config, 'region' | 'service'>,
): (date: string) => SigningKey {
  const keys = new Map<string, SigningKey>();
  return (date) => {
    let key = keys.get(date);
    if (key === undefined) {
      const scope = `${date}/${region}/${service}/aws4_request`;
      const bytes = deriveSigningKey(secretKey, { date, region, service });
      key = { scope, bytes, hmac: createHmacSha256(bytes, scope.length + otherBytesToSign) };
      for (const oldest of keys.keys()) if (keys.size >= maxDays) keys.delete(oldest);
      keys.set(date, key);
    }
    return key;
  };
}
