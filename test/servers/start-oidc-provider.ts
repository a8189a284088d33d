// Starts a real OpenID Connect provider, takes tokens from it, changes its keys, and stops it for a while.
import { generateKeyPairSync } from 'node:crypto';
import path from 'node:path';
import type { JWK } from 'jose';
import { freePort } from './free-port.ts';
import { startProcess, waitUntilReady, type RunningProcess } from './start-process.ts';

export interface OidcProvider {
  readonly issuer: string;
  readonly jwksUrl: string;
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** A JWT access token for one resource (its `aud`), signed with the first of the keys. */
  createToken(resource: string, scope?: string): Promise<string>;
  /** Private keys; the first signs, all are published. */
  setKeys(...keys: JWK[]): Promise<void>;
  /** Nobody listens any more. */
  kill(): Promise<void>;
  /** The same one again, with the keys that it had. */
  restart(): Promise<void>;
  /** It accepts connections and answers nothing. */
  freeze(): void;
  thaw(): void;
}

const client = { client_id: 'uploader', client_secret: 'a-secret-of-the-uploader-and-the-provider' };

/** A new private key with a `kid`. */
export function createSigningKey(kid: string, kind: 'RS256' | 'ES256' | 'ES384' = 'RS256'): JWK {
  const { privateKey } =
    kind === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: kind === 'ES256' ? 'P-256' : 'P-384' });
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: kind };
}

export async function startOidcProvider(...firstKeys: JWK[]): Promise<OidcProvider> {
  const issuer = `http://127.0.0.1:${await freePort()}`;
  const jwksUrl = `${issuer}/jwks`;
  const tokenUrl = `${issuer}/token`;
  let keys = firstKeys;
  const start = async (): Promise<RunningProcess> => {
    const started = startProcess({
      command: process.execPath,
      args: [path.join(import.meta.dirname, 'oidc-provider.mjs')],
      env: { ISSUER: issuer, CLIENT: JSON.stringify(client), KEYS: JSON.stringify(keys) },
    });
    await waitUntilReady(started, async () => (await fetch(jwksUrl)).ok);
    return started;
  };
  let running = await start();
  return {
    issuer,
    jwksUrl,
    tokenUrl,
    clientId: client.client_id,
    clientSecret: client.client_secret,
    async createToken(resource, scope = 'upload') {
      const response = await fetch(tokenUrl, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'client_credentials', resource, scope }),
        headers: { authorization: `Basic ${btoa(`${client.client_id}:${client.client_secret}`)}` },
      });
      const body = (await response.json()) as { access_token?: string };
      if (body.access_token === undefined) throw new Error(`no token: ${JSON.stringify(body)}`);
      return body.access_token;
    },
    async setKeys(...newKeys) {
      keys = newKeys;
      const { status } = await fetch(`${issuer}/test/keys`, { method: 'PUT', body: JSON.stringify(keys) });
      if (status !== 204) throw new Error(`the keys were not taken:\n${running.output()}`);
    },
    async kill() {
      await running.stop('SIGKILL');
    },
    async restart() {
      running = await start();
    },
    freeze: () => process.kill(running.pid, 'SIGSTOP'),
    thaw: () => process.kill(running.pid, 'SIGCONT'),
  };
}
