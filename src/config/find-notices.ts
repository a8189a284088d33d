// What a configuration asks for that is said aloud at start: what makes the proxy less safe, and what does nothing.
import type { ParsedConfig } from './schema.ts';

type ParsedBucket = ParsedConfig['buckets'][number];
type ParsedJwt = NonNullable<ParsedBucket['auth']['jwt']>;

/** One sentence each. */
export function findNotices(config: ParsedConfig): string[] {
  return [
    ...config.buckets.flatMap(findAuthNotices),
    ...(config.redis === undefined ? config.buckets.flatMap(findReplayNotices) : []),
    ...config.buckets.flatMap(findAuthzNotices),
    ...config.buckets.flatMap(findCorsNotices),
    ...config.buckets.flatMap(findBackendNotices),
    ...config.buckets.flatMap(findUploadIdNotices),
    ...findServerNotices(config),
    ...findTelemetryNotices(config),
  ];
}

function findAuthNotices({ name, auth }: ParsedBucket): string[] {
  if (!auth.enabled) return [`bucket ${name}: auth.enabled is false, so whoever reaches the proxy may upload to it`];
  return auth.jwt === undefined ? [] : findJwtNotices(name, auth.jwt);
}

function findJwtNotices(
  name: string,
  { jwks_url: url, audience, claims, token_sources: sources }: ParsedJwt,
): string[] {
  const notices: string[] = [];
  if (url !== undefined && isReadable(url)) {
    notices.push(`bucket ${name}: jwks_url is http://, so whoever stands on the way can replace the keys`);
  }
  if (url !== undefined && audience === undefined && claims.length === 0) {
    notices.push(
      `bucket ${name}: jwks_url without audience or claims, so every token of that provider is taken, whatever it was made for`,
    );
  }
  if (sources.some(({ type }) => type === 'query')) {
    notices.push(`bucket ${name}: tokens are taken from the query, which other servers on the way may log`);
  }
  if (sources.some(({ type }) => type === 'cookie')) {
    notices.push(
      `bucket ${name}: tokens are taken from cookies, which browsers add for pages of other sites too unless they are SameSite=Strict or Lax`,
    );
  }
  return notices;
}

const rejectsReplays = ({ auth }: ParsedBucket): boolean => auth.enabled && auth.sigv4?.reject_replays === true;

function findReplayNotices(bucket: ParsedBucket): string[] {
  if (!rejectsReplays(bucket)) return [];
  return [
    `bucket ${bucket.name}: reject_replays without redis.url, so used signatures are forgotten when the process ends`,
  ];
}

function findAuthzNotices({ name, authz }: ParsedBucket): string[] {
  if (authz === undefined) return [];
  if (!authz.enabled) return [`bucket ${name}: authz.enabled is false, so no policy engine is asked`];
  const notices: string[] = [];
  if (authz.fail_mode === 'open') {
    notices.push(
      `bucket ${name}: authz.fail_mode is open, so requests are let through while an engine cannot be asked`,
    );
  }
  for (const engine of ['opa', 'openfga'] as const) {
    const url = authz[engine]?.url;
    if (url === undefined || !isReadable(url)) continue;
    notices.push(
      `bucket ${name}: authz.${engine}.url is http://, so whoever stands on the way can allow what it refuses`,
    );
  }
  return notices;
}

/** Where the browser itself brings what lets somebody in, or nothing is needed, any page can upload with it. */
function findCorsNotices({ name, auth, cors }: ParsedBucket): string[] {
  if (cors?.allowed_origins.includes('*') !== true) return [];
  const isByQuery = auth.enabled && auth.jwt?.token_sources.some(({ type }) => type === 'query') === true;
  if (auth.enabled && !isByQuery) return [];
  const why = isByQuery ? 'a token that a link has shown it' : 'nothing but a visitor';
  return [`bucket ${name}: cors.allowed_origins is *, so pages of every origin can upload with ${why}`];
}

function findBackendNotices({ name, s3 }: ParsedBucket): string[] {
  if (s3?.endpoint === undefined || !isReadable(s3.endpoint)) return [];
  return [`bucket ${name}: s3.endpoint is http://, so whoever stands on the way can read what is uploaded`];
}

function findUploadIdNotices({ name, s3, upload }: ParsedBucket): string[] {
  const key = upload.bind_multipart_to_creator ? 'bind_multipart_to_creator' : 'sniff_content_type';
  if (!upload[key] || s3 === undefined || s3.secret_key !== undefined) return [];
  return [
    `bucket ${name}: ${key} without s3.secret_key: proxies that do not share a state_dir refuse each other's multipart uploads`,
  ];
}

function findServerNotices({ buckets, server, redis, ui }: ParsedConfig): string[] {
  const notices: string[] = [];
  if (server.tls === undefined && server.trusted_proxies.length === 0 && !isLoopback(server.address.host)) {
    notices.push(
      `server.address is ${server.address.host} without server.tls or server.trusted_proxies, so tokens and bodies are readable on the way`,
    );
  }
  if (server.trusted_proxies.some((range) => range.endsWith('/0'))) {
    notices.push('server.trusted_proxies holds every address, so every client can say what address it has');
  }
  if (ui.enabled) notices.push('ui.enabled is true, so whoever reaches the proxy sees the names of its buckets at /');
  if (redis !== undefined && !buckets.some(rejectsReplays)) {
    notices.push('redis.url has no effect: no bucket has auth.sigv4.reject_replays');
  }
  if (redis !== undefined && isReadable(redis.url)) {
    notices.push('redis.url is redis://, so whoever stands on the way can have used signatures forgotten');
  }
  if (server.zero_copy !== undefined) {
    notices.push('server.zero_copy has no effect: bodies are verified on their way, so no kernel path applies to them');
  }
  return notices;
}

function findTelemetryNotices({ metrics, tracing, logging }: ParsedConfig): string[] {
  const notices: string[] = [];
  if (metrics.enabled && !isLoopback(metrics.address)) {
    notices.push(`metrics.address is ${metrics.address}, so whoever reaches port ${metrics.port} can read the metrics`);
  }
  if (tracing.enabled) {
    if (tracing.include_keys) notices.push('tracing.include_keys is true, so spans hold object keys');
    if (tracing.include_subject) notices.push('tracing.include_subject is true, so spans say who uploads');
    const { endpoint, headers } = tracing.otlp;
    if (endpoint !== undefined && isReadable(endpoint) && Object.keys(headers).length > 0) {
      notices.push('tracing.otlp.endpoint is http://, so whoever stands on the way can read tracing.otlp.headers');
    }
  }
  if (logging.level === 'debug' || logging.level === 'trace') {
    notices.push(`logging.level is ${logging.level}, so the log shows what clients signed: keys and header fields`);
  }
  return notices;
}

/** Whether others than this machine see what is sent to an address. */
function isReadable(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return (protocol === 'http:' || protocol === 'redis:') && !isLoopback(hostname);
}

const isLoopback = (host: string): boolean => /^(?:localhost|127\.[\d.]+|::1|\[::1\])$/.test(host);
