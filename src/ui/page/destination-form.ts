// Bucket and folder: what the user chooses, kept for the next load of the page in this tab.
import type { PageBucket } from '../page-settings.ts';
import { cleanFolder, matchesPattern, type Destination } from './destination.ts';
import { findElement } from './find-element.ts';
import { UploadFault } from './upload-fault.ts';

export interface DestinationForm {
  readonly bucket: PageBucket | undefined;
  /** @throws UploadFault when bucket or folder cannot be. */
  read(): Destination;
}

export interface DestinationFormOptions {
  readonly buckets: readonly PageBucket[];
  readonly store: Storage | undefined;
  /** From the address. */
  readonly given: { readonly bucket: string | null; readonly folder: string | null };
  readonly onBucket: (bucket: PageBucket) => void;
}

const itemName = 'mizuchi-destination';

export function createDestinationForm({ buckets, store, given, onBucket }: DestinationFormOptions): DestinationForm {
  const form = findElement('destination', HTMLFormElement);
  const select = findElement('bucket', HTMLSelectElement);
  const nameField = findElement('bucket-name-field', HTMLElement);
  const name = findElement('bucket-name', HTMLInputElement);
  const folder = findElement('folder', HTMLInputElement);
  const folderLabel = findElement('folder-label', HTMLElement);
  const fault = findElement('destination-fault', HTMLElement);

  for (const [i, bucket] of buckets.entries()) {
    const label = bucket.path === null ? `${bucket.name} (say which)` : bucket.name;
    select.append(new Option(label, String(i)));
  }
  const chosen = () => buckets[Number(select.value)];
  const show = () => {
    const bucket = chosen();
    nameField.hidden = bucket?.path !== null;
    folderLabel.textContent = buckets.length === 1 && bucket?.path ? `Folder in ${bucket.name}` : 'Folder';
    if (bucket !== undefined) onBucket(bucket);
  };
  const remembered = store?.getItem(itemName)?.split('\n') ?? [];
  name.value = given.bucket ?? remembered[1] ?? '';
  folder.value = given.folder ?? remembered[2] ?? '';
  const wanted = given.bucket ?? remembered[0];
  const found = buckets.findIndex((bucket) => bucket.name === wanted);
  const pattern = given.bucket === null ? -1 : buckets.findIndex(({ path }) => path === null);
  select.value = String(Math.max(0, found === -1 ? pattern : found));
  // With a single bucket there is nothing to choose.
  findElement('bucket-field', HTMLElement).hidden = buckets.length < 2;

  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('input', () => {
    fault.textContent = '';
    store?.setItem(itemName, [chosen()?.name, name.value, folder.value].join('\n'));
    show();
  });
  show();

  const refuse = (sentence: string, field: HTMLInputElement) => {
    fault.textContent = sentence;
    field.focus();
    return new UploadFault('final', sentence);
  };
  return {
    get bucket() {
      return chosen();
    },
    read() {
      const bucket = chosen();
      const typed = name.value.trim();
      if (bucket === undefined) throw new UploadFault('final', 'There is no bucket to upload to.');
      if (bucket.path === null && !matchesPattern(bucket.name, typed))
        throw refuse(`Say which bucket: a name such as ${bucket.name}, where * stands for anything.`, name);
      if (cleanFolder(folder.value) === undefined) throw refuse('A folder cannot be named . or ..', folder);
      return { bucketPath: bucket.path ?? `/${typed}`, folder: folder.value };
    },
  };
}
