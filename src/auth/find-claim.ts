// Finds what a token says at a dotted path.

/**
 * A name may hold dots itself (`https://example.com/roles`): the longest that an object has counts. Lists are not walked
 * into, and what an object only inherits is not there.
 * @returns undefined when nothing is there.
 */
export function findClaim(within: unknown, path: string): unknown {
  if (typeof within !== 'object' || within === null || Array.isArray(within)) return undefined;
  for (let end = path.length; end > 0; end = path.lastIndexOf('.', end - 1)) {
    const name = path.slice(0, end);
    if (!Object.hasOwn(within, name)) continue;
    const value = (within as Record<string, unknown>)[name];
    return end === path.length ? value : findClaim(value, path.slice(end + 1));
  }
  return undefined;
}
