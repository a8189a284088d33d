// Keys of the configuration's design that this version does not honour: refused by name, so that nobody takes an
// unprotected bucket for a protected one.

const laterKeys: Readonly<Record<string, readonly string[]>> = {
  '': ['ui', 'metrics', 'tracing'],
  logging: ['keys', 'subjects', 'audit'],
};

/** What to say of a key that the schema does not have, in the mapping at `steps`. */
export function describeUnknownKey(steps: readonly PropertyKey[], key: string): string {
  const place = steps
    .map((step) => (typeof step === 'number' ? '[]' : `.${String(step)}`))
    .join('')
    .replace(/^\./, '');
  const later = Object.hasOwn(laterKeys, place) && laterKeys[place]?.includes(key);
  return later ? 'not supported by this version' : 'unknown key';
}
