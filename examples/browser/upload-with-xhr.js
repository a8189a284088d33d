// One PUT with XMLHttpRequest, which tells how much has been sent.
import { objectUrl, readError } from './session.js';

/** @returns {Promise<string | null>} the object's ETag. */
export function uploadWithXhr(
  /** @type {{ url: string, token: string }} */ { url, token },
  /** @type {File} */ file,
  /** @type {(sentBytes: number, totalBytes: number) => void} */ onProgress,
) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open('PUT', objectUrl(url, file.name));
    xhr.setRequestHeader('Authorization', `Bearer ${token}`);
    xhr.setRequestHeader('Content-Type', file.type || 'application/octet-stream');
    xhr.upload.addEventListener('progress', ({ loaded, total }) => onProgress(loaded, total));
    xhr.addEventListener('load', () => {
      if (xhr.status === 200) resolve(xhr.getResponseHeader('ETag'));
      else reject(readError(xhr.status, xhr.responseText));
    });
    xhr.addEventListener('error', () => reject(new Error('the proxy cannot be reached')));
    xhr.send(file);
  });
}
