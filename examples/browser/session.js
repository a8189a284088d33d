// Where the page uploads to, and by which token; and what it reads of the proxy's answers.

/** @returns {Promise<{ url: string, token: string }>} of whoever is logged in here: the page's own server knows. */
export async function getSession() {
  const answer = await fetch('/session');
  if (!answer.ok) throw new Error(`no session: ${answer.status}`);
  return answer.json();
}

/** The object's address. */
export function objectUrl(/** @type {string} */ url, /** @type {string} */ key) {
  return `${url}/uploads/${key.split('/').map(encodeURIComponent).join('/')}`;
}

/** S3's error is XML. An answer of a server in between may be anything. */
export function readError(/** @type {number} */ status, /** @type {string} */ text) {
  const message = new DOMParser()
    .parseFromString(text, 'application/xml')
    .querySelector('Error > Message')?.textContent;
  return new Error(`${status}: ${message ?? 'the upload was refused'}`);
}
