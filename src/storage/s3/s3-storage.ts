// Objects in any S3-compatible service: bodies over connections of our own, everything else by the AWS SDK.
import type { CallTrace } from '../../call-trace.ts';
import { S3Error } from '../../errors.ts';
import { encodeKey, percentEncode } from '../../uri/percent-encode.ts';
import type { Storage, StorageLimits, Stored } from '../storage.ts';
import { awsEndpoint, createBackendRoutes, type BackendRoute } from './backend-route.ts';
import { createKeyCheck } from './check-key.ts';
import { createCompleteUpload } from './complete-upload.ts';
import { ConnectionPool } from './connection-pool.ts';
import { createControlClient } from './control-client.ts';
import { createCredentialSource } from './credential-source.ts';
import { pickShownHeaders } from './header-field.ts';
import { frameBody } from './frame-body.ts';
import { LostPuts, type PutRequest } from './lost-puts.ts';
import { createMultipartCalls } from './multipart-calls.ts';
import type { Answer } from './response-parser.ts';
import { sendRequest } from './send-request.ts';
import { createRequestSigner, type S3Credentials } from './sign-request.ts';
import { BackendRefusal, readRefusal, toS3Error } from './to-s3-error.ts';

export interface S3StorageOptions {
  readonly region: string;
  /** Scheme and host; without it the region's endpoint of Amazon S3. */
  readonly endpoint?: string | undefined;
  /** False: the bucket is a label before the endpoint's host, where it can be one. */
  readonly forcePathStyle: boolean;
  /** Without them the AWS default chain: environment, profile, web identity, container, instance. */
  readonly credentials?: S3Credentials | undefined;
  /** connectMs: to make a connection. idleMs: no byte taken or answered. totalMs: one attempt as a whole. 0 = none. */
  readonly timeouts: { readonly connectMs: number; readonly idleMs: number; readonly totalMs: number };
  /**
   * Whether keys with a leading slash or `//` are stored as they are; otherwise they are refused. Amazon S3 keeps them, MinIO
   * drops a leading slash, gateways to a file system merge them.
   */
  readonly keepsEmptySegments: boolean;
  /** Whether every object is sent with a checksum, as a bucket with default retention demands. Default false. */
  readonly wantsChecksum?: boolean | undefined;
  /** To one host; a slow client's upload holds one, or one for each of its parts in flight. Default 8192. */
  readonly maxConnections?: number | undefined;
}

const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;

/** Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits". */
const limits: Omit<StorageLimits, 'wantsChecksum'> = {
  minPartBytes: 5 * mebibyte,
  maxPartBytes: 5 * gibibyte,
  maxParts: 10_000,
  maxPutBytes: 5 * gibibyte,
  maxObjectBytes: 5 * 1024 * gibibyte,
  streamsAnyLength: false,
};

/** Below the five seconds after which a server of node:http, the most impatient of the common ones, closes. */
const keepAliveMs = 4000;
/** With a host for each bucket there may be any number of hosts: pools past this are dropped while nothing is connected. */
const maxUnusedPools = 256;

/** @throws TypeError for an endpoint that is not a scheme and a host. */
export function createS3Storage(options: S3StorageOptions): Storage {
  const { region, forcePathStyle, timeouts } = options;
  const endpoint = options.endpoint ?? awsEndpoint(region);
  const credentials = createCredentialSource(options.credentials, region);
  const client = createControlClient({ region, endpoint, forcePathStyle, credentials, timeouts });
  const pools = createPools(timeouts, options.maxConnections ?? 8192);
  const routeTo = createBackendRoutes(endpoint, forcePathStyle);
  const sign = createRequestSigner(region);
  const checkKey = createKeyCheck(options.keepsEmptySegments);
  const multipart = createMultipartCalls(client);
  const lostPuts = new LostPuts(client);

  const put = async (request: PutRequest): Promise<Stored> => {
    const { address, query, signal, trace } = request;
    if (request.body.length === undefined) throw new S3Error('MissingContentLength');
    checkKey(address.key);
    const framed = frameBody(request.headers, request.body, request.body.length);
    const { headers, payloadHash, length, body } = framed;
    const route = routeTo(address.bucket);
    const path = route.pathPrefix + encodeKey(address.key);
    const signer = credentials.current() ?? (await credentials.load().catch(throwAsS3Error));
    const toSign = { method: 'PUT', path, query, host: route.host, headers, payloadHash };
    const target = query === '' ? path : `${path}?${query}`;
    let isHeadSent = false;
    try {
      const answer = await sendRequest({
        pool: pools.to(route),
        head: () => {
          const head = `PUT ${target} HTTP/1.1\r\n${sign(toSign, signer, Date.now())}${linesOf(trace)}content-length: ${length}\r\n\r\n`;
          isHeadSent = true;
          return head;
        },
        length,
        body,
        signal,
        totalMs: timeouts.totalMs,
      });
      trace?.onAnswer?.({ status: answer.status, requestId: answer.headers.get('x-amz-request-id') });
      if (answer.status === 200) return toStored(answer);
      const refusal = readRefusal(answer);
      if (refusal.hasExpiredCredentials) credentials.discard(signer);
      throw toS3Error(refusal);
    } catch (error) {
      // A small body has been read to its end before there is a connection.
      if (!isHeadSent) request.body.sentNothing?.();
      lostPuts.noteFailure(request.headers, error);
      throw error;
    } finally {
      framed.release();
    }
  };

  return {
    limits: { ...limits, wantsChecksum: options.wantsChecksum ?? false },
    putObject: (address, headers, body, signal, trace) => {
      const request = { address, query: '', headers, body, signal, trace };
      return lostPuts.has(headers) ? lostPuts.putAgain(request, put) : put(request);
    },
    uploadPart: (address, partNumber, headers, body, signal, trace) => {
      const query = `partNumber=${partNumber}&uploadId=${percentEncode(address.uploadId)}`;
      return put({ address, query, headers, body, signal, trace });
    },
    completeMultipartUpload: createCompleteUpload(client),
    ...multipart,
    createMultipartUpload: async (address, headers, signal, trace) => {
      checkKey(address.key);
      return multipart.createMultipartUpload(address, headers, signal, trace);
    },
    close: () => {
      pools.close();
      client.close();
      return Promise.resolve();
    },
  };
}

function linesOf(trace: CallTrace | undefined): string {
  if (trace === undefined) return '';
  let lines = '';
  for (const [name, value] of trace.fields) lines += `${name}: ${value}\r\n`;
  return lines;
}

function toStored(answer: Answer): Stored {
  const etag = answer.headers.get('etag') ?? '';
  if (etag === '') {
    const message = 'the backend answered success without an ETag';
    const cause = new BackendRefusal({
      status: 200,
      code: undefined,
      message,
      header: (name) => answer.headers.get(name),
    });
    throw toS3Error(cause);
  }
  return { etag, headers: pickShownHeaders(answer.headers) };
}

function throwAsS3Error(error: unknown): never {
  throw toS3Error(error);
}

function createPools(timeouts: S3StorageOptions['timeouts'], maxConnections: number) {
  const pools = new Map<string, ConnectionPool>();
  return {
    to({ hostname, port, isTls }: BackendRoute): ConnectionPool {
      let pool = pools.get(hostname);
      if (pool === undefined) {
        if (pools.size >= maxUnusedPools) {
          for (const [name, other] of pools) if (other.isUnused) pools.delete(name);
        }
        const { connectMs, idleMs } = timeouts;
        pool = new ConnectionPool({ hostname, port, isTls, connectMs, idleMs, keepAliveMs, maxConnections });
        pools.set(hostname, pool);
      }
      return pool;
    },
    close(): void {
      for (const pool of pools.values()) pool.close();
    },
  };
}
