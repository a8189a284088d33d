// What a refusal of the server means, said to the person who uploads.
import { readText } from './read-xml.ts';
import { UploadFault, type FaultKind } from './upload-fault.ts';

export interface Refusal {
  readonly status: number;
  /** As sent: S3's error document, or whatever a server in between made of it. */
  readonly body: string;
  /** The Retry-After field, if there is one. */
  readonly retryAfter: string | null;
}

type Explanation = readonly [kind: FaultKind, sentence: string];

const token: Explanation = ['token', 'The token is wrong or has expired. Paste another one, and the upload goes on.'];
const busy: Explanation = ['busy', 'The server has too much to do at the moment. Try again in a little while.'];
const away: Explanation = ['busy', 'The storage behind the server cannot be reached at the moment. Try again later.'];

/** By S3's error code. */
const byCode: Readonly<Record<string, Explanation>> = {
  Unauthorized: token,
  ExpiredToken: token,
  InvalidToken: token,
  AccessDenied: ['final', 'You are not allowed to upload this here. Ask whoever gave you the token.'],
  NoSuchBucket: ['final', 'There is no such bucket. Check its name.'],
  EntityTooLarge: ['final', 'The file is larger than is allowed here.'],
  EntityTooSmall: ['final', 'The file is smaller than is allowed here.'],
  UnsupportedMediaType: ['final', 'Files of this kind are not allowed here.'],
  PreconditionFailed: ['exists', 'There is a file of this name already, and it may not be replaced. Rename yours.'],
  KeyTooLongError: ['final', 'The name, with its folders, is too long. Shorten it.'],
  InsufficientStorage: ['final', 'The server has no room left for this file. Tell whoever runs it.'],
  NoSuchUpload: ['gone', 'The server no longer knows this upload. Try again to send the file from the start.'],
  MethodNotAllowed: ['final', 'The server does not take uploads at this place. Check bucket and folder.'],
  BadDigest: ['busy', 'The file arrived damaged and was not stored. Try again.'],
  IncompleteBody: ['network', 'The connection broke off. Try again.'],
  RequestTimeout: ['network', 'The connection was silent for too long. Try again.'],
  SlowDown: busy,
  ServiceUnavailable: away,
  InternalError: ['busy', 'Something failed at the server. Try again; if it stays so, tell whoever runs it.'],
};

/** For answers without a code that is known: a gateway's, or a server's in between. */
const byStatus: Readonly<Record<number, Explanation>> = {
  401: token,
  403: ['final', 'The server refuses this upload.'],
  404: ['final', 'The server does not know this place. Check bucket and folder.'],
  408: ['network', 'The connection was too slow. Try again.'],
  413: ['final', 'The file is larger than is allowed here.'],
  415: ['final', 'Files of this kind are not allowed here.'],
  429: busy,
  502: away,
  503: away,
  504: away,
};

/** Where S3's own message says more than the code: which name, which metadata. */
const speaking = new Set(['AccessDenied', 'InvalidRequest', 'InvalidArgument', 'InvalidURI', 'EntityTooSmall']);

export function explainRefusal({ status, body, retryAfter }: Refusal): UploadFault {
  const code = readText(body, 'Code');
  const [kind, sentence] = byCode[code] ?? byStatus[status] ?? unknown(status);
  const message = readText(body, 'Message');
  const isTelling = message !== '' && (speaking.has(code) || byCode[code] === undefined) && !isCommonplace(message);
  return new UploadFault(kind, isTelling ? `${sentence} The server says: ${message}` : sentence, toMs(retryAfter));
}

/** Sentences that every refusal of the kind has add nothing. */
function isCommonplace(message: string): boolean {
  return message === 'Access Denied.' || message.startsWith('Your proposed upload');
}

function unknown(status: number): Explanation {
  return status >= 500
    ? (byCode['InternalError'] as Explanation)
    : ['final', `The server refused the file (${status}).`];
}

/** Seconds alone: a date would need the server's clock. RFC 9110, section 10.2.3. */
function toMs(retryAfter: string | null): number {
  const seconds = Number(retryAfter ?? 0);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}
