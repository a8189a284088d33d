// Text as it may stand in an XML document.

export const xmlDeclaration = '<?xml version="1.0" encoding="UTF-8"?>\n';

const special = /[\p{Cc}&<>"\ufffe\uffff]/u;
const everySpecial = new RegExp(special, 'gu');

/**
 * For element content and attribute values in double quotes. A character that XML 1.0 (section 2.2) has no form for becomes U+FFFD: a
 * document that no parser takes would hide from the client that its upload is complete.
 */
export function escapeXml(text: string): string {
  const wellFormed = text.toWellFormed();
  return special.test(wellFormed) ? wellFormed.replaceAll(everySpecial, escapeCharacter) : wellFormed;
}

function escapeCharacter(character: string): string {
  switch (character) {
    case '&':
      return '&amp;';
    case '<':
      return '&lt;';
    case '>':
      return '&gt;';
    case '"':
      return '&quot;';
    // A parser would turn a bare one into a line feed (section 2.11), and in attributes these into spaces (section 3.3.3).
    case '\r':
    case '\n':
    case '\t':
      return `&#${character.charCodeAt(0)};`;
    default:
      return character >= '\u007f' && character <= '\u009f' ? character : '\ufffd';
  }
}

/** An element with text in it. @param name is taken as it is. */
export function element(name: string, text: string | number | boolean): string {
  return `<${name}>${typeof text === 'string' ? escapeXml(text) : text}</${name}>`;
}

/** As `element`, or nothing for undefined. */
export function optionalElement(name: string, text: string | number | undefined): string {
  return text === undefined ? '' : element(name, text);
}
