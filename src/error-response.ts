// The answer to whatever was thrown: S3's error document, and nothing that is not for the client.
import { S3Error } from './errors.ts';
import type { HttpResponse } from './http.ts';
import { element, xmlDeclaration } from './upload/xml/escape-xml.ts';

export interface ErrorResponseOptions {
  readonly requestId: string;
  /** The path as received. */
  readonly resource: string;
}

/** Anything but an S3Error is answered InternalError. Format: Amazon S3 API Reference, "REST error responses". */
export function errorResponse(error: unknown, { requestId, resource }: ErrorResponseOptions): HttpResponse {
  const known = error instanceof S3Error ? error : new S3Error('InternalError');
  const headers: (readonly [string, string])[] = [['Content-Type', 'application/xml'], ...known.headers];
  if (known.status === 429 || known.status === 503) headers.push(['Retry-After', retryAfter(known.retryAfterMs)]);
  // Clients that signed for another region read it here, and sign again.
  const region = known.headers.find(([name]) => name === 'x-amz-bucket-region')?.[1];
  const content =
    element('Code', known.code) +
    element('Message', known.message) +
    known.elements.map(([name, text]) => element(name, text)).join('') +
    (region === undefined ? '' : element('Region', region)) +
    element('Resource', resource) +
    element('RequestId', requestId);
  return { status: known.status, headers, body: `${xmlDeclaration}<Error>${content}</Error>` };
}

/** Whole seconds (RFC 9110, section 10.2.3), never less than was asked for, and never none. */
function retryAfter(ms: number | undefined): string {
  return String(Math.max(1, Math.ceil((ms ?? 0) / 1000)));
}
