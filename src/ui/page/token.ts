// The bearer token: where the page gets it, and what it says of itself.

const itemName = 'mizuchi-token';

/** The part of the browser's storages that is used here. */
export interface TextStore {
  getItem(name: string): string | null;
  setItem(name: string, text: string): void;
  removeItem(name: string): void;
}

export interface TokenHolder {
  /** Empty when there is none. */
  readonly value: string;
  set(token: string): void;
}

/**
 * @param store of the tab's session: an upload is to go on after a reload, and for that the token must outlive it. It is gone with
 * the tab, and no other tab sees it. Undefined where the browser allows none.
 */
export function createTokenHolder(store: TextStore | undefined): TokenHolder {
  let value = store?.getItem(itemName) ?? '';
  return {
    get value() {
      return value;
    },
    set(token) {
      value = cleanToken(token);
      if (value === '') store?.removeItem(itemName);
      else store?.setItem(itemName, value);
    },
  };
}

/** What people paste: with the scheme before it, quotes around it, or broken into lines. */
export function cleanToken(pasted: string): string {
  return pasted
    .trim()
    .replace(/^authorization:\s*/i, '')
    .replace(/^bearer\s+/i, '')
    .replace(/^(["'])(.*)\1$/s, '$2')
    .replaceAll(/\s/g, '');
}

export interface TokenFacts {
  readonly subject: string | undefined;
  readonly expiresAtMs: number | undefined;
}

/** What a JWT says of itself, believed for show alone; undefined when it is none. */
export function readTokenFacts(token: string): TokenFacts | undefined {
  const payload = token.split('.')[1];
  if (payload === undefined) return undefined;
  try {
    const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), (one) => one.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims !== 'object' || claims === null) return undefined;
    const { sub, exp } = claims as { sub?: unknown; exp?: unknown };
    return {
      subject: typeof sub === 'string' ? sub : undefined,
      expiresAtMs: typeof exp === 'number' ? exp * 1000 : undefined,
    };
  } catch {
    return undefined;
  }
}

/** Why the server may have refused a token: it says the same of all, and the token itself says more. */
export function explainTokenRefusal(token: string, nowMs: number, showTime: (ms: number) => string): string {
  if (token === '') return 'A token is needed to upload here. Paste the one that you were given.';
  const expiresAtMs = readTokenFacts(token)?.expiresAtMs;
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs)
    return `The token has expired (it was good until ${showTime(expiresAtMs)}). Paste a new one, and the uploads go on.`;
  return 'The token is wrong or has expired: the server does not accept it. Paste another one, and the uploads go on.';
}
