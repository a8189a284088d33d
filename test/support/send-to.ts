// A request to a proxy with a good token, unless it brings its own.
import { sendRequest, type Answer, type RequestOptions } from './send-request.ts';
import { createToken, type RunningProxy } from './start-proxy.ts';

/** A PUT to `/` where nothing else is said. */
export async function sendTo(proxy: RunningProxy, options: Partial<RequestOptions>): Promise<Answer> {
  const authorization = `Bearer ${await createToken()}`;
  return sendRequest({
    url: proxy.url,
    method: 'PUT',
    path: '/',
    ...options,
    headers: { authorization, ...options.headers },
  });
}
