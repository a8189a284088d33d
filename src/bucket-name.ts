// S3's rules for bucket names (Amazon S3 User Guide, "General purpose bucket naming rules").
import { isIPv4 } from 'node:net';

const reservedPrefixes = ['xn--', 'sthree-', 'amzn-s3-demo-'];
const reservedSuffixes = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'];

/** What is wrong with a bucket's name, or undefined. */
export function findBucketNameFault(name: string): string | undefined {
  if (!/^[a-z0-9.-]*$/.test(name)) return 'may hold lower-case letters, digits, dots and hyphens only';
  if (name.length < 3 || name.length > 63) return 'must have 3 to 63 characters';
  if (!/^[a-z0-9].*[a-z0-9]$/.test(name)) return 'must begin and end with a letter or digit';
  if (name.includes('..')) return 'must not hold two dots in a row';
  if (isIPv4(name)) return 'must not look like an IP address';
  const reserved =
    reservedPrefixes.find((prefix) => name.startsWith(prefix)) ??
    reservedSuffixes.find((suffix) => name.endsWith(suffix));
  return reserved === undefined ? undefined : `must not use ${reserved}, which S3 reserves`;
}

/** What is wrong with a pattern of bucket names, or undefined: `*` stands for any run of a name's characters. */
export function findBucketPatternFault(pattern: string): string | undefined {
  if (!/^[a-z0-9.*-]*$/.test(pattern)) return 'may hold lower-case letters, digits, dots, hyphens and * only';
  if (pattern.includes('**')) return 'must not hold two * in a row';
  return pattern.length > 63 ? 'must have at most 63 characters' : undefined;
}
