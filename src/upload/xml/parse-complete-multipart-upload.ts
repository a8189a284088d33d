// Reads the list of parts out of a CompleteMultipartUpload document while it is received.
// Source: Amazon S3 API Reference, request syntax of CompleteMultipartUpload.
import { SaxesParser } from 'saxes';
import { S3Error } from '../../errors.ts';
import type { ChecksumAlgorithm, CompletedPart } from '../../storage/storage.ts';
import { checksumAlgorithms } from '../body/verify.ts';
import { checksumElements } from './checksum-elements.ts';

const maxParts = 10_000;
/** Longer than any digest in base64 or any entity tag. */
const maxFieldCharacters = 256;
/** A few namespaces; more are there to keep the parser busy. */
const maxAttributes = 16;
/** The parser keeps what stands between two tags: no more than this of white space, a comment, a name or a value. */
const maxPendingCharacters = 64 * 1024;
/** What the parser is given at a time. */
const pieceBytes = 16 * 1024;

const algorithmOf: ReadonlyMap<string, ChecksumAlgorithm> = new Map(
  checksumAlgorithms.map((algorithm) => [checksumElements[algorithm], algorithm]),
);

/**
 * The document is `<CompleteMultipartUpload>` with `<Part>`s in it, each with `<PartNumber>`, `<ETag>` and any of
 * `<Checksum…>`: three levels, text in the third alone. Attributes (namespaces) are not looked at. A document type is
 * refused, so that there are no entities but XML's own five. It all ends at the first fault.
 */
export class CompletedPartsParser {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  readonly #parser = new SaxesParser({ position: false });
  readonly #parts: CompletedPart[] = [];
  #depth = 0;
  /** The fields of the part that is being read, by their elements' names. */
  #fields = new Map<string, string>();
  #text = '';
  #attributes = 0;
  /** Characters of the pieces since the last one with a tag in it. */
  #pendingCharacters = 0;

  constructor() {
    const parser = this.#parser;
    parser.on('error', (error) => malformed(error));
    parser.on('doctype', () => malformed());
    parser.on('xmldecl', ({ encoding }) => {
      if (encoding !== undefined && encoding.toLowerCase() !== 'utf-8') malformed();
    });
    parser.on('attribute', () => {
      if (++this.#attributes > maxAttributes) malformed();
    });
    parser.on('opentag', ({ name }) => this.#open(name));
    parser.on('text', (text) => this.#add(text));
    parser.on('cdata', (text) => this.#add(text));
    parser.on('closetag', ({ name }) => this.#close(name));
  }

  /**
   * Keeps nothing of the memory that it is given.
   * @throws S3Error MalformedXML, InvalidPart, InvalidArgument, InvalidPartOrder; nothing more may be written then.
   */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
      this.#parse(this.#decode(bytes.subarray(at, at + pieceBytes)));
    }
  }

  /**
   * @returns 1 to 10,000 parts with ascending numbers; entity tags with their quotes, whether the client sent them or not.
   * @throws S3Error MalformedXML.
   */
  end(): readonly CompletedPart[] {
    this.#parse(this.#decode());
    this.#parser.close();
    if (this.#parts.length === 0) malformed();
    return this.#parts;
  }

  #decode(bytes?: Uint8Array): string {
    try {
      return bytes === undefined ? this.#decoder.decode() : this.#decoder.decode(bytes, { stream: true });
    } catch (cause) {
      malformed(cause);
    }
  }

  #parse(text: string): void {
    this.#pendingCharacters += text.length;
    this.#parser.write(text);
    if (this.#pendingCharacters > maxPendingCharacters) malformed();
  }

  #open(name: string): void {
    this.#pendingCharacters = 0;
    this.#depth++;
    if (this.#depth === 1 && name === 'CompleteMultipartUpload') return;
    if (this.#depth === 2 && name === 'Part') {
      this.#fields = new Map();
      return;
    }
    if (this.#depth !== 3 || !isField(name) || this.#fields.has(name)) malformed();
    this.#text = '';
  }

  #add(text: string): void {
    if (this.#depth !== 3) {
      if (/[^ \t\r\n]/.test(text)) malformed();
      return;
    }
    this.#text += text;
    if (this.#text.length > maxFieldCharacters) malformed();
  }

  #close(name: string): void {
    this.#pendingCharacters = 0;
    if (this.#depth === 3) this.#fields.set(name, this.#text.trim());
    if (this.#depth === 2) {
      if (this.#parts.length === maxParts) malformed();
      const part = toPart(this.#fields);
      if (part.partNumber <= (this.#parts.at(-1)?.partNumber ?? 0)) throw new S3Error('InvalidPartOrder');
      this.#parts.push(part);
    }
    this.#depth--;
  }
}

function isField(name: string): boolean {
  return name === 'PartNumber' || name === 'ETag' || algorithmOf.has(name);
}

function toPart(fields: ReadonlyMap<string, string>): CompletedPart {
  const partNumber = toPartNumber(fields.get('PartNumber') ?? '');
  const etag = toEntityTag(fields.get('ETag') ?? '');
  const checksums: (readonly [ChecksumAlgorithm, string])[] = [];
  for (const [name, base64] of fields) {
    const algorithm = algorithmOf.get(name);
    // Some clients write an empty element where they have no checksum.
    if (algorithm !== undefined && base64 !== '') checksums.push([algorithm, base64]);
  }
  return checksums.length === 0 ? { partNumber, etag } : { partNumber, etag, checksums };
}

function toPartNumber(text: string): number {
  if (!/^\d+$/.test(text)) malformed();
  const partNumber = Number(text);
  if (partNumber < 1 || partNumber > maxParts) {
    throw new S3Error('InvalidArgument', {
      detail: 'Part number must be an integer between 1 and 10000, inclusive.',
    });
  }
  return partNumber;
}

function toEntityTag(text: string): string {
  if (text === '') malformed();
  const opaque = /^"?([!#-~]+)"?$/.exec(text)?.[1];
  // RFC 9110, section 8.8.3, leaves no other characters: no part can have such a tag.
  if (opaque === undefined) throw new S3Error('InvalidPart');
  return `"${opaque}"`;
}

function malformed(cause?: unknown): never {
  throw new S3Error('MalformedXML', { cause });
}
