// Why a text is no template for what it shall become: part of a key, or a header field's value.
import { fillTemplate, parseTemplate, type Template } from '../template.ts';

const braceFault = 'must have its braces in pairs, with a name in each';
const maxLiteralBytes = 1000;
/** What the proxy makes up by itself. Any number of them may share a segment with a claim: they hold no claim's text. */
const madeNames: ReadonlySet<string> = new Set(['yyyy', 'mm', 'dd', 'uuid', 'ext']);

/** What is wrong with `key_prefix`, or undefined. */
export function findKeyPrefixFault(text: string): string | undefined {
  const template = parseTemplate(text);
  if (template === undefined) return braceFault;
  const made = template.names.find((name) => madeNames.has(name));
  if (made !== undefined) return `must not hold {${made}}, which is for key_template`;
  // Else the claim "al" would open what belongs to "alice".
  if (template.names.length > 0 && !text.endsWith('/')) return 'must end with / where it holds a claim';
  return findKeyFault(template);
}

/** What is wrong with `key_template`, or undefined. */
export function findKeyTemplateFault(text: string): string | undefined {
  const template = parseTemplate(text);
  if (template === undefined) return braceFault;
  if (!template.names.includes('uuid')) return 'must hold {uuid}, or one object would replace another';
  return shapeOf(template).endsWith('/') ? 'must not end with /' : findKeyFault(template);
}

/** What is wrong with the value of a forced header, or undefined. */
export function findFieldTemplateFault(text: string): string | undefined {
  const template = parseTemplate(text);
  if (template === undefined) return braceFault;
  if (!template.literals.every((literal) => /^[ -~]*$/.test(literal))) return 'must be printable US-ASCII';
  return text.trim() === text ? undefined : 'must not begin or end with a space';
}

function findKeyFault(template: Template): string | undefined {
  const literal = template.literals.join('');
  const shape = shapeOf(template);
  if (shape.startsWith('/')) return 'must not begin with /';
  if (shape.includes('//')) return 'must not hold //';
  if (/\p{Cc}/u.test(literal) || !literal.isWellFormed()) return 'must not hold control characters';
  if (Buffer.byteLength(literal) > maxLiteralBytes) return `must be at most ${maxLiteralBytes} bytes`;
  const segments = shape.split('/');
  if (segments.includes('.') || segments.includes('..')) return 'must not hold . or .. as a segment';
  // Of two side by side nobody could tell where the first one ends: "a" and "bc" would be "ab" and "c".
  return hasClaimsInOneSegment(template) ? 'must have a / between two claims' : undefined;
}

/** As short as it can become: an extension is empty where nothing is known of the type. */
function shapeOf(template: Template): string {
  return fillTemplate(template, (name) => (name === 'ext' ? '' : 'x'));
}

function hasClaimsInOneSegment({ literals, names }: Template): boolean {
  let claims = 0;
  for (const [index, name] of names.entries()) {
    if (literals[index]?.includes('/')) claims = 0;
    if (!madeNames.has(name)) claims++;
    if (claims > 1) return true;
  }
  return false;
}
