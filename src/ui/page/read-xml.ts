// Reads the short XML answers of S3, and writes the one document that an upload sends.
// Format: Amazon S3 API Reference, ListParts, CompleteMultipartUpload and "REST error responses".

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** What is within each element of that name, in order: these answers nest no element in one of its own name. */
export function readElements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, 'g'))].map(
    ([, content]) => content ?? '',
  );
}

/** The text of the first element of that name; empty when there is none. */
export function readText(xml: string, name: string): string {
  return decodeText(readElements(xml, name)[0] ?? '').trim();
}

function decodeText(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi,
    (whole: string, hex?: string, decimal?: string, name = '') => {
      if (hex !== undefined) return toCharacter(parseInt(hex, 16));
      if (decimal !== undefined) return toCharacter(Number(decimal));
      return entities[name] ?? whole;
    },
  );
}

function toCharacter(codePoint: number): string {
  return codePoint <= 0x10ffff ? String.fromCodePoint(codePoint) : '';
}

export interface StoredPart {
  readonly number: number;
  readonly etag: string;
  readonly sizeBytes: number;
}

export interface PartList {
  readonly parts: readonly StoredPart[];
  /** Where the next page begins; undefined when this is the last. */
  readonly nextMarker: number | undefined;
}

export function readPartList(xml: string): PartList {
  const parts = readElements(xml, 'Part').map((part) => ({
    number: Number(readText(part, 'PartNumber')),
    etag: readText(part, 'ETag'),
    sizeBytes: Number(readText(part, 'Size')),
  }));
  const nextMarker = Number(readText(xml, 'NextPartNumberMarker'));
  return { parts, nextMarker: readText(xml, 'IsTruncated') === 'true' && nextMarker > 0 ? nextMarker : undefined };
}

export function writePartList(parts: Iterable<readonly [number: number, etag: string]>): string {
  const inOrder = [...parts];
  inOrder.sort(([a], [b]) => a - b);
  const members = inOrder.map(
    ([number, etag]) => `<Part><PartNumber>${number}</PartNumber><ETag>${escapeText(etag)}</ETag></Part>`,
  );
  return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${members.join('')}</CompleteMultipartUpload>`;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
