// A successful answer with a document in it.
import type { HttpResponse } from '../../http.ts';

/** @param headers what the backend said of the object and the client shall see. */
export function xmlResponse(xml: string, headers: Iterable<readonly [string, string]> = []): HttpResponse {
  return { status: 200, headers: [['Content-Type', 'application/xml'], ...headers], body: xml };
}
