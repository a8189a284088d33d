// Whether what a program has written holds a secret: one of its configuration, or a token or a signature that was made for it.

/** Settings whose values nobody may read, by name. */
const secretSettings = /^(?:secret|secret_key|session_token|token|api_token|client_secret|headers)$/u;
/** Shorter texts stand somewhere by chance. */
const minChars = 12;

const credentials = new Map<string, string>();

/** From now on the token may stand nowhere. */
export function noteToken(token: string): void {
  const [, payload, signature] = token.split('.');
  for (const piece of [payload, signature]) if (piece !== undefined) credentials.set(piece, 'a token');
}

/** Nor may the signature. */
export function noteSignature(signature: string): void {
  credentials.set(signature, 'a signature');
}

/** @returns the first words of each secret that stands in the text, and where it is from. */
export function findSecrets(text: string, config: unknown): string[] {
  const secrets: (readonly [from: string, secret: string])[] = [
    ...secretsOf(config, '').filter(([, secret]) => secret.length >= minChars),
    ...Array.from(credentials, ([secret, from]) => [from, secret] as const),
  ];
  return secrets
    .filter(([, secret]) => text.includes(secret))
    .map(([from, secret]) => `${from}: ${secret.slice(0, 16)}…`);
}

function secretsOf(value: unknown, path: string): (readonly [from: string, secret: string])[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    const here = `${path}.${name}`;
    if (secretSettings.test(name)) return textsIn(member).map((secret) => [here, secret] as const);
    if (typeof member === 'string') return passwordsIn(member).map((secret) => [here, secret] as const);
    return secretsOf(member, here);
  });
}

const textsIn = (value: unknown): string[] => {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
};

/** Of an address such as redis://user:password@host, and of a query. */
function passwordsIn(text: string): string[] {
  if (!URL.canParse(text)) return [];
  const { password, searchParams } = new URL(text);
  return [decodeURIComponent(password), ...searchParams.values()];
}
