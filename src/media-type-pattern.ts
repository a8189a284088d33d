// What may stand in a list of content types.

/** Whether a text is a content type without parameters, `image/*` or `*` + `/*`; in any case. */
export function isMediaTypePattern(text: string): boolean {
  return /^(?:\*\/\*|[!#$%&'+\-.^_`|~0-9a-z]+\/(?:\*|[!#$%&'+\-.^_`|~0-9a-z]+))$/i.test(text);
}
