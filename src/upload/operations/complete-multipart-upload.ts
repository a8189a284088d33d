// CompleteMultipartUpload: makes the object out of the parts that the client lists.
import { S3Error } from '../../errors.ts';
import type { HttpResponse } from '../../http.ts';
import type { ObjectHeaders } from '../../storage/storage.ts';
import { openBody } from '../body/open-body.ts';
import { readText } from '../body/read-text.ts';
import { withRetries } from '../body/retry.ts';
import type { OperationContext } from '../operation-context.ts';
import { checkObjectSize } from './check-object-size.ts';
import { parseCompleteMultipartUpload } from '../xml/parse-complete-multipart-upload.ts';
import { writeCompleteMultipartUploadResult } from '../xml/write-results.ts';
import { xmlResponse } from '../xml/xml-response.ts';

/** 10,000 parts with an ETag and a checksum each come to less. */
const maxXmlBytes = 4 * 1024 * 1024;

const firstPartMissing = 'This bucket looks at the first bytes of an object: part 1 must be one of the parts.';

export async function completeMultipartUpload(
  context: OperationContext,
  { uploadId }: { uploadId: string },
  headers: ObjectHeaders,
): Promise<HttpResponse> {
  const { request, storage, object, clientBucket, clientKey, settings } = context;
  const { signal } = request;
  // The checksum headers of this call are of the object, not of this body; Content-MD5 is of the body.
  const body = openBody(context, { maxBytes: maxXmlBytes, hasChecksum: false });
  const parts = parseCompleteMultipartUpload(await readText(body, maxXmlBytes));
  if (context.needsFirstPart && parts[0]?.partNumber !== 1)
    throw new S3Error('InvalidPart', { detail: firstPartMissing });
  const upload = { ...object, uploadId };
  await checkObjectSize(context, upload, parts, headers);
  const stored = await withRetries(() => storage.completeMultipartUpload(upload, parts, headers, signal), {
    retry: settings.retry,
    signal,
  });
  const location = `${request.isTls ? 'https' : 'http'}://${request.host}${request.rawPath}`;
  const xml = writeCompleteMultipartUploadResult({ location, bucket: clientBucket, key: clientKey, ...stored });
  return xmlResponse(xml, stored.headers);
}
