// Where the credentials for a backend come from: the configuration, or the AWS default chain with its refresh.
import type { S3Credentials } from './sign-request.ts';

export interface ExpiringCredentials extends S3Credentials {
  readonly expiration?: Date;
}

export interface CredentialSource {
  /** Those at hand, while they are good; no promise, for the path that each body takes. */
  current(): S3Credentials | undefined;
  load(): Promise<ExpiringCredentials>;
  /** The backend says that they have run out: the next `load` asks the chain again. */
  discard(): void;
}

// The chain refreshes in the background in the last five minutes, so it is asked again from then on.
const refreshAheadMs = 5 * 60 * 1000;

type Provider = (options?: { forceRefresh?: boolean }) => Promise<ExpiringCredentials>;

export function createCredentialSource(configured: S3Credentials | undefined, region: string): CredentialSource {
  if (configured !== undefined) {
    return { current: () => configured, load: () => Promise.resolve(configured), discard: () => undefined };
  }
  return createChainSource(() => loadDefaultChain(region));
}

/** @param loadProvider asked once; the provider itself memoizes what it found. */
export function createChainSource(loadProvider: () => Promise<Provider>): CredentialSource {
  let provider: Promise<Provider> | undefined;
  let known: ExpiringCredentials | undefined;
  let isDiscarded = false;
  return {
    current() {
      const expiresAtMs = known?.expiration?.getTime() ?? Infinity;
      return expiresAtMs - refreshAheadMs > Date.now() ? known : undefined;
    },
    async load() {
      provider ??= loadProvider().catch((error: unknown) => {
        provider = undefined;
        throw error;
      });
      const provide = await provider;
      const forceRefresh = isDiscarded;
      isDiscarded = false;
      known = await provide(forceRefresh ? { forceRefresh } : undefined);
      return known;
    },
    discard() {
      known = undefined;
      isDiscarded = true;
    },
  };
}

async function loadDefaultChain(region: string): Promise<Provider> {
  const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
  const provide = fromNodeProviderChain({ clientConfig: { region } });
  return (options) => provide(options);
}
