// Where the credentials for a backend come from: the configuration, or the AWS default chain with its refresh.
import type { S3Credentials } from './sign-request.ts';

export interface ExpiringCredentials extends S3Credentials {
  readonly expiration?: Date;
}

export interface CredentialSource {
  /** Those at hand, while they are good; no promise, for the path that each body takes. */
  current(): S3Credentials | undefined;
  /** Asks the chain. Rejects with what the chain rejects with. */
  load(): Promise<ExpiringCredentials>;
  /** The backend says that these have run out: the next `load` asks the chain anew, unless others are known by now. */
  discard(used: S3Credentials): void;
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
  let loading: Promise<ExpiringCredentials> | undefined;
  const load = async (): Promise<ExpiringCredentials> => {
    provider ??= loadProvider().catch((error: unknown) => {
      provider = undefined;
      throw error;
    });
    const provide = await provider;
    const forceRefresh = isDiscarded;
    known = await provide(forceRefresh ? { forceRefresh } : undefined);
    if (forceRefresh) isDiscarded = false;
    return known;
  };
  return {
    current() {
      const expiresAtMs = known?.expiration?.getTime() ?? Infinity;
      return expiresAtMs - refreshAheadMs > Date.now() ? known : undefined;
    },
    load() {
      // One for all: while the chain refreshes, it still hands out what was discarded to whoever asks beside.
      loading ??= load().finally(() => {
        loading = undefined;
      });
      return loading;
    },
    discard(used) {
      if (known === undefined || !areSame(known, used)) return;
      known = undefined;
      isDiscarded = true;
    },
  };
}

/** By value: a chain may hand out another object each time. */
function areSame(a: S3Credentials, b: S3Credentials): boolean {
  return (
    a.accessKeyId === b.accessKeyId && a.secretAccessKey === b.secretAccessKey && a.sessionToken === b.sessionToken
  );
}

async function loadDefaultChain(region: string): Promise<Provider> {
  const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
  const provide = fromNodeProviderChain({ clientConfig: { region } });
  return (options) => provide(options);
}
