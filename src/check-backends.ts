// Asks every backend once, at start, whether it can be used: whoever has mistyped something shall not learn it from uploads.
import type { StorageConfig } from './config/config.ts';

export interface BackendCheck {
  /** The bucket's. */
  readonly name: string;
  /** As configured. */
  readonly storage: StorageConfig;
  /** Rejects when the backend cannot be used. */
  check(signal: AbortSignal): Promise<void>;
}

const timeoutMs = 30_000;

/** Resolves when all have answered or failed; never rejects. @param onFault is told a sentence that says what to do. */
export async function checkBackends(
  backends: readonly BackendCheck[],
  onFault: (bucket: string, sentence: string) => void,
): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  const checks = backends.map(async (one) => {
    try {
      await one.check(signal);
    } catch (error) {
      onFault(one.name, describeFault(one, error));
    }
  });
  await Promise.all(checks);
}

function describeFault({ name: bucket, storage }: BackendCheck, error: unknown): string {
  const code = findCode(error);
  const seen = code === undefined ? '' : ` (${code})`;
  const effect = 'until then uploads to it fail';
  if (storage.kind === 'filesystem')
    return `bucket ${bucket}: the folder ${storage.root} cannot be written to${seen}; let the user who runs the proxy write to it, or set filesystem.root; ${effect}`;
  const place = storage.endpoint ?? 'Amazon S3';
  const behind = storage.bucket ?? bucket;
  switch (code) {
    case 'NoSuchBucket':
    case 'NotFound':
    case 'NoSuchKey':
      return `bucket ${bucket}: ${place} has no bucket ${behind}; create it, or set s3.bucket; ${effect}`;
    case 'AccessDenied':
    case 'InvalidAccessKeyId':
    case 'SignatureDoesNotMatch':
    case 'Forbidden':
    case 'CredentialsProviderError':
      return `bucket ${bucket}: ${place} refuses the credentials for ${behind}${seen}; set s3.access_key and s3.secret_key, or give that user the rights to upload; ${effect}`;
    default:
      return `bucket ${bucket}: ${place} cannot be reached${seen}; start it, or set s3.endpoint; ${effect}`;
  }
}

/** Of the first cause that has one of its own: the backend's answer, or what the network said. */
function findCode(error: unknown, depth = 0): string | undefined {
  if (!(error instanceof Error) || depth > 8) return undefined;
  const inner = findCode(error.cause, depth + 1);
  if (inner !== undefined) return inner;
  if ('code' in error && typeof error.code === 'string') return error.code;
  // The answer to a HEAD has no body to say more.
  if ('status' in error && error.status === 404) return 'NotFound';
  return error.name === 'Error' ? undefined : error.name;
}
