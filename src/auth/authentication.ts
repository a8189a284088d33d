// What authentication is asked and what it answers: the words that every kind of credential shares.
import type { CallTrace } from '../call-trace.ts';
import type { HttpRequest, RequestHeaders } from '../http.ts';
import type { Payload } from '../payload.ts';
import type { Principal } from './principal.ts';
import type { ReplayGuard } from './sigv4/replay-guard.ts';

/** What a credential is read from; the id is for the log. */
export type AuthRequest = Pick<HttpRequest, 'method' | 'rawPath' | 'rawQuery' | 'headers' | 'host'> &
  Partial<Pick<HttpRequest, 'id'>>;

export interface Authentication {
  readonly principal: Principal;
  readonly payload: Payload;
  /** The fields that the operation sees: the request's own, and those that a presigned URL carries in its query. */
  readonly headers: RequestHeaders;
  /** Whether a cookie lets it in: browsers add those by themselves, whoever's page asks. */
  readonly isByCookie: boolean;
  /**
   * Uses the signature up, where it is good for one request: to be called before anything is done, and as late as can be, as
   * what is refused until then may be sent again. Undefined where there is nothing to use up.
   * @throws S3Error as `ReplayGuard` does.
   */
  readonly claim: (() => Promise<void>) | undefined;
}

export interface AuthServices {
  /** Remembers signatures where a bucket accepts each only once. */
  readonly replays: Pick<ReplayGuard, 'claim'>;
  /** The server's own canonical request and string to sign, when a signature does not match: what people ask for then. */
  readonly onMismatch?: (details: Mismatch) => void;
  /** Makes one fetch of an identity provider's keys, and sees it. `cause` is of the request that cannot go on without it, if there is one. */
  readonly watchFetch?: WatchFetch | undefined;
  /** The keys of a bucket's identity provider could not be fetched: called at most once in each cool-down. */
  readonly onFetchFailed?: (error: unknown) => void;
  /** They were fetched, and none can be used, so every token is refused: called once for each such set. */
  readonly onNoUsableKey?: () => void;
  /** Counts tokens that were found good before, and so are believed. */
  readonly cacheHits?: HitCounter | undefined;
}

export interface HitCounter {
  value: number;
}

/** What a client should have signed. Credentials and what may be some are masked. */
export interface Mismatch {
  /** As the answer has it. */
  readonly requestId: string | undefined;
  readonly canonicalRequest: string;
  readonly stringToSign: string;
}

export type WatchFetch = <T>(fetch: (trace?: CallTrace) => Promise<T>, cause?: CallTrace) => Promise<T>;
