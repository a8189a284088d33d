// Reads a small body whole: the XML of a CompleteMultipartUpload.
import { S3Error } from '../../errors.ts';
import type { IncomingBody } from './incoming-body.ts';

/** @throws S3Error MalformedXML when it is longer than `maxBytes` or not UTF-8; and as IncomingBody.next. */
export async function readText(body: IncomingBody, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) {
    try {
      if (body.receivedBytes > maxBytes) throw new S3Error('MalformedXML');
      text += decode(decoder, chunk.bytes);
    } finally {
      chunk.release();
    }
  }
  return text + decode(decoder);
}

function decode(decoder: InstanceType<typeof TextDecoder>, bytes?: Uint8Array): string {
  try {
    return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
  } catch (cause) {
    throw new S3Error('MalformedXML', { cause });
  }
}
