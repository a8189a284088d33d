// Telling of the work must not become a part of it.

/** @returns what `tell` does; undefined when it has thrown, which the teller is told of then. */
export function shielded<Result>(
  teller: { readonly failed: (error: unknown) => void },
  tell: () => Result,
): Result | undefined {
  try {
    return tell();
  } catch (error) {
    teller.failed(error);
    return undefined;
  }
}
