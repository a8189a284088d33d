// What a header field may hold on its way to a backend, and which of an answer's the client may see.
import { S3Error } from '../../errors.ts';

// RFC 9110, section 5.6.2.
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const endsTheLine = /[\0\r\n]/;

/** @throws S3Error InvalidArgument for a field that would end its line, or the head. */
export function checkHeaderField(name: string, value: string): void {
  if (!token.test(name) || endsTheLine.test(value)) {
    throw new S3Error('InvalidArgument', { detail: 'A header field holds a character that is not allowed.' });
  }
}

const shown =
  /^x-amz-(?:version-id|checksum-.+|server-side-encryption.*|expiration|object-lock-.+|storage-class|request-charged|abort-date|abort-rule-id)$/;

/** The fields of an answer that say something of the object, and nothing of the backend. Names in lower case. */
export function pickShownHeaders(headers: Iterable<readonly [name: string, value: string]>): Map<string, string> {
  const picked = new Map<string, string>();
  for (const [name, value] of headers) {
    if (name.startsWith('x-amz-') && shown.test(name)) picked.set(name, value);
  }
  return picked;
}
