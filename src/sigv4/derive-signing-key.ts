// SigV4's signing key: good for one day, region and service.
import { createHmac } from 'node:crypto';

export interface SigningScope {
  /** `YYYYMMDD`, in UTC. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

/** @returns 32 bytes. Source: AWS IAM User Guide, "Create a signed AWS API request", step 4. */
export function deriveSigningKey(secretKey: string, { date, region, service }: SigningScope): Buffer {
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  return hmac(hmac(hmac(hmac(`AWS4${secretKey}`, date), region), service), 'aws4_request');
}
