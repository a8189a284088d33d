// Which addresses may come to a bucket at all.
import type { AccessConfig } from '../config/config.ts';
import { S3Error } from '../errors.ts';
import { createAddressSet } from '../ip-address.ts';

/** @param clientIp as HttpRequest has it. @throws S3Error AccessDenied. */
export type AccessCheck = (clientIp: string) => void;

/** @returns undefined where everybody may. @throws TypeError for what is no address or range. */
export function createAccessCheck({ allowIps, denyIps }: AccessConfig): AccessCheck | undefined {
  if (allowIps.length === 0 && denyIps.length === 0) return undefined;
  const denied = createAddressSet(denyIps);
  const allowed = allowIps.length === 0 ? undefined : createAddressSet(allowIps);
  return (clientIp) => {
    if (denied.has(clientIp) || allowed?.has(clientIp) === false) throw new S3Error('AccessDenied');
  };
}
