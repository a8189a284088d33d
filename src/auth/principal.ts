// Who sends a request, once it is known.

export type Principal = JwtPrincipal | AnonymousPrincipal;

export interface JwtPrincipal {
  readonly kind: 'jwt';
  /** The token's `sub`. */
  readonly subject: string | undefined;
  /** All that the token says; shared by every request that carries it. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** The token's `exp`, in milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/** Nobody is asked for credentials. */
export interface AnonymousPrincipal {
  readonly kind: 'anonymous';
}
