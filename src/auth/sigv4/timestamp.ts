// SigV4's timestamps: ISO 8601 in its basic form, in UTC, whole seconds.

const iso8601Basic = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
/** RFC 9110, section 5.6.7: the one form of a Date field that is still sent. */
const imfFixdate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;

/** @returns `YYYYMMDDTHHMMSSZ`. */
export function formatTimestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

/** @returns milliseconds since 1970; undefined for what is not a timestamp, or of a day that no calendar has. */
export function parseTimestamp(text: string): number | undefined {
  const match = iso8601Basic.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const ms = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  // Date.UTC carries over what is too large, and takes years below 100 for 19xx.
  return formatTimestamp(ms) === text ? ms : undefined;
}

/** A Date field, as a timestamp. */
export function fromHttpDate(text: string): string | undefined {
  const ms = imfFixdate.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? undefined : formatTimestamp(ms);
}
