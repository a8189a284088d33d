// Spans as a collector passed them on, read from their protobuf, and as the tree that a person sees.
// Source: opentelemetry-proto, trace/v1/trace.proto.
import type { Collector } from '../servers/start-rotel.ts';
import { waitFor } from './wait-for.ts';

export type Value = string | number | boolean;

export interface SeenEvent {
  readonly name: string;
  readonly timeMs: number;
  readonly attributes: Readonly<Record<string, Value>>;
}

export interface SeenSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentId: string;
  readonly state: string;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client';
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, Value>>;
  readonly events: readonly SeenEvent[];
  readonly isError: boolean;
  readonly message: string;
  readonly flags: number;
  readonly resource: Readonly<Record<string, Value>>;
}

/** Every span that has come through so far. */
export function spansOf({ received }: Pick<Collector, 'received'>): SeenSpan[] {
  return received.flatMap((request) => readRequest(request));
}

/** Waits for the whole of one trace: until it has as many spans as `isWhole` wants. @throws Error with those that came. */
export async function waitForTrace(
  collector: Pick<Collector, 'received'>,
  traceId: string,
  isWhole: (spans: readonly SeenSpan[]) => boolean,
): Promise<SeenSpan[]> {
  const read = (): SeenSpan[] => spansOf(collector).filter((span) => span.traceId === traceId);
  await waitFor(async () => isWhole(read())).catch((error: unknown) => {
    throw new Error(`the trace is not whole:\n${drawTree(read())}`, { cause: error });
  });
  return read();
}

export function childrenOf(spans: readonly SeenSpan[], parent: Pick<SeenSpan, 'spanId'>): SeenSpan[] {
  return spans.filter(({ parentId }) => parentId === parent.spanId).toSorted((a, b) => a.startMs - b.startMs);
}

/** Names, two spaces deeper for each generation; brothers that begin together in the order of their names and part numbers. */
export function drawTree(spans: readonly SeenSpan[]): string {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const draw = (span: SeenSpan, depth: number): string[] => {
    const part = span.attributes['aws.s3.part_number'];
    const label = part === undefined ? span.name : `${span.name} ${part}`;
    return [`${'  '.repeat(depth)}${label}`, ...childrenOf(spans, span).flatMap((child) => draw(child, depth + 1))];
  };
  return spans
    .filter(({ parentId }) => !ids.has(parentId))
    .flatMap((root) => draw(root, 0))
    .join('\n');
}

type Field = readonly [number: number, content: Buffer | bigint];

function readRequest(request: Buffer): SeenSpan[] {
  return messages(request, 1).flatMap((resourceSpans) => {
    const resource = attributesOf(messages(resourceSpans, 1)[0] ?? Buffer.alloc(0), 1);
    return messages(resourceSpans, 2)
      .flatMap((scopeSpans) => messages(scopeSpans, 2))
      .map((span) => readSpan(span, resource));
  });
}

function readSpan(span: Buffer, resource: SeenSpan['resource']): SeenSpan {
  const status = messages(span, 15)[0] ?? Buffer.alloc(0);
  return {
    traceId: bytes(span, 1).toString('hex'),
    spanId: bytes(span, 2).toString('hex'),
    parentId: bytes(span, 4).toString('hex'),
    state: bytes(span, 3).toString(),
    name: bytes(span, 5).toString(),
    kind: (['internal', 'internal', 'server', 'client'] as const)[integer(span, 6)] ?? 'internal',
    startMs: time(span, 7),
    endMs: time(span, 8),
    attributes: attributesOf(span, 9),
    events: messages(span, 11).map((event) => ({
      name: bytes(event, 2).toString(),
      timeMs: time(event, 1),
      attributes: attributesOf(event, 3),
    })),
    isError: integer(status, 3) === 2,
    message: bytes(status, 2).toString(),
    flags: integer(span, 16),
    resource,
  };
}

function attributesOf(message: Buffer, field: number): Record<string, Value> {
  return Object.fromEntries(
    messages(message, field).map((pair) => [bytes(pair, 1).toString(), readValue(bytes(pair, 2))]),
  );
}

function readValue(value: Buffer): Value {
  const [field, content] = readFields(value)[0] ?? [1, Buffer.alloc(0)];
  if (typeof content !== 'bigint') return content.toString();
  return field === 2 ? content === 1n : Number(content);
}

function messages(message: Buffer, field: number): Buffer[] {
  return readFields(message).flatMap(([number, content]) =>
    number === field && typeof content !== 'bigint' ? [content] : [],
  );
}

function bytes(message: Buffer, field: number): Buffer {
  return messages(message, field)[0] ?? Buffer.alloc(0);
}

function integer(message: Buffer, field: number): number {
  const [, content] = readFields(message).find(([number]) => number === field) ?? [];
  return typeof content === 'bigint' ? Number(content) : 0;
}

function time(message: Buffer, field: number): number {
  const [, content] = readFields(message).find(([number]) => number === field) ?? [];
  return typeof content === 'bigint' ? Number(content / 1000n) / 1000 : 0;
}

/** @throws RangeError when the message is not protobuf. */
function readFields(message: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    const wireType = tag % 8;
    const field = Math.floor(tag / 8);
    if (wireType === 0) fields.push([field, varint()]);
    else if (wireType === 1) fields.push([field, message.readBigUInt64LE((at += 8) - 8)]);
    else if (wireType === 5) fields.push([field, BigInt(message.readUInt32LE((at += 4) - 4))]);
    else if (wireType === 2) {
      const length = Number(varint());
      if (at + length > message.length) throw new RangeError('a field is cut off');
      fields.push([field, message.subarray(at, (at += length))]);
    } else throw new RangeError(`wire type ${wireType}`);
  }
  return fields;
}
