// One request to a server of the tests, for setting it up. Whatever its certificate: it is the code under test that must look
// at that.
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

export interface ServerCall {
  readonly url: string;
  readonly method: string;
  /** JSON, or what else the server takes for it. */
  readonly body?: string | undefined;
  /** Sent as a bearer token. */
  readonly token?: string | undefined;
}

export function callServer({ url, method, body, token }: ServerCall): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const request = url.startsWith('https:')
      ? httpsRequest(url, { method, headers, rejectUnauthorized: false, agent: false })
      : httpRequest(url, { method, headers, agent: false });
    request.on('error', reject);
    request.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') }),
      );
    });
    request.end(body);
  });
}
