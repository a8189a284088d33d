// Which S3 operation a request asks for, or with which error it is refused, before anything is touched.
import { S3Error } from '../errors.ts';
import type { HttpRequest } from '../http.ts';
import type { Operation } from './operation.ts';
import { parseQuery, type QueryParameter } from '../uri/parse-query.ts';
import { screenRequest } from './screen-request.ts';
import { isSubresource } from './subresources.ts';

export type { Operation } from './operation.ts';

const putObject: Operation = { name: 'PutObject' };
/** Amazon S3 User Guide, "Amazon S3 multipart upload limits". */
const maxPartNumber = 10_000;
const maxListedParts = 1000;
const maxInteger = 2_147_483_647;

/**
 * @param key undefined when the path names a bucket.
 * @param makesKey whether an object that is sent to the bucket's path gets its key from the proxy.
 * @throws S3Error MethodNotAllowed (with Allow), NotImplemented, InvalidArgument, InvalidRequest, InvalidURI, NoSuchUpload,
 * MissingContentLength, AccessControlListNotSupported.
 */
export function parseOperation(
  request: Pick<HttpRequest, 'method' | 'rawQuery' | 'headers'>,
  key: string | undefined,
  makesKey = false,
): Operation {
  const query = parseQuery(request.rawQuery);
  if (key === undefined && !(makesKey && isForNewKey(request.method, query)))
    return bucketOperation(request.method, query, makesKey);
  const operation = objectOperation(request.method, query);
  if (request.method === 'PUT' || request.method === 'POST') screenRequest(operation.name, request.headers);
  return operation;
}

/** With an upload id it is of an object that has its key already. */
function isForNewKey(method: string, query: readonly QueryParameter[]): boolean {
  return (method === 'PUT' && !has(query, 'uploadId')) || (method === 'POST' && has(query, 'uploads'));
}

function bucketOperation(method: string, query: readonly QueryParameter[], makesKey: boolean): Operation {
  if (method === 'HEAD') return { name: 'HeadBucket' };
  const isLocation = query.some(([name]) => name === 'location');
  if (method === 'GET' && isLocation) return { name: 'GetBucketLocation' };
  throw methodNotAllowed(`${isLocation ? 'GET, ' : ''}HEAD${makesKey ? ', PUT, POST' : ''}`);
}

function objectOperation(method: string, query: readonly QueryParameter[]): Operation {
  if (query.length === 0) {
    if (method === 'PUT') return putObject;
    throw methodNotAllowed('PUT');
  }
  switch (method) {
    case 'PUT':
    case 'POST':
    case 'DELETE':
      refuseSubresources(method, query);
      return writeOperation(method, query);
    case 'GET':
      if (has(query, 'uploadId') && !query.some(([name]) => isSubresource(name))) return listParts(query);
      throw methodNotAllowed(allowedMethods(query));
    default:
      throw methodNotAllowed(allowedMethods(query));
  }
}

function writeOperation(method: 'PUT' | 'POST' | 'DELETE', query: readonly QueryParameter[]): Operation {
  const isCreate = has(query, 'uploads');
  const isOfUpload = has(query, 'uploadId');
  if (isCreate && isOfUpload) throw invalidArgument('uploads and uploadId exclude each other.');
  if (isCreate) {
    if (method !== 'POST') throw methodNotAllowed('POST');
    return { name: 'CreateMultipartUpload' };
  }
  if (method === 'PUT') {
    if (isOfUpload !== has(query, 'partNumber')) throw invalidArgument('partNumber and uploadId need each other.');
    if (!isOfUpload) return putObject;
    return { name: 'UploadPart', partNumber: readPartNumber(query), uploadId: readUploadId(query) };
  }
  if (!isOfUpload) throw methodNotAllowed('PUT');
  const name = method === 'POST' ? 'CompleteMultipartUpload' : 'AbortMultipartUpload';
  return { name, uploadId: readUploadId(query) };
}

function listParts(query: readonly QueryParameter[]): Operation {
  return {
    name: 'ListParts',
    uploadId: readUploadId(query),
    maxParts: Math.min(readCount(query, 'max-parts') ?? maxListedParts, maxListedParts),
    partNumberMarker: readCount(query, 'part-number-marker') ?? 0,
  };
}

/** Whatever a sub-resource's body may mean, it is not an object's content. */
function refuseSubresources(method: string, query: readonly QueryParameter[]): void {
  for (const [name, value] of query) {
    if (isSubresource(name)) throw new S3Error('NotImplemented');
    switch (name) {
      case 'uploads':
      case 'uploadId':
      case 'partNumber':
      case 'x-id':
        break;
      case 'versionId':
        if (method !== 'DELETE') throw invalidArgument('This operation does not accept a versionId.');
        break;
      default:
        // Sub-resources that S3 may yet get look like this; parameters that S3 ignores have a value, save the header fields that a
        // presigned URL carries.
        if (value === '' && !/^x-amz-/i.test(name)) throw new S3Error('NotImplemented');
    }
  }
}

function readPartNumber(query: readonly QueryParameter[]): number {
  const text = readOnce(query, 'partNumber') ?? '';
  const partNumber = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (partNumber < 1 || partNumber > maxPartNumber) {
    throw invalidArgument('Part number must be an integer between 1 and 10000, inclusive.');
  }
  return partNumber;
}

function readUploadId(query: readonly QueryParameter[]): string {
  const uploadId = readOnce(query, 'uploadId') ?? '';
  if (uploadId === '') throw new S3Error('NoSuchUpload');
  return uploadId;
}

function readCount(query: readonly QueryParameter[], name: string): number | undefined {
  const text = readOnce(query, name);
  if (text === undefined) return undefined;
  const count = /^\d{1,10}$/.test(text) ? Number(text) : Infinity;
  if (count > maxInteger) throw invalidArgument(`${name} must be an integer between 0 and ${maxInteger}.`);
  return count;
}

/** The first of two values is as good as the last: a policy and a backend that chose differently could be played off. */
function readOnce(query: readonly QueryParameter[], wanted: string): string | undefined {
  let found: string | undefined;
  for (const [name, value] of query) {
    if (name !== wanted) continue;
    if (found !== undefined) throw invalidArgument(`${wanted} is given more than once.`);
    found = value;
  }
  return found;
}

function has(query: readonly QueryParameter[], wanted: string): boolean {
  return query.some(([name]) => name === wanted);
}

function allowedMethods(query: readonly QueryParameter[]): string {
  if (query.some(([name]) => isSubresource(name))) return 'PUT';
  if (has(query, 'uploads')) return 'POST';
  return has(query, 'uploadId') ? 'GET, PUT, POST, DELETE' : 'PUT';
}

function methodNotAllowed(allow: string): S3Error {
  return new S3Error('MethodNotAllowed', { headers: [['Allow', allow]] });
}

function invalidArgument(detail: string): S3Error {
  return new S3Error('InvalidArgument', { detail });
}
