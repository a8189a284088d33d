// What config.example.yaml says of each setting: the comment above it, by the setting's path in the schema.

const setting = /^(?<indent> *)(?<dash>- )?#?(?<name>[a-z][a-z0-9_]*):(?: |$)/u;
const prose = /^ *# (?<text>.*)$/u;

/**
 * @param yaml block style; settings that are commented out stand behind a `#` without a space, prose behind one with a space.
 * @returns prose by path, such as `buckets[].upload.part_size`; where several entries of a list have it, the first.
 */
export function describeSettings(yaml: string): ReadonlyMap<string, string> {
  const described = new Map<string, string>();
  const open: { readonly indent: number; readonly path: string }[] = [];
  let comment: string[] = [];
  for (const line of yaml.split('\n')) {
    const text = prose.exec(line)?.groups?.['text'];
    if (text !== undefined) {
      comment.push(text);
      continue;
    }
    const groups = setting.exec(line)?.groups;
    if (groups?.['name'] !== undefined) {
      const itemIndent = groups['indent']?.length ?? 0;
      const isItem = groups['dash'] !== undefined;
      const indent = isItem ? itemIndent + 2 : itemIndent;
      while (open.length > 0 && (open.at(-1)?.indent ?? 0) >= (isItem ? itemIndent : indent)) open.pop();
      const parent = open.at(-1)?.path;
      if (isItem) open.push({ indent: itemIndent, path: `${parent}[]` });
      const place = isItem ? `${parent}[]` : parent;
      const path = place === undefined ? groups['name'] : `${place}.${groups['name']}`;
      open.push({ indent, path });
      if (comment.length > 0 && !described.has(path)) described.set(path, comment.join(' '));
    }
    comment = [];
  }
  return described;
}
