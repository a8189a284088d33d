// OpenTelemetry's exporters, given every setting.
import type { OTLPGRPCExporterConfigNode } from '@opentelemetry/otlp-grpc-exporter-base';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import { readSetting } from '../../config/check-files.ts';
import type { OtlpConfig } from '../../config/config.ts';
import { version } from '../../version.ts';
import { withoutVariables } from './own-surroundings.ts';

/** An enum of theirs, whose values are the configuration's own. */
type Compression = NonNullable<OTLPGRPCExporterConfigNode['compression']>;

const userAgent = `mizuchi-uploadr/${version}`;
/** When the process stops, all that waits is sent at once. */
const concurrencyLimit = 1_000_000;

/** Told of spans that a collector has not kept although it took the batch, before that batch is said to be exported. */
export type OnRejected = (spans: number, reason: string) => void;

/** @returns what makes an exporter, of the protocol that is configured. */
export async function prepareExporter(config: OtlpConfig): Promise<(onRejected: OnRejected) => SpanExporter> {
  const create = config.protocol === 'grpc' ? await prepareGrpc(config) : await prepareHttp(config);
  return (onRejected) => {
    const exporter = withoutVariables(create);
    watchAnswers(exporter, onRejected);
    return exporter;
  };
}

/**
 * The exporters tell of a partial success (OTLP specification, "Partial Success") to nobody but the diagnostic logger of the whole
 * process, which is not ours to set. So what they hand the answer to is changed.
 */
function watchAnswers(exporter: SpanExporter, onRejected: OnRejected): void {
  const delegate: unknown = Reflect.get(exporter, '_delegate');
  if (typeof delegate !== 'object' || delegate === null || !Reflect.has(delegate, '_responseHandler')) return;
  const handleResponse = (answer?: TraceAnswer): void => {
    const { rejectedSpans = 0, errorMessage = '' } = answer?.partialSuccess ?? {};
    if (Number(rejectedSpans) > 0) onRejected(Number(rejectedSpans), errorMessage);
  };
  Reflect.set(delegate, '_responseHandler', { handleResponse });
}

interface TraceAnswer {
  readonly partialSuccess?: { readonly rejectedSpans?: number | string; readonly errorMessage?: string };
}

async function prepareGrpc(config: OtlpConfig): Promise<() => SpanExporter> {
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-grpc');
  const grpc = await import('@opentelemetry/otlp-grpc-exporter-base');
  const ca = readAuthority(config);
  return () => {
    const metadata = grpc.createEmptyMetadata();
    for (const [name, value] of Object.entries(config.headers)) metadata.set(name, value);
    const isSecure = config.endpoint.startsWith('https:');
    return new OTLPTraceExporter({
      url: config.endpoint,
      timeoutMillis: config.timeoutMs,
      compression: config.compression as Compression,
      credentials: isSecure ? grpc.createSslCredentials(ca) : grpc.createInsecureCredentials(),
      metadata,
      concurrencyLimit,
      userAgent,
    });
  };
}

async function prepareHttp(config: OtlpConfig): Promise<() => SpanExporter> {
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  const url = new URL(config.endpoint);
  if (url.pathname === '/') url.pathname = '/v1/traces';
  const ca = readAuthority(config);
  return () =>
    new OTLPTraceExporter({
      url: url.href,
      timeoutMillis: config.timeoutMs,
      compression: config.compression as Compression,
      headers: { ...config.headers },
      httpAgentOptions: { keepAlive: true, ca },
      concurrencyLimit,
      userAgent,
    });
}

const readAuthority = ({ caFile }: OtlpConfig): Buffer | undefined =>
  caFile === undefined ? undefined : readSetting(caFile, 'tracing.otlp.ca_file');
