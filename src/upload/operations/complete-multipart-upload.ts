// CompleteMultipartUpload: makes the object out of the parts that the client lists.
import type { HttpResponse } from '../../http.ts';
import type { CompletedPart, ObjectHeaders } from '../../storage/storage.ts';
import type { IncomingBody } from '../body/incoming-body.ts';
import { openBody } from '../body/open-body.ts';
import { withRetries } from '../body/retry.ts';
import type { OperationContext } from '../operation-context.ts';
import { CompletedPartsParser } from '../xml/parse-complete-multipart-upload.ts';
import { writeCompleteMultipartUploadResult } from '../xml/write-results.ts';
import { xmlResponse } from '../xml/xml-response.ts';
import { checkFirstPart, checkObjectSize } from './check-object-size.ts';
import { withReservedMemory } from './with-reserved-memory.ts';

/** 10,000 parts with an ETag and a checksum each come to less. */
const maxXmlBytes = 4 * 1024 * 1024;
/** Some 200 parts: as many of these as may run at once do not need much. */
const smallXmlBytes = 32 * 1024;
/** What the list of parts takes in memory, for each byte of the document (measured, 10,000 parts). */
const memoryPerByte = 3;

/** @throws as `openBody`. */
export function openPartsList(context: OperationContext): IncomingBody {
  // The checksum headers of this call are of the object, not of this body; Content-MD5 is of the body.
  return openBody(context, { maxBytes: maxXmlBytes, hasChecksum: false });
}

export async function completeMultipartUpload(
  context: OperationContext,
  { uploadId }: { uploadId: string },
  headers: ObjectHeaders,
): Promise<HttpResponse> {
  const body = openPartsList(context);
  const { length: xmlBytes = maxXmlBytes } = body;
  const complete = () => completeParts(context, uploadId, body, headers);
  if (xmlBytes <= smallXmlBytes) return complete();
  const listBytes = Math.min(xmlBytes * memoryPerByte, context.budget.reservableBytes);
  return withReservedMemory(context, listBytes, () => {
    body.setReserved();
    return complete();
  });
}

async function completeParts(
  context: OperationContext,
  uploadId: string,
  body: IncomingBody,
  headers: ObjectHeaders,
): Promise<HttpResponse> {
  const { request, storage, object, clientBucket, clientKey, settings } = context;
  const { signal } = request;
  const parts = await receiveParts(body);
  const upload = { ...object, uploadId };
  if (context.needsFirstPart) await checkFirstPart(context, upload, parts, headers);
  await checkObjectSize(context, upload, parts, headers);
  const stored = await withRetries(() => storage.completeMultipartUpload(upload, parts, headers, signal), {
    retry: settings.retry,
    signal,
  });
  const location = `${request.isTls ? 'https' : 'http'}://${request.host}${request.rawPath}`;
  const xml = writeCompleteMultipartUploadResult({ location, bucket: clientBucket, key: clientKey, ...stored });
  return xmlResponse(xml, stored.headers);
}

async function receiveParts(body: IncomingBody): Promise<readonly CompletedPart[]> {
  const parser = new CompletedPartsParser();
  for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) {
    try {
      parser.write(chunk.bytes);
    } finally {
      chunk.release();
    }
  }
  return parser.end();
}
