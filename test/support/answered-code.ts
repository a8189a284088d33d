// Which S3 error an answer is, by its document.
import type { Answer } from './send-request.ts';

/** Undefined for an answer that is none. */
export function answeredCode({ body }: Pick<Answer, 'body'>): string | undefined {
  return /<Code>(?<code>[^<]+)<\/Code>/u.exec(body)?.groups?.['code'];
}
