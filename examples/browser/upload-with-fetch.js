// One PUT with fetch. The browser streams the file from the disk and says its length, but does not tell of progress.
import { objectUrl, readError } from './session.js';

/** @returns {Promise<string | null>} the object's ETag. */
export async function uploadWithFetch(
  /** @type {{ url: string, token: string }} */ { url, token },
  /** @type {File} */ file,
  /** @type {AbortSignal} */ signal,
) {
  const answer = await fetch(objectUrl(url, file.name), {
    method: 'PUT',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': file.type || 'application/octet-stream' },
    body: file,
    signal,
  });
  if (!answer.ok) throw readError(answer.status, await answer.text());
  return answer.headers.get('ETag');
}
