// Our own arms by who is let in: nobody asked, tokens of each kind of key, and tokens that were never seen before.
import { type Arm, objectPath } from '../arm.ts';
import { jwtSettings, signTokens, tokenAlgorithms, type TokenAlgorithm } from '../credentials.ts';
import { createMizuchi, withToken } from './create-mizuchi.ts';

/** More than the proxy remembers, which forgets the one that was not seen for longest: none is known when it comes again. */
const strangerCount = 12_000;

const tokens = new Map<TokenAlgorithm, readonly string[]>();

async function makeTokens(algorithm: TokenAlgorithm, count: number): Promise<void> {
  if ((tokens.get(algorithm)?.length ?? 0) < count) tokens.set(algorithm, await signTokens(algorithm, count));
}

const known = (algorithm: TokenAlgorithm): Arm =>
  createMizuchi({
    name: `jwt-${algorithm.toLowerCase()}`,
    note: `mizuchi with ${algorithm}, always the same token`,
    auth: { jwt: jwtSettings(algorithm) },
    ready: () => makeTokens(algorithm, 1),
    request: () => withToken(tokens.get(algorithm)?.[0] ?? ''),
  });

const strangers = (algorithm: TokenAlgorithm): Arm =>
  createMizuchi({
    name: `jwt-${algorithm.toLowerCase()}-new`,
    note: `mizuchi with ${algorithm}, each request with a token that the proxy does not know`,
    auth: { jwt: jwtSettings(algorithm) },
    ready: () => makeTokens(algorithm, strangerCount),
    request: () => ({
      path: objectPath,
      headers: [],
      turns: (tokens.get(algorithm) ?? []).map((token) => `Authorization: Bearer ${token}`),
    }),
  });

const open = createMizuchi({
  name: 'no-auth',
  note: 'mizuchi with `auth.enabled: false`',
  auth: { enabled: false },
  request: () => ({ path: objectPath, headers: [] }),
});

/** A known token of HS256 is what the arm `mizuchi` is shown. */
export const tokenArms = [open, known('RS256'), known('ES256'), ...tokenAlgorithms.map(strangers)];
