// Reads the list of parts out of a CompleteMultipartUpload document.
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

const algorithmOf: ReadonlyMap<string, ChecksumAlgorithm> = new Map(
  checksumAlgorithms.map((algorithm) => [checksumElements[algorithm], algorithm]),
);

/**
 * @param xml bounded by the caller.
 * @returns 1 to 10,000 parts with ascending numbers; entity tags with their quotes, whether the client sent them or not.
 * @throws S3Error MalformedXML, InvalidPart, InvalidArgument, InvalidPartOrder.
 */
export function parseCompleteMultipartUpload(xml: string): readonly CompletedPart[] {
  const parts = new PartsReader().read(xml);
  if (parts.length === 0) malformed();
  let previous = 0;
  for (const { partNumber } of parts) {
    if (partNumber <= previous) throw new S3Error('InvalidPartOrder');
    previous = partNumber;
  }
  return parts;
}

/**
 * The document is `<CompleteMultipartUpload>` with `<Part>`s in it, each with `<PartNumber>`, `<ETag>` and any of
 * `<Checksum…>`: three levels, text in the third alone. Attributes (namespaces) are not looked at. A document type is
 * refused, so that there are no entities but XML's own five. It all ends at the first fault.
 */
class PartsReader {
  readonly #parts: CompletedPart[] = [];
  #depth = 0;
  /** The fields of the part that is being read, by their elements' names. */
  #fields = new Map<string, string>();
  #text = '';
  #attributes = 0;

  read(xml: string): readonly CompletedPart[] {
    const parser = new SaxesParser({ position: false });
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
    parser.write(xml).close();
    return this.#parts;
  }

  #open(name: string): void {
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
    if (this.#depth === 3) this.#fields.set(name, this.#text.trim());
    if (this.#depth === 2) {
      if (this.#parts.length === maxParts) malformed();
      this.#parts.push(toPart(this.#fields));
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
