// The fenced blocks of a page in Markdown.

export interface MarkdownBlock {
  /** As it stands behind the fence; may be empty. */
  readonly language: string;
  readonly text: string;
  /** Of the fence. */
  readonly line: number;
}

// CommonMark, section 4.5: the fence that closes is at least as long as the one that opens.
const fenced = /^(?<fence>`{3,}|~{3,})[ \t]*(?<language>[\w-]*)[^\n`]*\n(?<text>.*?)^\k<fence>[`~]*[ \t]*$/gmsu;

export function findBlocks(markdown: string): MarkdownBlock[] {
  return [...markdown.matchAll(fenced)].map(({ index, groups }) => ({
    language: groups?.['language'] ?? '',
    text: groups?.['text'] ?? '',
    line: markdown.slice(0, index).split('\n').length,
  }));
}
