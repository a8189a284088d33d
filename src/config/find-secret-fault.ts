// Why a shared secret is not fit to sign with.

/**
 * Text that stands in documentation, templates and jwt.io for a secret still to be chosen, or that servers are shipped with;
 * separators left out. `examplekey` ends the secret keys of AWS's own documentation.
 */
const placeholder = new RegExp(
  [
    'changeme|changethis|changeit|pleasechange|replaceme|replacethis|^your.{0,24}(?:secret|key)|placeholder',
    '^todo|beforedeploy|^secretkey|^thisisa.{0,16}(?:secret|key)|password[0-9]',
    'examplekey|examplesecret|atleast256bits',
    'minioadmin|rustfsadmin',
    'fordevelopment|developmentonly|devonly|fortesting|testonly|donotuse|dontuse|insecure|notsecure|notforproduction',
    'mysecret|supersecret|topsecret|verysecret|secretsecret|passwordpassword',
    'correcthorsebattery|keyboardcat|qwertyuiop|abcdefghijklmnop|0123456789abcdef|1234567890abcdef|12345678901234',
  ].join('|'),
);
/** A text that is written twice is as strong as the text: from here on that may be enough. */
const longestRepeated = 16;
/** Characters at the end by which such a text is made to look like another. */
const longestTail = 4;
/** Sixteen hex digits at random have fewer once in two million times. */
const leastDifferent = 5;

/**
 * What is wrong with the secret, or undefined.
 * @param minBytes of UTF-8. A key of HMAC-SHA-256 in a JWT has at least 256 bits (RFC 7518, section 3.2).
 */
export function findSecretFault(secret: string, minBytes = 32): string | undefined {
  if (secret.includes('${')) return 'must not hold a ${ that was never filled in';
  if (Buffer.byteLength(secret, 'utf8') < minBytes) return `must have at least ${minBytes} bytes`;
  if (placeholder.test(secret.toLowerCase().replaceAll(/[^a-z0-9]/g, ''))) return 'is a placeholder: choose a secret';
  const isMonotonous = new Set(secret).size < leastDifferent || repeatsItself(secret);
  if (isMonotonous) return 'must not be the same few characters again and again';
  return undefined;
}

/** The last repetition may be cut short, and something else may follow it. */
function repeatsItself(secret: string): boolean {
  for (let tail = 0; tail <= longestTail; tail++) {
    const text = secret.slice(0, secret.length - tail);
    const longest = Math.min(longestRepeated, Math.floor(text.length / 2));
    for (let length = 1; length <= longest; length++) if (text.startsWith(text.slice(length))) return true;
  }
  return false;
}
