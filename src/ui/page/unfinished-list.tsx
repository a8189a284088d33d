// Uploads that an earlier visit began: to be gone on with, once their file is chosen again, or to be dropped.
import { readableFolder } from './destination.ts';
import { formatBytes } from './format.ts';
import type { OpenUpload } from './open-uploads.ts';

interface UnfinishedListProps {
  readonly uploads: readonly OpenUpload[];
  /** What went wrong with one of them. */
  readonly fault: string;
  readonly onChosen: (upload: OpenUpload, file: File) => void;
  readonly onDiscard: (upload: OpenUpload) => void;
}

export function UnfinishedList({ uploads, fault, onChosen, onDiscard }: UnfinishedListProps) {
  if (uploads.length === 0) return null;
  return (
    <>
      <h2>Unfinished uploads</h2>
      <p class="help">
        They stopped when the page was closed. Choose the same file again, and only what is missing is sent.
      </p>
      <p class="fault" role="alert">
        {fault}
      </p>
      <ul class="rows">
        {uploads.map((upload) => (
          <li key={upload.uploadId} class="row is-paused">
            <div class="row-text">
              <p class="row-name">
                <span class="name" title={upload.name}>
                  {upload.name}
                </span>
              </p>
              <p class="detail">
                {formatBytes(upload.sizeBytes)} · begun{' '}
                {new Date(upload.startedAtMs).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })}
              </p>
              <p class="detail destination">to {readableFolder(upload.path)}</p>
            </div>
            <div class="row-actions">
              <FileButton label="Choose file" name={upload.name} onChosen={(file) => onChosen(upload, file)} />
              <button
                type="button"
                class="small"
                aria-label={`Discard: ${upload.name}`}
                onClick={() => onDiscard(upload)}
              >
                Discard
              </button>
            </div>
          </li>
        ))}
      </ul>
    </>
  );
}

interface FileButtonProps {
  readonly label: string;
  readonly name: string;
  readonly onChosen: (file: File) => void;
}

function FileButton({ label, name, onChosen }: FileButtonProps) {
  let input: HTMLInputElement | null = null;
  return (
    <>
      <button type="button" class="primary small" aria-label={`${label}: ${name}`} onClick={() => input?.click()}>
        {label}
      </button>
      <input
        type="file"
        hidden
        ref={(element) => {
          input = element;
        }}
        onChange={({ currentTarget }) => {
          const file = currentTarget.files?.[0];
          if (file !== undefined) onChosen(file);
          // The same file can be chosen once more.
          currentTarget.value = '';
        }}
      />
    </>
  );
}
