// Carries encoded spans to the collector, over gRPC or HTTP, with the transports of OpenTelemetry's own exporters. They are given
// every setting, so that they read none from the environment.
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { ExportResultCode } from '@opentelemetry/core';
import type { IOtlpExportDelegate } from '@opentelemetry/otlp-exporter-base';
import type { ISerializer } from '@opentelemetry/otlp-transformer';
import type { OtlpConfig } from '../../config/config.ts';
import { version } from '../../version.ts';

export interface SpanBatch {
  /** An ExportTraceServiceRequest. */
  readonly bytes: Uint8Array;
  readonly spans: number;
}

/** What a collector made of a batch that it took. */
export interface Receipt {
  readonly rejectedSpans: number;
  /** In its own words. */
  readonly message: string;
}

export interface SpanTransport {
  /** @throws Error when the batch has not arrived, or nobody knows. */
  send(batch: SpanBatch): Promise<Receipt>;
  /** Connects anew for the next batch: gRPC would wait for up to two minutes before it tries by itself. */
  reconnect(): void;
  close(): void;
}

type Delegate = IOtlpExportDelegate<SpanBatch>;
type Serializer = ISerializer<SpanBatch, Receipt>;

const pack = promisify(gzip);
const component = 'otlp_span_exporter';
const counter = { name: 'span' as const, countItems: ({ spans }: SpanBatch) => spans };
const userAgent = `mizuchi-uploadr/${version}`;

export async function createSpanTransport(config: OtlpConfig): Promise<SpanTransport> {
  const connect = config.protocol === 'grpc' ? await prepareGrpc(config) : await prepareHttp(config);
  let delegate: Delegate | undefined;
  let receipt: Receipt = { rejectedSpans: 0, message: '' };
  const serializer: Serializer = {
    serializeRequest: ({ bytes }) => bytes,
    deserializeResponse: (answer) => (receipt = readReceipt(answer)),
  };
  const disconnect = (): void => {
    void delegate?.shutdown().catch(() => undefined);
    delegate = undefined;
  };
  return {
    // One at a time, so that the receipt is the batch's own.
    async send({ bytes, spans }) {
      const batch = {
        bytes: packsItself(config) ? await pack(bytes, { level: constants.Z_BEST_SPEED }) : bytes,
        spans,
      };
      return new Promise((resolve, reject) => {
        receipt = { rejectedSpans: 0, message: '' };
        delegate ??= connect(serializer);
        delegate.export(batch, ({ code, error }) => {
          if (code === ExportResultCode.SUCCESS) resolve(receipt);
          else reject(error ?? new Error('the collector did not take the spans'));
        });
      });
    },
    reconnect: disconnect,
    close: disconnect,
  };
}

/**
 * The transports compress as well as they can, which takes four times as long as to compress quickly, for spans that come out
 * hardly smaller. gRPC's compression is part of its framing, and so stays the transport's own.
 */
function packsItself({ protocol, compression }: OtlpConfig): boolean {
  return protocol === 'http/protobuf' && compression === 'gzip';
}

function sharedOptions({ timeoutMs, compression }: OtlpConfig) {
  return { timeoutMillis: timeoutMs, concurrencyLimit: 2, compression, userAgent };
}

async function prepareGrpc(config: OtlpConfig): Promise<(serializer: Serializer) => Delegate> {
  const grpc = await import('@opentelemetry/otlp-grpc-exporter-base');
  const { protocol, hostname, port } = new URL(config.endpoint);
  const isSecure = protocol === 'https:';
  const options = {
    ...sharedOptions(config),
    url: `${hostname}:${port === '' ? (isSecure ? 443 : 80) : port}`,
    credentials: isSecure ? () => grpc.createSslCredentials() : grpc.createInsecureCredentials,
    metadata() {
      const metadata = grpc.createEmptyMetadata();
      for (const [name, value] of Object.entries(config.headers)) metadata.set(name, value);
      return metadata;
    },
  };
  return (serializer) =>
    grpc.createOtlpGrpcExportDelegate(
      options,
      serializer,
      component,
      counter,
      undefined,
      'TraceExportService',
      '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    );
}

async function prepareHttp(config: OtlpConfig): Promise<(serializer: Serializer) => Delegate> {
  const http = await import('@opentelemetry/otlp-exporter-base/node-http');
  const url = new URL(config.endpoint);
  if (url.pathname === '/') url.pathname = '/v1/traces';
  const options = {
    ...sharedOptions({ ...config, compression: 'none' }),
    url: url.href,
    // A new object each time: the transport writes into it.
    headers: async () => ({
      ...config.headers,
      'Content-Type': 'application/x-protobuf',
      ...(packsItself(config) && { 'Content-Encoding': 'gzip' }),
    }),
    agentFactory: http.httpAgentFactoryFromOptions({ keepAlive: true }),
  };
  return (serializer) => http.createOtlpHttpExportDelegate(options, serializer, component, counter, undefined);
}

/** ExportTraceServiceResponse, of which only `partial_success` says anything. */
function readReceipt(answer: Uint8Array): Receipt {
  let rejectedSpans = 0;
  let message = '';
  for (const [field, content] of readFields(answer)) {
    if (field !== 1 || typeof content === 'number') continue;
    for (const [inner, value] of readFields(content)) {
      if (inner === 1 && typeof value === 'number') rejectedSpans = value;
      if (inner === 2 && typeof value !== 'number') message = new TextDecoder().decode(value.subarray(0, 256));
    }
  }
  return { rejectedSpans, message };
}

/** Varints and length-delimited fields, up to the first that is neither or is cut off. */
function* readFields(bytes: Uint8Array): Generator<[field: number, value: number | Uint8Array]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < bytes.length) {
    const tag = varint();
    const value = varint();
    if (tag % 8 === 0) yield [Math.floor(tag / 8), value];
    else if (tag % 8 === 2) yield [Math.floor(tag / 8), bytes.subarray(at, (at += value))];
    else return;
  }
}
