// Spans as OTLP's protobuf, written once into one growing buffer. OpenTelemetry's own span, batch and serializer took about
// twenty microseconds for the spans of one small upload, which itself takes fifty: so a span is bytes as soon as it ends.
// Source: opentelemetry-proto 1.x, trace/v1/trace.proto and common/v1/common.proto; field numbers are theirs.

/** One KeyValue, whole. */
export type EncodedAttribute = Uint8Array;
/** A KeyValue's key. */
export type AttributeKey = Uint8Array;

export const spanKinds = { internal: 1, server: 2, client: 3 } as const;

export interface SpanHead {
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined for a root. */
  readonly parentId: string | undefined;
  readonly hasRemoteParent: boolean;
  readonly state: string | undefined;
  readonly name: string;
  readonly kind: (typeof spanKinds)[keyof typeof spanKinds];
  /** Since 1970. */
  readonly startMs: number;
  readonly endMs: number;
}

const varintType = 0;
const fixed64Type = 1;
const lengthType = 2;
const fixed32Type = 5;

/** Of Span, in ScopeSpans, and of what a span is made of. */
const fields = {
  span: 2,
  traceId: 1,
  spanId: 2,
  state: 3,
  parentId: 4,
  name: 5,
  kind: 6,
  start: 7,
  end: 8,
  attributes: 9,
  events: 11,
  status: 15,
  flags: 16,
} as const;
const statusError = 2;
/** Of the W3C flags, and the two bits that say whether the parent is of another process. */
const sampledFlag = 0x1;
const hasIsRemote = 0x100;
const isRemote = 0x200;

export class SpanWriter {
  #bytes = Buffer.allocUnsafe(16 * 1024);
  #length = 0;
  #spanAt = 0;
  #spans = 0;

  get spans(): number {
    return this.#spans;
  }

  /** As repeated `ScopeSpans.spans`; it must not be written to afterwards. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#spanAt);
  }

  /** Forgets what was written, to be written to again. */
  clear(): void {
    this.#length = 0;
    this.#spanAt = 0;
    this.#spans = 0;
  }

  begin(head: SpanHead): void {
    // What was begun and never ended is written over.
    this.#length = this.#spanAt;
    this.#reserve(256 + 3 * (head.name.length + (head.state?.length ?? 0)));
    this.#tag(fields.span, lengthType);
    // The length is not known yet: three bytes hold any, as a varint may be longer than it need be.
    this.#length += 3;
    this.#hex(fields.traceId, head.traceId);
    this.#hex(fields.spanId, head.spanId);
    if (head.state !== undefined) this.#text(fields.state, head.state);
    if (head.parentId !== undefined) this.#hex(fields.parentId, head.parentId);
    this.#text(fields.name, head.name);
    this.#tag(fields.kind, varintType);
    this.#varint(head.kind);
    this.#time(fields.start, head.startMs);
    this.#time(fields.end, head.endMs);
    this.#tag(fields.flags, fixed32Type);
    this.#fixed32(sampledFlag | hasIsRemote | (head.hasRemoteParent ? isRemote : 0));
  }

  end(): void {
    const at = this.#spanAt + 1;
    const bytes = this.#length - at - 3;
    this.#bytes[at] = (bytes & 0x7f) | 0x80;
    this.#bytes[at + 1] = ((bytes >>> 7) & 0x7f) | 0x80;
    this.#bytes[at + 2] = bytes >>> 14;
    this.#spanAt = this.#length;
    this.#spans++;
  }

  /** Attributes that were encoded before. */
  encoded(attributes: Uint8Array): void {
    this.#reserve(attributes.length);
    this.#bytes.set(attributes, this.#length);
    this.#length += attributes.length;
  }

  text(key: AttributeKey, value: string): void {
    this.#reserve(key.length + 3 * value.length + 32);
    const bytes = isAscii(value) ? value.length : Buffer.byteLength(value);
    const any = 1 + varintLength(bytes) + bytes;
    this.#attribute(key, any);
    this.#tag(1, lengthType);
    this.#varint(bytes);
    this.#characters(value, bytes);
  }

  /** A whole number that is not negative. */
  integer(key: AttributeKey, value: number): void {
    this.#reserve(key.length + 48);
    this.#attribute(key, 1 + varintLength(value));
    this.#tag(3, varintType);
    this.#varint(value);
  }

  flag(key: AttributeKey, value: boolean): void {
    this.#reserve(key.length + 32);
    this.#attribute(key, 2);
    this.#tag(2, varintType);
    this.#varint(value ? 1 : 0);
  }

  event(name: string, timeMs: number, attributes: Uint8Array = nothing): void {
    this.#reserve(name.length + attributes.length + 64);
    const bytes = 9 + 1 + varintLength(name.length) + name.length + attributes.length;
    this.#tag(fields.events, lengthType);
    this.#varint(bytes);
    this.#time(1, timeMs);
    this.#text(2, name);
    this.#bytes.set(attributes, this.#length);
    this.#length += attributes.length;
  }

  /** @param message in ASCII. */
  failed(message: string): void {
    this.#reserve(message.length + 32);
    this.#tag(fields.status, lengthType);
    this.#varint(1 + varintLength(message.length) + message.length + 2);
    this.#text(2, message);
    this.#tag(3, varintType);
    this.#varint(statusError);
  }

  #attribute(key: AttributeKey, anyBytes: number): void {
    this.#tag(fields.attributes, lengthType);
    this.#varint(key.length + 1 + varintLength(anyBytes) + anyBytes);
    this.#bytes.set(key, this.#length);
    this.#length += key.length;
    this.#tag(2, lengthType);
    this.#varint(anyBytes);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }

  #tag(field: number, wireType: number): void {
    this.#varint((field << 3) | wireType);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 2 ** 31) {
      this.#bytes[this.#length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  #hex(field: number, digits: string): void {
    this.#tag(field, lengthType);
    this.#varint(digits.length / 2);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < digits.length; i += 2) {
      bytes[at++] = (digitOf(digits.charCodeAt(i)) << 4) | digitOf(digits.charCodeAt(i + 1));
    }
    this.#length = at;
  }

  #text(field: number, value: string): void {
    const bytes = isAscii(value) ? value.length : Buffer.byteLength(value);
    this.#tag(field, lengthType);
    this.#varint(bytes);
    this.#characters(value, bytes);
  }

  #characters(value: string, bytes: number): void {
    if (bytes === value.length && bytes < 64) {
      // Shorter ones are written sooner than a call out of JavaScript is made.
      const target = this.#bytes;
      const at = this.#length;
      for (let i = 0; i < bytes; i++) target[at + i] = value.charCodeAt(i);
      this.#length = at + bytes;
      return;
    }
    this.#length += this.#bytes.write(value, this.#length);
  }

  /** Nanoseconds do not fit into a number: microseconds do, and are split into two halves. */
  #time(field: number, ms: number): void {
    const micros = Math.round(ms * 1000);
    const low = (micros % 2 ** 32) * 1000;
    const high = Math.floor(micros / 2 ** 32) * 1000 + Math.floor(low / 2 ** 32);
    this.#tag(field, fixed64Type);
    this.#fixed32(low % 2 ** 32);
    this.#fixed32(high);
  }

  #fixed32(value: number): void {
    const bytes = this.#bytes;
    bytes[this.#length++] = value & 0xff;
    bytes[this.#length++] = (value >>> 8) & 0xff;
    bytes[this.#length++] = (value >>> 16) & 0xff;
    bytes[this.#length++] = (value >>> 24) & 0xff;
  }
}

const nothing = new Uint8Array(0);

export function encodeKey(name: string): AttributeKey {
  return lengthDelimited(1, Buffer.from(name));
}

/** @param field of the message that it is part of; a span's `attributes` unless told. */
export function encodeAttribute(
  name: string,
  value: string | number | boolean,
  field: number = fields.attributes,
): EncodedAttribute {
  const any =
    typeof value === 'string'
      ? lengthDelimited(1, Buffer.from(value))
      : Buffer.from([typeof value === 'number' ? 3 << 3 : 2 << 3, ...varint(Number(value))]);
  return lengthDelimited(field, Buffer.concat([encodeKey(name), lengthDelimited(2, any)]));
}

export function lengthDelimited(field: number, content: Uint8Array): Buffer {
  return Buffer.concat([lengthPrefix(field, content.length), content]);
}

/** What stands before `bytes` of content. */
export function lengthPrefix(field: number, bytes: number): Buffer {
  return Buffer.from([...varint((field << 3) | lengthType), ...varint(bytes)]);
}

function varint(value: number): number[] {
  return value > 0x7f ? [(value % 128) | 0x80, ...varint(Math.floor(value / 128))] : [value];
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) length++;
  return length;
}

function digitOf(code: number): number {
  return code <= 57 ? code - 48 : code - 87;
}

function isAscii(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 0x7f) return false;
  return true;
}
