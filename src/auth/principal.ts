// Who sends a request, once it is known.

export type Principal = JwtPrincipal | SigV4Principal | AnonymousPrincipal;

export interface JwtPrincipal {
  readonly kind: 'jwt';
  /** The token's `sub`. */
  readonly subject: string | undefined;
  /** All that the token says; shared by every request that carries it. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** The token's `exp`, in milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/** Whoever holds one of the configured access keys. */
export interface SigV4Principal {
  readonly kind: 'sigv4';
  /** As configured for the access key. */
  readonly subject: string;
  readonly accessKeyId: string;
  /** When the request's signature stops being accepted, in milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/** Nobody is asked for credentials. */
export interface AnonymousPrincipal {
  readonly kind: 'anonymous';
}
