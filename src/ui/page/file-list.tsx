// The list of files, with what each is doing and the buttons for it; and above it all of them together.
import { describeRow, type FileState, type RowAction } from './describe-row.ts';

export interface ListedFile extends FileState {
  readonly id: string;
  /** Where it goes, for people. */
  readonly destination: string | undefined;
}

interface FileListProps {
  /** Those that are shown. */
  readonly rows: readonly ListedFile[];
  /** Of all, shown or not. */
  readonly count: number;
  readonly summary: string;
  readonly onAction: (fileId: string, action: RowAction) => void;
  readonly onMore: () => void;
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

export function FileList({ rows, count, summary, onAction, onMore }: FileListProps) {
  if (count === 0) return null;
  return (
    <>
      <h2>
        {count === 1 ? '1 file' : `${count} files`}
        <span class="summary">{summary}</span>
      </h2>
      <ul class="rows">
        {rows.map((file) => (
          <FileRow key={file.id} file={file} onAction={onAction} />
        ))}
      </ul>
      {count > rows.length ? (
        <p class="more">
          and {count - rows.length} more
          <button type="button" class="small" onClick={onMore}>
            Show more
          </button>
        </p>
      ) : null}
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
