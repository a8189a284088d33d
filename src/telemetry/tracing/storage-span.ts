// One attempt of one call to a storage.
import type { BucketConfig } from '../../config/config.ts';
import { awsEndpoint } from '../../storage/s3/backend-route.ts';
import type { StorageSpan } from '../observer.ts';
import type { StorageCall, StorageCallEnd, StorageCallName } from '../watched-storage.ts';
import { keys, names } from './attributes.ts';
import { codeOf, writeFailure } from './failure.ts';
import { addressAttributes } from './address-attributes.ts';
import { RecordedSpan, type SpanStart } from './recorded-span.ts';
import { encodeAttribute, spanKinds, type SpanWriter } from './span-writer.ts';

const methods: Readonly<Record<StorageCallName, string>> = {
  PutObject: 'PUT',
  CreateMultipartUpload: 'POST',
  UploadPart: 'PUT',
  CompleteMultipartUpload: 'POST',
  AbortMultipartUpload: 'DELETE',
  ListParts: 'GET',
};

/** What every span of one call to one storage says. */
interface CallKind {
  readonly name: string;
  readonly kind: SpanStart['kind'];
  readonly attributes: Uint8Array;
}

export type StorageCallKinds = Readonly<Record<StorageCallName, CallKind>>;

export function describeStorageCalls({ storage }: Pick<BucketConfig, 'storage'>): StorageCallKinds {
  const kinds = Object.entries(methods).map(([call, method]): [string, CallKind] => {
    if (storage.kind === 'filesystem') {
      return [call, { name: `filesystem.${call}`, kind: spanKinds.internal, attributes: new Uint8Array(0) }];
    }
    const attributes = Buffer.concat([
      encodeAttribute(names.rpcSystem, 'aws-api'),
      encodeAttribute(names.rpcMethod, `S3/${call}`),
      encodeAttribute(names.httpMethod, method),
      addressAttributes(storage.endpoint ?? awsEndpoint(storage.region)),
    ]);
    return [call, { name: `S3.${call}`, kind: spanKinds.client, attributes }];
  });
  return Object.fromEntries(kinds) as Record<StorageCallName, CallKind>;
}

export interface StorageSpanStart extends Pick<SpanStart, 'trace' | 'parent'> {
  readonly call: StorageCall & { readonly attempt: number };
  readonly kinds: StorageCallKinds;
  readonly includeKeys: boolean;
}

export class RecordedStorageSpan extends RecordedSpan implements StorageSpan {
  readonly #start: StorageSpanStart;

  constructor(start: StorageSpanStart) {
    super({ ...start.kinds[start.call.name], trace: start.trace, parent: start.parent });
    this.#start = start;
  }

  endCall(end: StorageCallEnd): void {
    const { call, kinds, includeKeys } = this.#start;
    this.finish((writer) => {
      writer.encoded(kinds[call.name].attributes);
      writer.text(keys.s3Bucket, call.object.bucket);
      if (includeKeys) writer.text(keys.s3Key, call.object.key);
      if (call.partNumber !== undefined) writer.integer(keys.s3PartNumber, call.partNumber);
      if (call.parts !== undefined) writer.integer(keys.parts, call.parts);
      if (call.attempt > 1) writer.integer(keys.resendCount, call.attempt - 1);
      if (end.bytes > 0) writer.integer(keys.sentBytes, end.bytes);
      writeWaits(writer, end);
      // Nothing was wrong with the backend when we have given the call up ourselves.
      if (end.isGivenUp) writer.text(keys.errorType, codeOf(end.error));
      else if (end.error !== undefined) writeFailure(writer, end.error, this.epochMs(performance.now()));
    });
  }
}

export function writeWaits(
  writer: SpanWriter,
  {
    clientWaitMs,
    backendWaitMs,
    memoryWaitMs,
  }: Pick<StorageCallEnd, 'clientWaitMs' | 'backendWaitMs' | 'memoryWaitMs'>,
): void {
  if (clientWaitMs >= 1) writer.integer(keys.clientWaitMs, Math.round(clientWaitMs));
  if (backendWaitMs >= 1) writer.integer(keys.backendWaitMs, Math.round(backendWaitMs));
  if (memoryWaitMs >= 1) writer.integer(keys.memoryWaitMs, Math.round(memoryWaitMs));
}
