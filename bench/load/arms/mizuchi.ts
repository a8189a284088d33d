// Our own arms with JWT on, in the forms worth comparing: as configured by default, and with parts cut otherwise.
import { builtEntry, createMizuchi } from './create-mizuchi.ts';

export const mizuchi = createMizuchi({
  name: 'mizuchi',
  note: 'this proxy as configured by default: JWT verified, requests signed, large bodies in parts',
});

export const mizuchiBuilt = createMizuchi({
  name: 'mizuchi-built',
  note: 'the same from `dist`, as it is installed: Node has no types to strip',
  entry: builtEntry,
});

/** S3 takes single PUTs of up to 5 GiB. */
export const mizuchiSingle = createMizuchi({
  name: 'mizuchi-single',
  note: 'the same with `multipart_threshold: 5GiB`: one PUT to the backend for one PUT, as the other proxies do',
  upload: { multipart_threshold: 5 * 2 ** 30 },
});

export const mizuchiEightParts = createMizuchi({
  name: 'mizuchi-8-parts',
  note: 'the same with `concurrent_parts: 8`',
  upload: { concurrent_parts: 8 },
});
