// Copies the head of a request out of uWebSockets.js, whose request object lives only during the handler, and refuses
// heads that two servers could read in two ways (RFC 9112, sections 6.3 and 3.2), and expectations that nobody can meet.
import type { HttpRequest as UwsRequest } from 'uWebSockets.js';
import { RequestHeaders } from '../http.ts';
import { S3Error } from '../errors.ts';

export interface RequestHead {
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly headers: RequestHeaders;
  /** Bytes by Content-Length (0 when there is no body); undefined for chunked transfer coding. */
  readonly bodyLength: number | undefined;
  /**
   * Whether the head says nothing of a body. uWebSockets.js reads no field behind one without a name, so that a length may
   * stand there all the same: the connection is closed after the answer, lest the body be taken for the next request. Not of a
   * preflight: a page in another origin makes one for each part, and would connect anew for each.
   */
  readonly mayHideBody: boolean;
  /** Set when the head must be refused and the connection closed. */
  readonly fault: S3Error | undefined;
}

export function snapshotRequest(request: UwsRequest): RequestHead {
  const fields: string[] = [];
  const framing: Framing = {
    hosts: 0,
    contentLength: undefined,
    transferEncoding: undefined,
    isAmbiguous: false,
    expectation: '',
  };
  request.forEach((name, value) => {
    fields.push(name, value);
    noteFraming(framing, name, value);
  });
  const method = request.getCaseSensitiveMethod();
  const isPreflight = method === 'OPTIONS' && request.getHeader('access-control-request-method') !== '';
  return {
    method,
    rawPath: request.getUrl(),
    rawQuery: rawQueryOf(request),
    headers: new RequestHeaders(fields),
    bodyLength: framing.transferEncoding === undefined ? Number(framing.contentLength ?? 0) : undefined,
    mayHideBody: framing.contentLength === undefined && framing.transferEncoding === undefined && !isPreflight,
    fault: framingFault(framing) ?? expectationFault(framing.expectation),
  };
}

/** The build's types promise a string, but it is undefined when the target has no `?`. */
function rawQueryOf(request: { getQuery(): string | undefined }): string {
  return request.getQuery() ?? '';
}

interface Framing {
  hosts: number;
  contentLength: string | undefined;
  transferEncoding: string | undefined;
  isAmbiguous: boolean;
  /** The first one. */
  expectation: string;
}

function noteFraming(framing: Framing, name: string, value: string): void {
  switch (name) {
    case 'host':
      framing.hosts++;
      break;
    case 'content-length':
      if (framing.contentLength !== undefined) framing.isAmbiguous = true;
      framing.contentLength = value;
      break;
    case 'transfer-encoding':
      if (framing.transferEncoding !== undefined) framing.isAmbiguous = true;
      framing.transferEncoding = value;
      break;
    case 'expect':
      if (framing.expectation === '') framing.expectation = value;
      break;
    default:
  }
}

function framingFault(framing: Framing): S3Error | undefined {
  if (framing.hosts !== 1) return new S3Error('InvalidRequest', { detail: 'A request has exactly one Host header.' });
  if (framing.isAmbiguous || (framing.contentLength !== undefined && framing.transferEncoding !== undefined)) {
    return new S3Error('InvalidRequest', { detail: 'The length of the body is stated in more than one way.' });
  }
  if (framing.transferEncoding !== undefined && framing.transferEncoding.toLowerCase() !== 'chunked') {
    return new S3Error('NotImplemented', { detail: 'The only transfer coding supported is chunked.' });
  }
  if (framing.contentLength !== undefined && !/^\d{1,15}$/.test(framing.contentLength)) {
    return new S3Error('InvalidRequest', { detail: 'Content-Length is not a number of bytes.' });
  }
  return undefined;
}

/**
 * uWebSockets.js says 100 Continue to this one spelling, though letter case has no meaning here, and nobody else can say it: whoever
 * waits for it must hear something else (RFC 9110, section 10.1.1).
 */
function expectationFault(expectation: string): S3Error | undefined {
  return expectation === '' || expectation === '100-continue' ? undefined : new S3Error('ExpectationFailed');
}
