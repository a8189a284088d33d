// What whoever links to the page hands over in the address: `#token=…`, and perhaps `bucket` and `folder`.

export interface Fragment {
  /** Empty when there is none. */
  readonly token: string;
  readonly bucket: string | null;
  readonly folder: string | null;
}

/** A fragment never reaches a server; taken out of the address at once, it stays out of history and bookmarks too. */
export function takeFragment(): Fragment {
  const fields = new URLSearchParams(location.hash.slice(1));
  if (location.hash !== '') history.replaceState(null, '', location.pathname + location.search);
  return { token: fields.get('token') ?? '', bucket: fields.get('bucket'), folder: fields.get('folder') };
}
