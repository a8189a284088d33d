// The exhaustive table of operations: what each does with its request.
import type { HttpResponse } from '../../http.ts';
import type { Operation } from '../../routing/operation.ts';
import { screenObjectHeaders } from '../object-headers.ts';
import type { OperationContext } from '../operation-context.ts';
import { writeLocationConstraint } from '../xml/write-results.ts';
import { xmlResponse } from '../xml/xml-response.ts';
import { abortMultipartUpload } from './abort-multipart-upload.ts';
import { completeMultipartUpload, openPartsList } from './complete-multipart-upload.ts';
import { createMultipartUpload } from './create-multipart-upload.ts';
import { dropBody, openUnusedBody } from './drop-body.ts';
import { listParts } from './list-parts.ts';
import { openObjectBody, putObject } from './put-object.ts';
import { openPartBody, uploadPart } from './upload-part.ts';

/** Whether the operation makes something of its body, and so needs an upload slot and memory. */
export function takesBody({ name }: Operation): boolean {
  return name === 'PutObject' || name === 'UploadPart' || name === 'CompleteMultipartUpload';
}

/**
 * Finds what the head alone shows to be wrong, before anything is used up that the client has only once.
 * @throws S3Error as `runOperation` would.
 */
export function checkHead({ name }: Operation, context: OperationContext): void {
  if (name !== 'AbortMultipartUpload' && name !== 'HeadBucket' && name !== 'GetBucketLocation')
    screenObjectHeaders(name, context.headers);
  if (name === 'PutObject') openObjectBody(context);
  else if (name === 'UploadPart') openPartBody(context);
  else if (name === 'CompleteMultipartUpload') openPartsList(context);
  else openUnusedBody(context);
}

/** @throws S3Error; and what the request's body or signal ended with. */
export async function runOperation(operation: Operation, context: OperationContext): Promise<HttpResponse> {
  const { headers } = context;
  if (!takesBody(operation)) await dropBody(context);
  switch (operation.name) {
    case 'PutObject':
      return putObject(context, screenObjectHeaders('PutObject', headers));
    case 'CreateMultipartUpload':
      return createMultipartUpload(context, screenObjectHeaders('CreateMultipartUpload', headers));
    case 'UploadPart':
      return uploadPart(context, operation, screenObjectHeaders('UploadPart', headers));
    case 'CompleteMultipartUpload':
      return completeMultipartUpload(context, operation, screenObjectHeaders('CompleteMultipartUpload', headers));
    case 'AbortMultipartUpload':
      return abortMultipartUpload(context, operation);
    case 'ListParts':
      return listParts(context, operation, screenObjectHeaders('ListParts', headers));
    // Answered from the configuration: clients ask these two before they upload.
    case 'HeadBucket':
      return { status: 200, headers: [['x-amz-bucket-region', context.region]] };
    case 'GetBucketLocation':
      return xmlResponse(writeLocationConstraint(context.region));
  }
}
