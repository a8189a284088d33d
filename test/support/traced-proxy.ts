// A proxy that traces, its real neighbours with a recorder before each, and the collector that it exports to.
import { startMinio } from '../servers/start-minio.ts';
import { startOpa } from '../servers/start-opa.ts';
import { startRotel, type Collector } from '../servers/start-rotel.ts';
import type { S3Server } from '../servers/start-s3-server.ts';
import { passOnTo, startRecorder, type Recorder } from './recorder.ts';
import { createBucket, type BucketView } from './s3-client.ts';
import { jwtSecret, startProxy, type RunningProxy } from './start-proxy.ts';
import { startTracedClient, type TracedClient } from './traced-client.ts';

export interface TracedProxy {
  readonly collector: Collector;
  readonly client: TracedClient;
  readonly proxy: RunningProxy;
  readonly store: S3Server;
  readonly stored: BucketView;
  readonly storeRecorder: Recorder;
  readonly opaRecorder: Recorder;
  stop(): Promise<void>;
}

export interface TracedProxyOptions {
  /** Of the configuration, besides where the collector is. */
  readonly tracing?: { readonly otlp?: object; readonly [key: string]: unknown };
  /** Of the bucket `uploads`, besides its storage; `authz` is given only where OPA is asked. */
  readonly bucket?: object;
  /** Allows everything unless told. */
  readonly policy?: string;
}

export const credential = { accessKey: 'AKIDTRACED', secretKey: 'a-secret-key-for-traces', region: 'us-east-1' };
export const bothKinds = {
  jwt: { algorithm: 'HS256', secret: jwtSecret, token_sources: [{ type: 'bearer' }, { type: 'query', name: 'token' }] },
  sigv4: { access_key: credential.accessKey, secret_key: credential.secretKey, region: credential.region },
};

export async function startTracedProxy(options: TracedProxyOptions = {}): Promise<TracedProxy> {
  const [collector, store, opa] = await Promise.all([
    startRotel(),
    startMinio(),
    startOpa({ policy: options.policy ?? 'package mizuchi\n\nallow := true\n' }),
  ]);
  const stored = await createBucket(store, 'backend-bucket');
  const storeRecorder = await startRecorder(passOnTo(store));
  const opaRecorder = await startRecorder(passOnTo(opa));
  const proxy = await startProxy({
    config: {
      metrics: { enabled: false },
      tracing: traceTo(collector, options.tracing),
      buckets: [
        {
          name: 'uploads',
          path_prefix: '/uploads',
          s3: {
            bucket: stored.bucket,
            region: store.region,
            endpoint: storeRecorder.endpoint,
            access_key: store.accessKey,
            secret_key: store.secretKey,
          },
          auth: bothKinds,
          authz: { opa: { url: opaRecorder.endpoint } },
          ...options.bucket,
        },
      ],
    },
  });
  const client = startTracedClient(collector);
  // What was asked until the proxy was ready is not of interest.
  storeRecorder.seen.length = 0;
  opaRecorder.seen.length = 0;
  return {
    collector,
    client,
    proxy,
    store,
    stored,
    storeRecorder,
    opaRecorder,
    async stop() {
      await proxy.stop();
      await client.stop();
      await Promise.all([storeRecorder.stop(), opaRecorder.stop(), opa.stop(), store.stop(), collector.stop()]);
    },
  };
}

/** The `tracing` block. */
export function traceTo(
  collector: Pick<Collector, 'grpcUrl'>,
  { otlp, ...tracing }: NonNullable<TracedProxyOptions['tracing']> = {},
): object {
  return {
    enabled: true,
    otlp: { endpoint: collector.grpcUrl, ...otlp },
    batch: { scheduled_delay_millis: 50 },
    ...tracing,
  };
}
