// The list of files, with what each is doing and the buttons for it; and above it all of them together.
import { describeRow, type FileState, type RowAction } from './describe-row.ts';

export interface ListedFile extends FileState {
  readonly id: string;
  /** Where it goes, for people. */
  readonly destination: string | undefined;
}

interface FileListProps {
  readonly files: readonly ListedFile[];
  readonly summary: string;
  readonly onAction: (fileId: string, action: RowAction) => void;
}

const actionNames: Readonly<Record<RowAction, string>> = {
  pause: 'Pause',
  resume: 'Resume',
  retry: 'Try again',
  cancel: 'Cancel',
  remove: 'Remove',
  // The file stays where it was uploaded to.
  hide: 'Hide',
};

export function FileList({ files, summary, onAction }: FileListProps) {
  if (files.length === 0) return null;
  return (
    <>
      <h2>
        {files.length === 1 ? '1 file' : `${files.length} files`}
        <span class="summary">{summary}</span>
      </h2>
      <ul class="rows">
        {files.map((file) => (
          <FileRow key={file.id} file={file} onAction={onAction} />
        ))}
      </ul>
    </>
  );
}

function FileRow({ file, onAction }: { readonly file: ListedFile; readonly onAction: FileListProps['onAction'] }) {
  const { status, label, detail, share, actions } = describeRow(file);
  return (
    <li class={`row is-${status}`} data-status={status}>
      <div class="row-text">
        <p class="row-name">
          <span class="name" title={file.name}>
            {file.name}
          </span>
          <span class="badge">{label}</span>
        </p>
        {share === undefined ? null : (
          <progress max={1} value={share} aria-label={`Progress of ${file.name}`}>
            {label}
          </progress>
        )}
        <p class={status === 'failed' ? 'detail fault' : 'detail'}>{detail}</p>
        {file.destination === undefined ? null : <p class="detail destination">to {file.destination}</p>}
      </div>
      <div class="row-actions">
        {actions.map((action) => (
          <button
            key={action}
            type="button"
            class={action === 'retry' ? 'primary small' : 'small'}
            aria-label={`${actionNames[action]}: ${file.name}`}
            onClick={() => onAction(file.id, action)}
          >
            {actionNames[action]}
          </button>
        ))}
      </div>
    </li>
  );
}
