// The client's place in a trace, as it says it: `traceparent` and `tracestate`.
// Source: W3C Trace Context, Recommendation of 23 November 2021, sections 3.2 and 3.3. What is not valid counts as absent.
import type { RequestHeaders } from '../../http.ts';

export interface RemoteParent {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  readonly isSampled: boolean;
  /** As it goes on to the neighbours; undefined when there is none. */
  readonly state: string | undefined;
}

const sampledFlag = 0x01;
const traceparentPattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[^,]*)?$/;
const zeroTraceId = '0'.repeat(32);
const zeroSpanId = '0'.repeat(16);
/** Long enough for any version that may come; more is not looked at. */
const maxTraceparentLength = 256;

const maxStateMembers = 32;
/** Section 3.3.1.5: what a vendor passes on at least. */
const maxStateLength = 512;
const memberPattern =
  /^(?:[a-z][_0-9a-z\-*/]{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** A field that comes twice is joined with a comma, and so is not valid. */
export function readRemoteParent(headers: Pick<RequestHeaders, 'get'>): RemoteParent | undefined {
  const field = headers.get('traceparent');
  if (field === undefined || field.length > maxTraceparentLength) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', more] = traceparentPattern.exec(field) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (traceId === zeroTraceId || spanId === zeroSpanId) return undefined;
  return {
    traceId,
    spanId,
    isSampled: (Number.parseInt(flags, 16) & sampledFlag) !== 0,
    state: readTraceState(headers.get('tracestate')),
  };
}

/** @returns undefined for one that breaks the rules: it is then not passed on at all. */
export function readTraceState(field: string | undefined): string | undefined {
  if (field === undefined || field.length > 64 * maxStateLength) return undefined;
  const members: string[] = [];
  const keys = new Set<string>();
  for (const part of field.split(',')) {
    const member = part.trim();
    if (member === '') continue;
    const key = member.slice(0, member.indexOf('='));
    if (!memberPattern.test(member) || keys.has(key) || members.length === maxStateMembers) return undefined;
    keys.add(key);
    members.push(member);
  }
  // The newest stand first, so what goes beyond is taken from the end.
  while (members.join(',').length > maxStateLength) members.pop();
  return members.length === 0 ? undefined : members.join(',');
}

export function formatTraceparent(traceId: string, spanId: string, isSampled: boolean): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}
