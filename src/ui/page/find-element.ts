// An element of the page's own HTML, by its id.

/** @throws Error when the page has none: then HTML and script are not of one version. */
export function findElement<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`no ${id} in the page`);
}
