// What the server says of itself: alive, ready, and what it is.
import type { HttpRequest, HttpResponse } from './http.ts';
import type { PageRoute } from './ui/serve-page.ts';

export interface ReadinessCheck {
  readonly name: string;
  /** Without others the server still does its work: they are named, and that is all. True unless told. */
  readonly isNeeded?: boolean;
  /** Rejects when the neighbour cannot be used. */
  check(signal: AbortSignal): Promise<void>;
}

export interface StatusOptions {
  readonly version: string;
  readonly checks: readonly ReadinessCheck[];
  readonly isStopping: () => boolean;
  /** Undefined: there is no upload page. */
  readonly page: PageRoute | undefined;
  /** Figures of the moment for `GET /health`. */
  readonly figures: () => Record<string, number>;
  /** A check that failed: its cause is for the log alone. */
  readonly onCheckFailed: (name: string, error: unknown) => void;
}

/** Answers of the neighbours are believed for this long, so that probes cannot load them. */
const believedMs = 2000;
const checkTimeoutMs = 5000;

export function createStatusRoutes(
  options: StatusOptions,
): (request: HttpRequest) => Promise<HttpResponse> | undefined {
  let checked: { atMs: number; away: Promise<ReadinessCheck[]> } | undefined;

  function away(): Promise<ReadinessCheck[]> {
    const nowMs = performance.now();
    if (checked === undefined || nowMs - checked.atMs > believedMs) checked = { atMs: nowMs, away: findAway(options) };
    return checked.away;
  }

  async function ready(): Promise<HttpResponse> {
    if (options.isStopping()) return json(503, { status: 'stopping' });
    const missing = await away();
    const names = missing.length === 0 ? {} : { away: [...new Set(missing.map(({ name }) => name))] };
    const isReady = missing.every(({ isNeeded }) => isNeeded === false);
    return isReady ? json(200, { status: 'ready', ...names }) : json(503, { status: 'not ready', ...names });
  }

  return (request) => {
    const { method, rawPath, rawQuery, headers } = request;
    const page = options.page?.(request);
    if (page !== undefined) return Promise.resolve(page);
    if (method !== 'GET' && method !== 'HEAD') return undefined;
    switch (rawPath) {
      case '/health':
        return Promise.resolve(json(200, { status: 'alive', ...options.figures() }));
      case '/ready':
        return ready();
      case '/':
        // With a query or a signature it is an S3 client's ListBuckets, refused as such.
        return rawQuery === '' && headers.get('authorization')?.startsWith('AWS') !== true
          ? Promise.resolve(json(200, { name: 'mizuchi-uploadr', version: options.version }))
          : undefined;
      default:
        return undefined;
    }
  };
}

async function findAway({ checks, onCheckFailed }: StatusOptions): Promise<ReadinessCheck[]> {
  const signal = AbortSignal.timeout(checkTimeoutMs);
  const results = await Promise.allSettled(checks.map((one) => one.check(signal)));
  return checks.filter((one, i) => {
    const result = results[i];
    if (result?.status === 'rejected') onCheckFailed(one.name, result.reason);
    return result?.status === 'rejected';
  });
}

function json(status: number, body: object): HttpResponse {
  return { status, headers: [['Content-Type', 'application/json']], body: `${JSON.stringify(body)}\n` };
}
