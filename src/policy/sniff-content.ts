// Looks at the first bytes of a body: whether they can be of the type that the client declares. Synchronous: no I/O, no clock.
import { createRequire } from 'node:module';
import { S3Error } from '../errors.ts';
import { unknownType } from './media-type.ts';

const require = createRequire(import.meta.url);
// Loaded when it is first needed: it costs 27 ms and 4 MiB.
const loadSignatures = () => require('magic-bytes.js') as typeof import('magic-bytes.js');

/** A stage that every byte of a body passes. */
export interface BodyInspector {
  /** @throws S3Error UnsupportedMediaType as soon as enough has been seen. */
  write(bytes: Uint8Array): void;
  /** Called after the last byte, before anything becomes visible. @throws S3Error UnsupportedMediaType. */
  finish(): void;
}

/** What is looked at: the library's last signature lies at byte 257. */
const headBytes = 1024;

/** @param declared type and subtype, in lower case. @returns undefined when no bytes can belie it. */
export function createContentSniffer(declared: string): BodyInspector | undefined {
  if (declared === unknownType || declared === 'binary/octet-stream') return undefined;
  let head: Uint8Array = new Uint8Array(0);
  let isJudged = false;
  const judge = (): void => {
    isJudged = true;
    if (isBelied(declared, head)) {
      throw new S3Error('UnsupportedMediaType', { detail: 'The body is not of the content type that is declared.' });
    }
  };
  return {
    write(bytes) {
      if (isJudged) return;
      // Copied, for the memory is lent; a first piece that is long enough is judged where it lies.
      head = head.length === 0 && bytes.length >= headBytes ? bytes : Buffer.concat([head, bytes]);
      head = head.subarray(0, headBytes);
      if (head.length === headBytes) judge();
    },
    finish() {
      if (!isJudged && head.length > 0) judge();
    },
  };
}

/** @param head the first bytes, not empty. */
export function isBelied(declared: string, head: Uint8Array): boolean {
  const recognised = recognise(head);
  if (recognised.some(({ types }) => types.test(declared))) return false;
  // Readers take up to 1,024 bytes before its signature (ISO 32000-1, Annex H, note 13).
  if (pdf.test(declared) && Buffer.from(head).includes('%PDF-')) return false;
  return recognised.length > 0 || alwaysRecognised.test(declared) || (isBinaryMedia(declared) && isMarkup(head));
}

interface Format {
  /** The types that such bytes can be of. */
  readonly types: RegExp;
  /** Letters that text may begin with just as well: they count only where what follows is no text. */
  readonly isWeak?: boolean;
  /** What else must be true where the signature is short. */
  readonly holds?: (head: Uint8Array) => boolean;
}

const pdf = /^application\/(?:x-)?pdf$/;
const isobmff = /^(?:(?:video|audio)\/|image\/(?:hei[cf]|avif|x-)|application\/mp4$)/;
const audioOrVideo = /^(?:audio|video)\//;
const ogg = /^(?:(?:audio|video)\/|application\/(?:ogg|x-ogg)$)/;
const riff = /^(?:audio|video)\//;
const text = /^(?:text\/|message\/)/;
/**
 * What holds other things, so that a type of which nothing is known here may well be made of it; save those that are
 * known to be made of something else.
 * @param own further types, the source of a regular expression.
 */
const holderOf = (own: string): RegExp =>
  new RegExp(
    `^(?:${own})$|^(?:application|model)/(?!(?:x-)?(?:pdf|zip|gzip|wasm|rtf|sql|json|javascript|ecmascript)$|.*\\+(?:json|xml)$)`,
  );
const holder = holderOf('application/x-compressed');
const program =
  /^application\/(?:.*(?:executable|elf|sharedlib|x-object|coredump|msdownload|dosexec)|x-mach-(?:binary|o)|(?:x-)?java-(?:vm|byte-code|class)|vnd\.(?:debian\.binary-package|ms-cab-compressed)|x-(?:cab|deb|debian-package|redhat-package-manager|rpm|archive|dex))$/;

/** By the names that magic-bytes.js has for them. Its signatures of a byte or two are left out, save that of a program. */
const formats: Readonly<Record<string, Format>> = {
  gif: { types: /^image\/gif$/ },
  jpg: { types: /^image\/(?:jpe?g|pjpeg)$/ },
  png: { types: /^image\/(?:(?:x-)?png|apng|vnd\.mozilla\.apng)$/ },
  webp: { types: /^image\/webp$/ },
  bmp: { types: /^image\/(?:bmp|x-bmp|x-ms-bmp|x-windows-bmp)$/, isWeak: true, holds: hasNoReserved },
  tif: { types: /^image\/(?:tiff?$|x-)/ },
  tiff: { types: /^image\/(?:tiff?$|x-)/ },
  ico: { types: /^image\/(?:x-icon|vnd\.microsoft\.icon|ico)$/ },
  psd: { types: /^(?:image\/(?:vnd\.adobe\.photoshop|x-photoshop|psd)|application\/(?:x-)?photoshop)$/, isWeak: true },
  heif: { types: isobmff },
  avif: { types: isobmff },
  mp4: { types: isobmff, isWeak: true },
  mov: { types: isobmff, isWeak: true },
  mkv: { types: /^(?:audio\/|video\/|application\/x-matroska$)/ },
  ogx: { types: ogg, isWeak: true },
  wav: { types: riff },
  avi: { types: riff },
  aiff: { types: /^audio\// },
  flac: { types: audioOrVideo, isWeak: true },
  mid: { types: /^audio\//, isWeak: true },
  mp3: { types: audioOrVideo, isWeak: true, holds: (head) => startsWith(head, [0x49, 0x44, 0x33]) },
  ttf: { types: /^(?:font\/|application\/(?:x-)?font)/ },
  otf: { types: /^(?:font\/|application\/(?:(?:x-)?font|vnd\.ms-opentype))/, isWeak: true },
  woff: { types: /^(?:font\/woff|application\/(?:x-)?font-woff)$/, isWeak: true },
  woff2: { types: /^(?:font\/woff2|application\/(?:x-)?font-woff2)$/, isWeak: true },
  pdf: { types: /^application\/(?:(?:x-)?pdf|illustrator|postscript)$/ },
  ps: { types: /^(?:application\/(?:postscript|(?:x-)?eps|illustrator)|image\/(?:x-)?eps|text\/.*)$/ },
  rtf: { types: /^(?:application\/(?:x-)?rtf|application\/msword|text\/.*)$/ },
  doc: { types: holder },
  zip: { types: holderOf('application/(?:x-)?zip|image/openraster') },
  gz: { types: holderOf('application/(?:x-)?gzip|image/svg\\+xml'), holds: (head) => head[2] === 8 },
  bz2: { types: holder, isWeak: true },
  rar: { types: holder },
  '7z': { types: holder },
  xz: { types: holder },
  tar: { types: holder },
  sqlite: { types: holder },
  swf: { types: /^application\/(?:x-shockwave-flash|vnd\.adobe\.flash[.-]movie)$/, isWeak: true },
  wasm: { types: /^application\/wasm$/ },
  xml: { types: holderOf('text/.*|message/.*|.*[/+]xml') },
  SVG: { types: /^(?:image\/svg\+xml$|text\/|application\/(?:.*\+)?xml$)/ },
  WebVTT: { types: text },
  exe: { types: program, isWeak: true, holds: leadsToHeader },
  ELF: { types: program },
  'Mach-O': { types: program },
  class: { types: program, holds: hasNoByteOrderMark },
  dex: { types: program },
  rpm: { types: program },
  deb: { types: program },
  cab: { types: program, isWeak: true },
};

/** Types whose every body is recognised: bytes that are not are of another type. */
const alwaysRecognised =
  /^(?:image\/(?:gif|jpe?g|pjpeg|(?:x-)?png|apng|webp|bmp|x-ms-bmp|hei[cf]|avif)|application\/(?:(?:x-)?pdf|zip|(?:x-)?gzip|wasm)|font\/(?:woff2?|otf))$/;

function recognise(head: Uint8Array): Format[] {
  const found: Format[] = [];
  let isText: boolean | undefined;
  for (const name of loadSignatures().filetypename(head)) {
    const format = Object.hasOwn(formats, name) ? formats[name] : undefined;
    if (format === undefined) continue;
    if (format.holds?.(head) === false) continue;
    if (format.isWeak && (isText ??= !hasBinaryByte(head))) continue;
    found.push(format);
  }
  return found;
}

function startsWith(head: Uint8Array, bytes: readonly number[]): boolean {
  return bytes.every((byte, index) => head[index] === byte);
}

/** The library has one name for programs and for the byte order marks of text. */
function hasNoByteOrderMark(head: Uint8Array): boolean {
  return !startsWith(head, [0xef, 0xbb, 0xbf]) && !startsWith(head, [0xff, 0xfe]);
}

/** Of a bitmap: its two reserved fields (BITMAPFILEHEADER) are zero. */
function hasNoReserved(head: Uint8Array): boolean {
  return [6, 7, 8, 9].every((at) => head[at] === 0);
}

/** Of a program for Windows: where its header lies (PE Format, section "MS-DOS Stub"), or 0 in one for DOS. */
function leadsToHeader(head: Uint8Array): boolean {
  return head[0x3e] === 0 && head[0x3f] === 0;
}

/** MIME Sniffing Standard, section 3: "binary data byte". */
function hasBinaryByte(head: Uint8Array): boolean {
  return head.some(
    (byte) => byte <= 0x08 || byte === 0x0b || (byte >= 0x0e && byte <= 0x1a) || (byte >= 0x1c && byte <= 0x1f),
  );
}

function isBinaryMedia(declared: string): boolean {
  return /^(?:image|audio|video|font)\//.test(declared) && !declared.endsWith('xml');
}

/** HTML and the like, which has no signature: a tag, a comment or a declaration behind white space. */
function isMarkup(head: Uint8Array): boolean {
  return /^(?:\u00ef\u00bb\u00bf)?[\t\n\f\r ]*<[!?/A-Za-z]/.test(Buffer.from(head.subarray(0, 512)).toString('latin1'));
}
