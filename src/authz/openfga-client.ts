// The OpenFGA server as the official SDK talks to it.
import type * as Sdk from '@openfga/sdk';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { CallTrace } from '../call-trace.ts';
import type { OpenFgaConfig } from '../config/config.ts';
import { OpenFgaFault, type Answer } from './openfga-answers.ts';
import type { TupleKey } from './openfga-question.ts';
import { createOpenFgaTransport } from './openfga-transport.ts';

export type AuthorizationModel = Sdk.AuthorizationModel;

export interface OpenFgaClient {
  /**
   * @returns an answer for each check, or why OpenFGA could not answer that one.
   * @throws OpenFgaFault when the question as a whole is not answered.
   */
  check(
    checks: readonly TupleKey[],
    contextualTuples: readonly TupleKey[],
    signal: AbortSignal,
    trace?: CallTrace,
  ): Promise<readonly Answer[]>;
  /** @throws OpenFgaFault when the store or the model is not there, or OpenFGA cannot be asked. */
  readModel(signal: AbortSignal): Promise<AuthorizationModel>;
  close(): void;
}

// Source: OpenFGA, --max-checks-per-batch-check.
const maxBatch = 50;
/** OpenFGA takes 616,448 bytes in one message (pkg/server/config, DefaultMaxRPCMessageSizeInBytes). */
const maxBatchBytes = 400_000;

/** @throws Error for a URL or an id that is none, and when the file of the authority cannot be read. */
export function createOpenFgaClient(config: OpenFgaConfig): OpenFgaClient {
  // Here, and not at the top: it takes 25 MiB, which a proxy without OpenFGA keeps.
  const require = createRequire(import.meta.url);
  const sdk = require('@openfga/sdk') as typeof Sdk;
  const axios = require('axios') as Parameters<typeof createOpenFgaTransport>[0];
  const codes = errorCodesOf(sdk);
  const ca = config.caFile === undefined ? undefined : readFileSync(config.caFile, 'utf8');
  const transport = createOpenFgaTransport(axios, { ...config, ca, codes });
  const settings = toSdkSettings(sdk, config);
  const create = () => new sdk.OpenFgaClient(settings, transport.axios);
  let client = create();
  const call = async <T>(ask: (client: Sdk.OpenFgaClient) => Promise<T>): Promise<T> => {
    const used = client;
    try {
      return await ask(used);
    } catch (error) {
      const fault = toFault(error);
      // The SDK keeps a token until it expires; this one may have been withdrawn before.
      const mayBeStale = fault.status === 401 && config.credentials?.kind === 'client-credentials';
      if (mayBeStale && used === client) client = create();
      throw fault;
    }
  };
  const consistency = config.consistency as Sdk.ConsistencyPreference;
  return {
    async check(checks, contextualTuples, signal, trace) {
      const headers = Object.fromEntries(trace?.fields ?? []);
      const [first] = checks;
      if (first !== undefined && checks.length === 1) {
        const options = { consistency, signal, headers, trace };
        const one = { ...first, contextualTuples: [...contextualTuples] };
        const { allowed } = await call((client) => client.check(one, options));
        if (typeof allowed !== 'boolean') throw new OpenFgaFault('OpenFGA did not say whether it allows', 200);
        return [allowed];
      }
      const options = { consistency, signal, headers, trace, maxBatchSize: batchSizeFor(contextualTuples) };
      const batch = { checks: toBatch(checks, contextualTuples) };
      const { result } = await call((client) => client.batchCheck(batch, options));
      const answers = new Map(result.map((one) => [one.correlationId, one]));
      return checks.map((_, index) => readAnswer(answers.get(idOf(index)), codes));
    },
    readModel: (signal) => readModel(call, config, signal),
    close: () => transport.close(),
  };
}

async function readModel(
  call: <T>(ask: (client: Sdk.OpenFgaClient) => Promise<T>) => Promise<T>,
  { storeId, modelId }: OpenFgaConfig,
  signal: AbortSignal,
): Promise<AuthorizationModel> {
  const options: Sdk.ClientRequestOpts & { readonly signal: AbortSignal } = { signal };
  await call((client) => client.getStore(options)).catch((error: unknown) => {
    throw isNotFound(error) ? new OpenFgaFault(`OpenFGA has no store ${storeId}`, 404) : error;
  });
  const { authorization_model: model } = await call((client) =>
    modelId === undefined ? client.readLatestAuthorizationModel(options) : client.readAuthorizationModel(options),
  ).catch((error: unknown) => {
    throw isNotFound(error) ? new OpenFgaFault(`OpenFGA has no model ${modelId} in store ${storeId}`, 404) : error;
  });
  if (!Array.isArray(model?.type_definitions)) throw new OpenFgaFault(`OpenFGA has no model in store ${storeId}`, 404);
  return model;
}

function isNotFound(error: unknown): boolean {
  // A model that is not there is a 400.
  return error instanceof OpenFgaFault && / \((?:store_id|authorization_model)_not_found\)$/.test(error.message);
}

/** Every check of a batch carries all contextual tuples. */
function batchSizeFor(contextualTuples: readonly TupleKey[]): number {
  // User, relation and object at their longest, in bytes, and what stands around them.
  const bytes = 2_000 + Buffer.byteLength(JSON.stringify(contextualTuples));
  return Math.min(maxBatch, Math.max(1, Math.floor(maxBatchBytes / bytes)));
}

function toBatch(checks: readonly TupleKey[], contextualTuples: readonly TupleKey[]): Sdk.ClientBatchCheckItem[] {
  const contextual = contextualTuples.length === 0 ? {} : { contextualTuples: { tuple_keys: [...contextualTuples] } };
  return checks.map((check, index) => ({ ...check, ...contextual, correlationId: idOf(index) }));
}

/** None that an answer of another shape, a list for one, would have by chance. */
const idOf = (index: number): string => `check-${index}`;

function readAnswer(answer: Sdk.ClientBatchCheckSingleResponse | undefined, codes: ReadonlySet<string>): Answer {
  if (answer?.error) {
    const { input_error: input, internal_error: internal } = answer.error;
    const code = [input, internal].find((one) => one !== undefined && codes.has(one));
    const said = code === undefined ? '' : ` (${code})`;
    return new OpenFgaFault(`OpenFGA could not answer one check of several${said}`, input === undefined ? 500 : 400);
  }
  if (typeof answer?.allowed !== 'boolean') throw new OpenFgaFault('OpenFGA did not answer every check', 200);
  return answer.allowed;
}

function errorCodesOf(sdk: typeof Sdk): ReadonlySet<string> {
  const { ErrorCode, AuthErrorCode, InternalErrorCode, NotFoundErrorCode, UnprocessableContentErrorCode } = sdk;
  const kinds = [ErrorCode, AuthErrorCode, InternalErrorCode, NotFoundErrorCode, UnprocessableContentErrorCode];
  return new Set(kinds.flatMap((codes) => Object.values<string>(codes)));
}

function toSdkSettings(sdk: typeof Sdk, config: OpenFgaConfig): Sdk.UserClientConfigurationParams {
  return {
    // The SDK takes a URL only as URL itself would write it.
    apiUrl: new URL(config.url).href.replace(/\/$/, ''),
    storeId: config.storeId,
    ...(config.modelId === undefined ? {} : { authorizationModelId: config.modelId }),
    // Its own would outlast the deadline, and obey a Retry-After of half an hour; the transport tries again by itself.
    retryParams: { maxRetry: 0 },
    // Its attributes hold stores and addresses; what is measured is for the proxy to say.
    telemetry: { metrics: {} },
    ...toSdkCredentials(sdk, config),
  };
}

function toSdkCredentials(
  { CredentialsMethod }: typeof Sdk,
  { credentials }: OpenFgaConfig,
): Pick<Sdk.UserClientConfigurationParams, 'credentials'> {
  if (credentials === undefined) return {};
  if (credentials.kind === 'token') {
    return { credentials: { method: CredentialsMethod.ApiToken, config: { token: credentials.token } } };
  }
  const { issuer, audience, clientId, clientSecret } = credentials;
  return {
    credentials: {
      method: CredentialsMethod.ClientCredentials,
      config: { apiTokenIssuer: issuer, apiAudience: audience, clientId, clientSecret },
    },
  };
}

// The SDK wraps whatever its transport throws into an error of its own that keeps the message alone.
function toFault(error: unknown): OpenFgaFault {
  if (error instanceof OpenFgaFault) return error;
  const message = error instanceof Error ? error.message : '';
  const said = /^FGA Error: (?<said>OpenFGA.*)$/su.exec(message)?.groups?.['said'];
  if (said === undefined) {
    return new OpenFgaFault(`the SDK of OpenFGA failed (${error instanceof Error ? error.name : typeof error})`);
  }
  const status = /^OpenFGA answered (?<status>\d{3})/u.exec(said)?.groups?.['status'];
  return new OpenFgaFault(said, status === undefined ? undefined : Number(status));
}
