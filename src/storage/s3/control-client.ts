// The calls that carry no body of a client's, made by the AWS SDK; it is loaded at the first of them, so that a start is quick.
import { pipeline, Readable, Transform } from 'node:stream';
import type {
  $Command,
  S3Client,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes,
} from '@aws-sdk/client-s3';
import type { CallTrace } from '../../call-trace.ts';
import type { S3Error } from '../../errors.ts';
import type { ObjectHeaders } from '../storage.ts';
import type { CredentialSource } from './credential-source.ts';
import { checkHeaderField } from './header-field.ts';
import { MalformedAnswer } from './response-parser.ts';
import type { S3Credentials } from './sign-request.ts';
import { BackendRefusal, toS3Error } from './to-s3-error.ts';

/** Far more than a list of 1,000 parts takes, each with all that is known of it. */
const maxAnswerBytes = 4 * 1024 * 1024;

export type Sdk = typeof import('@aws-sdk/client-s3');
type Command<Input extends ServiceInputTypes, Output extends ServiceOutputTypes> = $Command<
  Input,
  Output,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes
>;

export interface ControlClientOptions {
  readonly region: string;
  readonly endpoint: string;
  readonly forcePathStyle: boolean;
  readonly credentials: CredentialSource;
  /** 0 = no limit. */
  readonly timeouts: { readonly connectMs: number; readonly idleMs: number; readonly totalMs: number };
}

export interface ControlAnswer<Output> {
  readonly output: Output;
  /** Of the HTTP answer, names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface ControlCall<Input extends ServiceInputTypes, Output extends ServiceOutputTypes> {
  readonly command: (sdk: Sdk) => Command<Input, Output>;
  /** Sent and signed as they are, beside what the command sends. */
  readonly headers: ObjectHeaders;
  readonly signal: AbortSignal;
  readonly trace?: CallTrace | undefined;
}

export interface ControlClient {
  /** One attempt. Rejects with the signal's reason or an S3Error. */
  call<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
    call: ControlCall<Input, Output>,
  ): Promise<ControlAnswer<Output>>;
  close(): void;
}

interface Loaded {
  readonly sdk: Sdk;
  readonly client: S3Client;
}

export function createControlClient(options: ControlClientOptions): ControlClient {
  let loading: Promise<Loaded> | undefined;
  let client: S3Client | undefined;
  const load = async (): Promise<Loaded> => {
    const sdk = await import('@aws-sdk/client-s3');
    client ??= createClient(sdk, options);
    return { sdk, client };
  };
  return {
    async call({ command, headers, signal, trace }) {
      signal.throwIfAborted();
      for (const [name, value] of headers) checkHeaderField(name, value);
      const { sdk, client } = await (loading ??= load());
      const prepared = command(sdk);
      const answerHeaders = new Map<string, string>();
      addHeaders(prepared, { headers, trace }, answerHeaders);
      let used: S3Credentials | undefined;
      try {
        used = await takeCredentials(options.credentials);
        const output = await client.send(prepared, { abortSignal: signal });
        return { output, headers: answerHeaders };
      } catch (error) {
        const failure = toS3Error(error);
        if (used !== undefined && hasExpiredCredentials(failure)) options.credentials.discard(used);
        signal.throwIfAborted();
        throw failure;
      }
    },
    close: () => client?.destroy(),
  };
}

function takeCredentials(credentials: CredentialSource): Promise<S3Credentials> {
  const current = credentials.current();
  return current === undefined ? credentials.load() : Promise.resolve(current);
}

function hasExpiredCredentials({ cause }: S3Error): boolean {
  return cause instanceof BackendRefusal && cause.hasExpiredCredentials;
}

function createClient(sdk: Sdk, options: ControlClientOptions): S3Client {
  const { region, endpoint, forcePathStyle, credentials, timeouts } = options;
  // These calls are few, and one that meets a connection which the server is closing may have been done or not: a connection for
  // each is cheaper than finding out.
  const agent = { keepAlive: false, maxSockets: 256 };
  return new sdk.S3Client({
    region,
    endpoint,
    forcePathStyle,
    // Else the SDK keeps what it was given until its expiration, and never learns that it was discarded.
    credentials: Object.assign(() => takeCredentials(credentials), { memoized: true }),
    // Whoever calls the storage makes the attempts, and a redirect would take our signature to a host that nobody has named.
    maxAttempts: 1,
    followRegionRedirects: false,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Said here so that neither the environment nor a profile file sends these calls elsewhere than the bodies.
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    useArnRegion: false,
    disableS3ExpressSessionAuth: true,
    disableMultiregionAccessPoints: true,
    defaultsMode: 'standard',
    requestHandler: {
      connectionTimeout: timeouts.connectMs,
      socketTimeout: timeouts.idleMs,
      requestTimeout: timeouts.totalMs,
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
  });
}

/** Header fields are given to the request itself rather than to the command's input, which has no member for some of them. */
function addHeaders<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
  command: Command<Input, Output>,
  { headers, trace }: Pick<ControlCall<Input, Output>, 'headers' | 'trace'>,
  answerHeaders: Map<string, string>,
): void {
  command.middlewareStack.add(
    (next) => (args) => {
      const sent = headersOf(args.request);
      for (const [name, value] of headers) sent[name] = value;
      return next(args);
    },
    { step: 'build', name: 'addObjectHeaders' },
  );
  // Runs after the signing, which takes strings as UTF-8 where node:http writes them as Latin-1; and within what reads the answer
  // and throws where it is a refusal.
  command.middlewareStack.add(
    (next) => async (args) => {
      const sent = headersOf(args.request);
      for (const name of headers.keys()) sent[name] = Buffer.from(sent[name] ?? '').toString('latin1');
      for (const [name, value] of trace?.fields ?? []) sent[name] = value;
      const result = await next(args);
      boundBody(result.response);
      for (const [name, value] of Object.entries(headersOf(result.response))) answerHeaders.set(name, value);
      trace?.onAnswer?.({ status: statusOf(result.response), requestId: answerHeaders.get('x-amz-request-id') });
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'encodeObjectHeaders' },
  );
}

/** The SDK reads an answer whole before it looks at it, however long it is. */
function boundBody(message: unknown): void {
  if (typeof message !== 'object' || message === null || !('body' in message)) return;
  const { body } = message;
  if (!(body instanceof Readable)) return;
  let bytes = 0;
  const bounded = new Transform({
    transform(chunk: Uint8Array, _, done) {
      bytes += chunk.byteLength;
      if (bytes <= maxAnswerBytes) done(null, chunk);
      else done(new MalformedAnswer('the body of the answer is too long'));
    },
  });
  // Its failure reaches the SDK by the stream itself.
  message.body = pipeline(body, bounded, () => undefined);
}

function headersOf(message: unknown): Record<string, string> {
  if (!hasHeaders(message)) throw new TypeError('an HTTP message of the SDK has no headers');
  return message.headers;
}

function statusOf(message: unknown): number {
  const isAnswer = typeof message === 'object' && message !== null && 'statusCode' in message;
  return isAnswer ? Number(message.statusCode) : 0;
}

function hasHeaders(message: unknown): message is { headers: Record<string, string> } {
  return typeof message === 'object' && message !== null && 'headers' in message && typeof message.headers === 'object';
}
