// Turns an object's key into the folders and the file that hold it, so that no two keys ever meet.
//
// Each segment of the key but the last is a folder named `<segment>+`, the last is the file: `a/b` is the file `b` in the
// folder `a+`, beside the file `a` of the key `a`. Four kinds of names exist, told apart by how they end:
//   …+       folder of a segment (a segment's own trailing `+` is written `%2B`)
//   …%~      folder of the beginning of a segment that is too long for one name
//   …%meta   what is known of the object beside it (object-record.ts)
//   else     an object
// `%` followed by two hexadecimal digits stands for a byte, `%` alone for an empty segment; `%` followed by anything else
// never comes from a key, which is what keeps `%~`, `%meta`, `%tmp` and `%uploads` apart from every object.
import { S3Error } from '../../errors.ts';

/** Amazon S3 User Guide, "Naming Amazon S3 objects": a key is at most 1,024 bytes of UTF-8. */
const maxKeyBytes = 1024;
/** Names on Linux and macOS hold 255 bytes: this leaves room for the endings. */
const maxPieceBytes = 240;

/**
 * @returns names of folders, then of the file. None is `.` or `..`, and none is longer than 242 bytes.
 * @throws S3Error InvalidURI for a key that cannot be kept exactly, KeyTooLongError.
 */
export function encodeKey(key: string): string[] {
  if (Buffer.byteLength(key) > maxKeyBytes) throw new S3Error('KeyTooLongError');
  if (key === '' || !key.isWellFormed()) throw new S3Error('InvalidURI');
  const names: string[] = [];
  const segments = key.split('/');
  for (const [i, segment] of segments.entries()) {
    if (segment === '.' || segment === '..') throw new S3Error('InvalidURI');
    const pieces = segment === '' ? ['%'] : cut(escapeSegment(segment));
    for (const piece of pieces.slice(0, -1)) names.push(`${piece}%~`);
    const last = pieces.at(-1) ?? '';
    names.push(i === segments.length - 1 ? last : `${last}+`);
  }
  return names;
}

/** The segment's characters, each as it is written. */
function escapeSegment(segment: string): string[] {
  const characters = Array.from(segment, (character) => (mustEscape(character) ? escape(character) : character));
  const last = characters.at(-1);
  // A last piece that is nothing but dots would be the folder itself, or the one above it.
  if (last === '+' || last === '.') characters[characters.length - 1] = escape(last);
  return characters;
}

function mustEscape(character: string): boolean {
  const code = character.charCodeAt(0);
  return code < 0x20 || code === 0x7f || character === '%';
}

function escape(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** Joins characters into pieces that fit into names. */
function cut(characters: readonly string[]): string[] {
  const pieces: string[] = [];
  let piece = '';
  let pieceBytes = 0;
  for (const character of characters) {
    const bytes = Buffer.byteLength(character);
    if (pieceBytes + bytes > maxPieceBytes) {
      pieces.push(piece);
      piece = '';
      pieceBytes = 0;
    }
    piece += character;
    pieceBytes += bytes;
  }
  pieces.push(piece);
  return pieces;
}
