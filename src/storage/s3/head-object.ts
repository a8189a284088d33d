// Looks at the object that is there, to find out whether it is the one that a lost answer spoke of.
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { CallTrace } from '../../call-trace.ts';
import { S3Error } from '../../errors.ts';
import type { ObjectAddress, ObjectHeaders } from '../storage.ts';
import type { ControlAnswer, ControlClient } from './control-client.ts';
import { BackendRefusal } from './to-s3-error.ts';

export interface FoundObject {
  /** As it was answered, quotes included. */
  readonly etag: string;
  /** Whether the ETag says nothing of the bytes. */
  readonly hasOpaqueEtag: boolean;
  readonly sizeBytes: number | undefined;
  /** Of the answer, names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface HeadOptions {
  /** Of the call whose answer was lost: those that an object cannot be looked at without go with this one too. */
  readonly headers: ObjectHeaders;
  readonly signal: AbortSignal;
  readonly trace: CallTrace | undefined;
}

const isForReading = /^x-amz-(?:server-side-encryption-customer-.+|expected-bucket-owner|request-payer)$/;

/** @returns undefined when nothing is there, or it cannot be looked at. Rejects with the signal's reason. */
export async function headObject(
  client: ControlClient,
  address: ObjectAddress,
  options: HeadOptions,
): Promise<FoundObject | undefined> {
  const found = await lookAtObject(client, address, options);
  return typeof found === 'string' ? undefined : found;
}

/** @returns 'unseen' when nobody can tell what is there: it may not be looked at, or the call failed. Rejects with the signal's reason. */
export async function lookAtObject(
  client: ControlClient,
  { bucket, key }: ObjectAddress,
  { headers, signal, trace }: HeadOptions,
): Promise<FoundObject | 'nothing' | 'unseen'> {
  const call = client.call({
    command: (sdk) => new sdk.HeadObjectCommand({ Bucket: bucket, Key: key }),
    headers: new Map([...headers].filter(([name]) => isForReading.test(name))),
    signal,
    // What is answered here is not the answer to the call that is traced.
    trace: trace && { fields: trace.fields },
  });
  try {
    return toFound(await call);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof S3Error)) throw error;
    return error.cause instanceof BackendRefusal && error.cause.status === 404 ? 'nothing' : 'unseen';
  }
}

function toFound({ headers, output }: ControlAnswer<HeadObjectCommandOutput>): FoundObject | 'unseen' {
  const { ETag: etag, ContentLength: sizeBytes } = output;
  return etag === undefined ? 'unseen' : { etag, hasOpaqueEtag: isOpaque(headers), sizeBytes, headers };
}

// Amazon S3 API Reference, "Object": the ETag is no MD5 digest for SSE-C and SSE-KMS.
function isOpaque(headers: ReadonlyMap<string, string>): boolean {
  const isKms = headers.get('x-amz-server-side-encryption')?.startsWith('aws:kms') ?? false;
  return isKms || headers.has('x-amz-server-side-encryption-customer-algorithm');
}

export function unquoted(etag: string): string {
  return etag.replaceAll(/^"|"$/g, '');
}
