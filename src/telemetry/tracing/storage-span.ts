// One attempt of one call to a storage.
import { SpanKind, type Attributes } from '@opentelemetry/api';
import type { BucketConfig } from '../../config/config.ts';
import { awsEndpoint } from '../../storage/s3/backend-route.ts';
import type { StorageSpan } from '../observer.ts';
import type { StorageCall, StorageCallEnd, StorageCallName } from '../watched-storage.ts';
import { names, ownNames } from './attributes.ts';
import { codeOf } from './failure.ts';
import { addressAttributes } from './address-attributes.ts';
import { RecordedSpan, type SpanStart } from './recorded-span.ts';

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
  readonly attributes: Attributes;
}

export type StorageCallKinds = Readonly<Record<StorageCallName, CallKind>>;

export function describeStorageCalls({ storage }: Pick<BucketConfig, 'storage'>): StorageCallKinds {
  const kinds = Object.entries(methods).map(([call, method]): [string, CallKind] => {
    if (storage.kind === 'filesystem') {
      return [call, { name: `filesystem.${call}`, kind: SpanKind.INTERNAL, attributes: {} }];
    }
    const attributes = {
      [names.rpcSystem]: 'aws-api',
      [names.rpcMethod]: `S3/${call}`,
      [names.httpMethod]: method,
      ...addressAttributes(storage.endpoint ?? awsEndpoint(storage.region)),
    };
    return [call, { name: `S3.${call}`, kind: SpanKind.CLIENT, attributes }];
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
    const { call, kinds, includeKeys, parent } = this.#start;
    const attributes: Attributes = {
      ...kinds[call.name].attributes,
      [names.s3Bucket]: call.object.bucket,
      ...waitAttributes(end),
    };
    if (parent === undefined) attributes[ownNames.background] = true;
    if (includeKeys) attributes[names.s3Key] = call.object.key;
    if (call.partNumber !== undefined) attributes[names.s3PartNumber] = call.partNumber;
    if (call.parts !== undefined) attributes[ownNames.parts] = call.parts;
    if (call.attempt > 1) attributes[names.resendCount] = call.attempt - 1;
    if (end.bytes > 0) attributes[ownNames.sentBytes] = end.bytes;
    // Nothing was wrong with the backend when we have given the call up ourselves.
    if (end.isGivenUp) this.finish({ ...attributes, [names.errorType]: codeOf(end.error) });
    else this.finish(attributes, end.error);
  }
}

export function waitAttributes({
  clientWaitMs,
  backendWaitMs,
  memoryWaitMs,
}: Pick<StorageCallEnd, 'clientWaitMs' | 'backendWaitMs' | 'memoryWaitMs'>): Attributes {
  const attributes: Attributes = {};
  if (clientWaitMs >= 1) attributes[ownNames.clientWaitMs] = Math.round(clientWaitMs);
  if (backendWaitMs >= 1) attributes[ownNames.backendWaitMs] = Math.round(backendWaitMs);
  if (memoryWaitMs >= 1) attributes[ownNames.memoryWaitMs] = Math.round(memoryWaitMs);
  return attributes;
}
