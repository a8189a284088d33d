// The upload page: joins Uppy, the forms and the lists.
import Uppy, { type Body } from '@uppy/core';
import '@uppy/core/css/style.min.css';
import '@uppy/dashboard/css/style.min.css';
import { render } from 'preact';
import type { PageBucket, PageSettings } from '../page-settings.ts';
import { CalmDashboard } from './calm-dashboard.ts';
import type { RowAction } from './describe-row.ts';
import { createDestinationForm } from './destination-form.ts';
import { bucketOf, objectPath } from './destination.ts';
import { FileList } from './file-list.tsx';
import { createFileStates } from './file-states.ts';
import { findElement } from './find-element.ts';
import { createOpenUploads, type OpenUpload } from './open-uploads.ts';
import './page.css';
import './uppy.css';
import { takeFragment } from './take-fragment.ts';
import { throttle } from './throttle.ts';
import { createTokenForm } from './token-form.ts';
import { UnfinishedList } from './unfinished-list.tsx';
import { UploadFault } from './upload-fault.ts';
import { Uploader, type FileMeta, type PageUppy } from './uploader.ts';

const settings = JSON.parse(document.getElementById('settings')?.textContent ?? '') as PageSettings;
const given = takeFragment();
const openUploads = createOpenUploads(allowedStore('localStorage'), Date.now);
const sessionStore = allowedStore('sessionStorage');
const uppy: PageUppy = new Uppy<FileMeta, Body>({ id: 'mizuchi', autoProceed: false });

const tokenForm = createTokenForm({
  needsToken: settings.buckets.some(({ needsToken }) => needsToken),
  store: sessionStore,
  given: given.token,
  onNew() {
    void endCancelled();
    if (uppy.getFiles().some(({ error }) => error)) void uppy.retryAll();
  },
});
const destinationForm = createDestinationForm({
  buckets: settings.buckets,
  store: sessionStore,
  given,
  onBucket: (bucket) => uppy.setOptions({ restrictions: toRestrictions(bucket) }),
});
const uploader = uppy
  .use(Uploader, {
    token: () => tokenForm.token,
    openUploads,
    onTokenRefused: () => tokenForm.refuse(),
    onRemovedTooLate: ({ name }, isSure) =>
      uppy.info(
        isSure
          ? `${name} had arrived before it was cancelled, and is stored.`
          : `${name} was cancelled at the very end, and may be stored all the same.`,
        'warning',
        20_000,
      ),
    pathOf(file) {
      const destination = destinationForm.read();
      if (tokenForm.token === '' && destinationForm.bucket?.needsToken === true) throw new UploadFault('token', '');
      return objectPath(destination, file.meta.relativePath ?? file.meta.name);
    },
  })
  .use(CalmDashboard, {
    inline: true,
    target: '#drop',
    width: '100%',
    height: 216,
    theme: 'auto',
    fileManagerSelectionType: 'both',
    // They are listed below, with more than there is room for in there.
    showSelectedFiles: false,
    hideProgressDetails: true,
    disableThumbnailGenerator: true,
    proudlyDisplayPoweredByUppy: false,
    doneButtonHandler: () => uppy.clear(),
    locale: {
      strings: {
        dashboardTitle: 'Choose files',
        dropPasteBoth: 'Drop files or folders here, %{browseFiles} or %{browseFolders}',
        browseFiles: 'choose files',
        browseFolders: 'choose a folder',
        done: 'Clear list',
      },
    },
  })
  .getPlugin<Uploader>('Uploader') as Uploader;

const fileStates = createFileStates({ uppy, uploader, openUploads });
let unfinishedFault = '';
/** To draw thousands would take longer than to send one of them. */
const fewRows = 200;
let maxRows = fewRows;

function show(): void {
  render(
    <FileList {...fileStates.read(maxRows)} onAction={act} onMore={showMore} />,
    findElement('files', HTMLElement),
  );
  render(
    <UnfinishedList uploads={findUnfinished()} fault={unfinishedFault} onChosen={goOn} onDiscard={drop} />,
    findElement('unfinished', HTMLElement),
  );
}

function showMore(): void {
  maxRows += fewRows;
  show();
}

function act(fileId: string, action: RowAction): void {
  switch (action) {
    case 'pause':
    case 'resume':
      return void uppy.pauseResume(fileId);
    case 'retry':
      return void uppy.retryUpload(fileId);
    case 'cancel':
    case 'remove':
    case 'hide':
      return uppy.removeFile(fileId);
  }
}

/** Those that no file of this list and no other tab is at work on. */
function findUnfinished(): OpenUpload[] {
  const open = openUploads.list();
  if (open.length === 0) return [];
  const listed = new Set(uppy.getFiles().map(({ name, size }) => `${size} ${name}`));
  return open.filter(
    (one) => !one.isCancelled && one.busyUntilMs < Date.now() && !listed.has(`${one.sizeBytes} ${one.name}`),
  );
}

function goOn(upload: OpenUpload, file: File): void {
  const isSame =
    file.name === upload.name && file.size === upload.sizeBytes && file.lastModified === upload.lastModifiedMs;
  unfinishedFault = isSame
    ? ''
    : `That is another file, or it was changed since. Choose the same ${upload.name} again.`;
  if (isSame) {
    try {
      void uppy.retryUpload(addFor(upload, file));
    } catch (error) {
      unfinishedFault = error instanceof Error ? error.message : String(error);
    }
  }
  show();
}

/** By the rules of the bucket that the upload goes to, which need not be the one that is chosen. @returns the file's id. */
function addFor({ path }: OpenUpload, file: File): string {
  const chosen = uppy.opts.restrictions;
  const bucket = bucketOf(settings.buckets, path);
  if (bucket !== undefined) uppy.setOptions({ restrictions: toRestrictions(bucket) });
  try {
    return uppy.addFile({ name: file.name, type: file.type, data: file, meta: { resumePath: path } });
  } finally {
    uppy.setOptions({ restrictions: chosen });
  }
}

function drop({ path, uploadId }: OpenUpload): void {
  unfinishedFault = '';
  uploader
    .discard(path, uploadId)
    .catch((error: unknown) => {
      // It is noted as cancelled, and ended when there is a token, or a network.
      if (error instanceof UploadFault && error.kind === 'token') tokenForm.refuse();
    })
    .finally(show);
  show();
}

/** What earlier visits cancelled and could not tell the server. */
async function endCancelled(): Promise<void> {
  const cancelled = openUploads.list().filter((one) => one.isCancelled);
  await Promise.allSettled(cancelled.map(({ path, uploadId }) => uploader.discard(path, uploadId)));
}

function toRestrictions({ minObjectBytes, maxObjectBytes, allowedContentTypes }: PageBucket) {
  return {
    minFileSize: minObjectBytes > 0 ? minObjectBytes : null,
    maxFileSize: maxObjectBytes,
    allowedFileTypes: allowedContentTypes.length > 0 ? [...allowedContentTypes] : null,
  };
}

/** Undefined where the browser keeps nothing for pages. */
function allowedStore(name: 'localStorage' | 'sessionStorage'): Storage | undefined {
  try {
    return window[name];
  } catch {
    return undefined;
  }
}

function announce(sentence: string): void {
  findElement('announcement', HTMLElement).textContent = sentence;
}

uppy.on('upload-success', (file) => announce(`${file?.name ?? 'The file'} is uploaded.`));
uppy.on('upload-error', (file, error) => announce(`${file?.name ?? 'The file'} failed. ${error.message}`));
uppy.on('complete', ({ successful = [], failed = [] }) =>
  announce(
    failed.length === 0
      ? `All done: ${successful.length} uploaded.`
      : `${successful.length} uploaded, ${failed.length} failed.`,
  ),
);
// Whatever happens is shown soon; speed and time left once in a while too.
const showSoon = throttle(show, 100);
uppy.on('state-update', showSoon);
setInterval(showSoon, 500);
window.addEventListener('online', () => void endCancelled());
window.addEventListener('hashchange', () => {
  // A link with a token, opened while the page is: from the start, so that nothing of it stays in the address.
  if (location.hash.length > 1) location.reload();
});
window.addEventListener('beforeunload', (event) => {
  const isUnderWay = uppy
    .getFiles()
    .some(({ progress, error }) => progress.uploadStarted && !progress.uploadComplete && !error);
  if (isUnderWay) event.preventDefault();
});
window.addEventListener('pagehide', () => {
  for (const { id } of uppy.getFiles()) uploader.release(id);
});
findElement('no-buckets', HTMLElement).hidden = settings.buckets.length > 0;
show();
void endCancelled();
