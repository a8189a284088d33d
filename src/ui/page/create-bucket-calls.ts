// Makes S3's calls for uploads. Source: Amazon S3 API Reference, the operations by their names.
import type { BucketCalls } from './bucket-calls.ts';
import { readPartList, readText, writePartList, type StoredPart } from './read-xml.ts';
import { sendRequest } from './send-request.ts';
import { UploadFault } from './upload-fault.ts';

/** @param token of the moment: it can be another one at the next call. */
export function createBucketCalls(token: () => string): BucketCalls {
  const withId = (path: string, uploadId: string) => `${path}?uploadId=${encodeURIComponent(uploadId)}`;
  return {
    async putObject(path, body, contentType, options) {
      const headers = { 'Content-Type': contentType };
      await sendRequest({ method: 'PUT', url: path, headers, body, token: token(), ...options });
    },
    async createMultipartUpload(path, contentType, signal) {
      const headers = { 'Content-Type': contentType };
      const answer = await sendRequest({ method: 'POST', url: `${path}?uploads`, headers, token: token(), signal });
      return readText(answer.body, 'UploadId');
    },
    async uploadPart(path, uploadId, number, body, options) {
      const url = `${withId(path, uploadId)}&partNumber=${number}`;
      // Its type is the whole file's, and the browser would send it along.
      const bytes = body.slice(0, body.size, '');
      const { etag } = await sendRequest({ method: 'PUT', url, body: bytes, token: token(), ...options });
      if (etag === '') throw new UploadFault('final', 'The server did not confirm what it was sent.');
      return etag;
    },
    async listParts(path, uploadId, signal) {
      const parts: StoredPart[] = [];
      for (let marker: number | undefined = 0; marker !== undefined;) {
        const url = `${withId(path, uploadId)}&part-number-marker=${marker}`;
        const page = readPartList((await sendRequest({ method: 'GET', url, token: token(), signal })).body);
        parts.push(...page.parts);
        marker = page.nextMarker;
      }
      return parts;
    },
    async completeMultipartUpload(path, uploadId, parts, signal) {
      const headers = { 'Content-Type': 'application/xml' };
      const body = writePartList(parts);
      await sendRequest({ method: 'POST', url: withId(path, uploadId), headers, body, token: token(), signal });
    },
    async abortMultipartUpload(path, uploadId, signal) {
      try {
        await sendRequest({ method: 'DELETE', url: withId(path, uploadId), token: token(), signal });
      } catch (error) {
        if (!(error instanceof UploadFault && error.kind === 'gone')) throw error;
      }
    },
  };
}
