// The series of one configured bucket, all there from the start: counting is then a matter of knowing where.
import type { BucketConfig } from '../../config/config.ts';
import { s3ErrorCodes } from '../../errors.ts';
import { SlotList } from '../../slot-list.ts';
import type { StorageCallName } from '../watched-storage.ts';
import type { Distribution, Figure } from './families.ts';
import type { MetricSet } from './metric-set.ts';

export type Status = 'success' | 'refused' | 'failure' | 'client_gone';
export type AuthMethod = 'jwt' | 'sigv4' | 'anonymous' | 'none';
export type AuthResult = 'success' | 'failure' | 'unavailable';

const operations: readonly StorageCallName[] = [
  'PutObject',
  'CreateMultipartUpload',
  'UploadPart',
  'CompleteMultipartUpload',
  'AbortMultipartUpload',
  'ListParts',
];
const statuses: readonly Status[] = ['success', 'refused', 'failure', 'client_gone'];
/** Of a code that is not in our table: a backend's own, which was passed on. */
const otherCode = 'Other';
/** No bucket can be called this. */
export const noBucket = '-';

type ByName<Name extends string, Value> = Readonly<Record<Name, Value>>;

/** What can be said of requests that reached no bucket, and of journal entries whose bucket is configured no more. */
export interface CommonFigures {
  readonly errors: CodeFigures;
  readonly disconnects: Figure;
  readonly abortFailures: Figure;
  readonly swept: Figure;
}

export function createCommonFigures(set: MetricSet, bucket: string): CommonFigures {
  return {
    errors: createCodeFigures((code) => set.errors.add({ bucket, code })),
    disconnects: set.disconnects.add({ bucket }),
    abortFailures: set.abortFailures.add({ bucket }),
    swept: set.multipartUploads.add({ bucket, status: 'swept' }),
  };
}

export type BucketFigures = ReturnType<typeof createBucketFigures>;

export function createBucketFigures(set: MetricSet, config: BucketConfig) {
  const bucket = config.name;
  return {
    ...createCommonFigures(set, bucket),
    ...createCallFigures(set, bucket),
    uploads: byName(operations, (operation) => ({
      ended: byName(statuses, (status) => set.uploads.add({ bucket, operation, status })),
      seconds: set.uploadSeconds.add({ bucket, operation }),
    })),
    firstByte: set.firstByteSeconds.add({ bucket }),
    uploadBytes: set.uploadBytes.add({ bucket }),
    receivedBytes: set.receivedBytes.add({ bucket }),
    waits: byName(['client', 'backend', 'memory', 'slot'], (reason) => set.waitSeconds.add({ bucket, reason })),
    multipart: byName(['started', 'completed', 'aborted'], (status) => set.multipartUploads.add({ bucket, status })),
    auth: createAuthFigures(set, config),
    jwtCacheHits: config.auth.enabled && config.auth.jwt ? set.jwtCacheHits.add({ bucket }) : undefined,
    jwks: createJwksFigures(set, config),
    authz: config.authz && createAuthzFigures(set, config),
  };
}

function createCallFigures(set: MetricSet, bucket: string) {
  const sending = new SlotList<{ readonly bytes: number }>();
  return {
    calls: byName(operations, (operation) => ({
      inFlight: set.callsInFlight.add({ bucket, operation }),
      seconds: set.callSeconds.add({ bucket, operation }),
      retries: set.retries.add({ bucket, operation }),
    })),
    callErrors: createCodeFigures((code) => set.callErrors.add({ bucket, code })),
    /** Bodies on their way to the backend. */
    sending,
    sentBytes: set.sentBytes.add({ bucket }, () => sumOf(sending, ({ bytes }) => bytes)),
  };
}

export function sumOf<T>(all: Iterable<T>, measure: (one: T) => number): number {
  let sum = 0;
  for (const one of all) sum += measure(one);
  return sum;
}

/** What the bucket takes, and requests without any of it. */
function createAuthFigures(set: MetricSet, { name: bucket, auth }: BucketConfig) {
  const methods: AuthMethod[] = auth.enabled ? ['none'] : ['anonymous'];
  if (auth.enabled && auth.jwt !== undefined) methods.push('jwt');
  if (auth.enabled && auth.sigv4 !== undefined) methods.push('sigv4');
  const results: readonly AuthResult[] = ['success', 'failure', 'unavailable'];
  const figures: Partial<ByName<AuthMethod, ByName<AuthResult, Figure>>> = byName(methods, (method) =>
    byName(results, (result) => set.authRequests.add({ bucket, method, result })),
  );
  return figures;
}

function createJwksFigures(set: MetricSet, { name: bucket, auth }: BucketConfig) {
  if (!auth.enabled || auth.jwt?.key.kind !== 'jwks') return undefined;
  let fetchedAtMs = performance.now();
  set.jwksAgeSeconds.add({ bucket }, () => (performance.now() - fetchedAtMs) / 1000);
  const fetches = byName(['success', 'failure'], (result) => set.jwksFetches.add({ bucket, result }));
  return {
    fetched(isSuccess: boolean): void {
      fetches[isSuccess ? 'success' : 'failure'].value++;
      if (isSuccess) fetchedAtMs = performance.now();
    },
  };
}

interface EngineFigures {
  readonly seconds: Distribution;
  readonly errors: Figure;
  readonly failedOpen: Figure;
}

function createAuthzFigures(set: MetricSet, { name: bucket, authz }: BucketConfig) {
  const engines = [...(authz?.opa ? ['opa'] : []), ...(authz?.openfga ? ['openfga'] : [])];
  // Where all have allowed, all have decided.
  const deciders = engines.length > 1 ? [...engines, engines.join('+')] : engines;
  return {
    seconds: set.decisionSeconds.add({ bucket }),
    decisions: byName(deciders, (engine) =>
      byName(['allow', 'deny'], (decision) =>
        byName(['true', 'false'], (cached) => set.decisions.add({ bucket, engine, decision, cached })),
      ),
    ),
    engines: byName(engines, (engine): EngineFigures => ({
      seconds: set.engineSeconds.add({ bucket, engine }),
      errors: set.engineErrors.add({ bucket, engine }),
      failedOpen: set.failedOpen.add({ bucket, engine }),
    })),
  };
}

export interface CodeFigures {
  of(code: string): Figure;
}

/** A code that is not S3's own comes from a backend, which may say anything. */
function createCodeFigures(add: (code: string) => Figure): CodeFigures {
  const other = add(otherCode);
  const known = new Map<string, Figure>(s3ErrorCodes.map((code) => [code, add(code)]));
  return { of: (code) => known.get(code) ?? other };
}

function byName<const Name extends string, Value>(
  names: readonly Name[],
  make: (name: Name) => Value,
): ByName<Name, Value> {
  return Object.fromEntries(names.map((name) => [name, make(name)])) as Record<Name, Value>;
}
