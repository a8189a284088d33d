// Joins the page and the three ways to upload from it.
import { createUppy } from './create-uppy.js';
import { getSession } from './session.js';
import { uploadWithFetch } from './upload-with-fetch.js';
import { uploadWithXhr } from './upload-with-xhr.js';

const session = await getSession();
const progress = document.querySelector('progress');
const fiveMinutesMs = 300_000;

whenChosen('fetch', (file) => uploadWithFetch(session, file, AbortSignal.timeout(fiveMinutesMs)));

whenChosen('xhr', (file) =>
  uploadWithXhr(session, file, (sentBytes, totalBytes) => {
    progress.max = totalBytes;
    progress.value = sentBytes;
  }),
);

createUppy(session)
  .on('upload-success', (file) => tell('uppy', `uploaded ${file.name}`))
  .on('upload-error', (file, error) => tell('uppy', `not uploaded: ${error.message}`));

function whenChosen(/** @type {string} */ way, /** @type {(file: File) => Promise<string | null>} */ upload) {
  document.getElementById(way).addEventListener('change', ({ target }) => {
    const [file] = target.files;
    upload(file).then(
      (etag) => tell(way, `uploaded ${file.name}, ETag ${etag}`),
      (error) => tell(way, `not uploaded: ${error.message}`),
    );
  });
}

function tell(/** @type {string} */ way, /** @type {string} */ text) {
  document.querySelector(`output[for=${way}]`).textContent = text;
}
