// How the SDK of OpenFGA sends: bounded in time, twice at most, and with faults that hold nothing of what was sent.
import type { AxiosAdapter, AxiosError, AxiosInstance, AxiosResponse, AxiosStatic } from 'axios' with {
  'resolution-mode': 'require',
};
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { CallTrace } from '../call-trace.ts';
import { OpenFgaFault } from './openfga-answers.ts';

export interface OpenFgaTransport {
  readonly axios: AxiosInstance;
  close(): void;
}

export interface OpenFgaTransportOptions {
  /** Of OpenFGA; whatever else is asked is the issuer of its tokens. */
  readonly url: string;
  /** PEM, for OpenFGA alone; undefined: the authorities that Node trusts. */
  readonly ca: string | undefined;
  /** For requests that come without a signal. */
  readonly timeoutMs: number;
  /** Of OpenFGA's errors: those that may be told. */
  readonly codes: ReadonlySet<string>;
}

/** A model is at most 256 KiB, in a denser form than JSON. */
const maxAnswerBytes = 4 * 1024 * 1024;
const maxConnections = 64;

/** @param axios the SDK's own, so that there is one of it. @returns rejects with an OpenFgaFault and nothing else. */
export function createOpenFgaTransport(
  axios: AxiosStatic,
  { url, ca, timeoutMs, codes }: OpenFgaTransportOptions,
): OpenFgaTransport {
  const pool = { keepAlive: true, maxSockets: maxConnections };
  const httpAgent = new HttpAgent(pool);
  const httpsAgent = new HttpsAgent(pool);
  const openFgaAgent = ca === undefined ? httpsAgent : new HttpsAgent({ ...pool, ca });
  const instance = axios.create({
    httpAgent,
    httpsAgent,
    adapter: twice(axios.getAdapter('http')),
    // Else variables of the environment would choose where questions go, and so would a redirect.
    proxy: false,
    maxRedirects: 0,
    maxContentLength: maxAnswerBytes,
    responseType: 'json',
    transitional: { silentJSONParsing: false },
  });
  const { origin } = new URL(url);
  const isOpenFga = (target: string | undefined): boolean => target !== undefined && new URL(target).origin === origin;
  const nameOf = (target: string | undefined): string => (isOpenFga(target) ? 'OpenFGA' : 'OpenFGA’s token issuer');
  // The SDK fetches tokens without a signal: one that never came would be waited for by every later question.
  instance.interceptors.request.use((request) => {
    request.signal ??= AbortSignal.timeout(timeoutMs);
    if (isOpenFga(request.url)) request.httpsAgent = openFgaAgent;
    return request;
  });
  instance.interceptors.response.use(
    (response) => {
      tellAnswer(response);
      if (response.status === 200 && typeof response.data === 'object' && response.data !== null) return response;
      throw describeAnswer(nameOf(response.config.url), response, codes);
    },
    ({ config, code, response }: AxiosError) => {
      const name = nameOf(config?.url);
      if (response !== undefined) {
        tellAnswer(response);
        throw describeAnswer(name, response, codes);
      }
      if (code === 'ERR_CANCELED') throw new OpenFgaFault(`${name} did not answer within ${timeoutMs} ms`);
      throw new OpenFgaFault(`${name} cannot be asked (${code ?? 'no reason given'})`);
    },
  );
  return {
    axios: instance,
    close() {
      httpAgent.destroy();
      httpsAgent.destroy();
      openFgaAgent.destroy();
    },
  };
}

/** The SDK hands on whatever stands beside its own options. */
function tellAnswer({ config, status }: AxiosResponse): void {
  (config as { readonly trace?: CallTrace }).trace?.onAnswer?.({ status });
}

const connectionErrors: ReadonlySet<string | undefined> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EAI_AGAIN',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** A connection that was kept alive may be gone, and a server may be between two starts. */
function twice(send: AxiosAdapter): AxiosAdapter {
  return async (request) => {
    try {
      return await send(request);
    } catch (error) {
      const { code, response } = error as AxiosError;
      if (response !== undefined || !connectionErrors.has(code) || request.signal?.aborted === true) throw error;
      return send(request);
    }
  };
}

// RFC 6749, section 5.2, and RFC 8707, section 2.
const oauthErrors: ReadonlySet<unknown> = new Set([
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_target',
]);

/** Nothing but a code that is known is told: the rest of what a server says may repeat the question. */
function describeAnswer(
  name: string,
  { status, data }: AxiosResponse<unknown>,
  codes: ReadonlySet<unknown>,
): OpenFgaFault {
  if (status === 200) return new OpenFgaFault(`${name} answered 200 with no JSON object`, status);
  const said = typeof data === 'object' && data !== null ? data : {};
  const code = 'code' in said ? said.code : 'error' in said ? said.error : undefined;
  const isKnown = codes.has(code) || oauthErrors.has(code);
  return new OpenFgaFault(`${name} answered ${status}${isKnown ? ` (${String(code)})` : ''}`, status);
}
