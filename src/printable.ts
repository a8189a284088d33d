// Lines of the log that a terminal shows and does not obey, whatever clients have put into them.
import pino from 'pino';

/** What JSON leaves as it is: DEL and the C1 controls, separators of lines, and marks that turn the direction of text. */
const unprintable = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const escapeCharacter = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** @param json text in which JSON has escaped what it must; it stays the same value. */
export function escapeUnprintable(json: string): string {
  return json.search(unprintable) === -1 ? json : json.replace(unprintable, escapeCharacter);
}

const plain = /^[ !#-[\]-~]*$/;

export function toPrintableJson(value: string | object): string {
  if (typeof value === 'string' && plain.test(value)) return `"${value}"`;
  return escapeUnprintable(JSON.stringify(value));
}

const levelNames = new Map(Object.entries(pino.levels.labels));

/** One readable line for each entry: time, level, message, and the fields that remain; the stack of a fault stands below. */
export function writePrettyLine(json: string): string {
  const { level, time, msg, ...fields } = JSON.parse(json) as { level: number; time: string; msg?: string };
  const stack: string[] = [];
  const rest = Object.entries(fields).map(([name, value]) => {
    if (name !== 'err') return `${name}=${writeValue(value)}`;
    const { stack: text, ...fault } = value as { stack?: string };
    if (text !== undefined) stack.push(...text.split('\n').slice(1));
    return `${name}=${writeValue(fault)}`;
  });
  const clock = new Date(time).toTimeString().slice(0, 8);
  const name = (levelNames.get(String(level)) ?? '').toUpperCase();
  const lines = [`${clock} ${name.padEnd(5)} ${[escapeText(msg ?? ''), ...rest].join(' ')}`, ...stack.map(escapeText)];
  return `${lines.join('\n')}\n`;
}

function writeValue(value: unknown): string {
  if (typeof value === 'string' && /^[\x21\x23-\x3c\x3e-\x7e]+$/.test(value)) return value;
  return escapeUnprintable(JSON.stringify(value));
}

const escapeText = (text: string): string =>
  escapeUnprintable(JSON.stringify(text).slice(1, -1)).replaceAll('\\"', '"');
