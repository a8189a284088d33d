// The names of spans' attributes are those of the semantic conventions.
import * as conventions from '@opentelemetry/semantic-conventions/incubating';
import { expect, test } from 'vitest';
import { names, ownNames } from '../../../../src/telemetry/tracing/attributes.ts';

const known = new Set<unknown>(Object.values(conventions));

test.each(Object.values(names))('%s is a name of the conventions', (name) => {
  expect(known.has(name)).toBe(true);
});

test('our own names are ours', () => {
  for (const name of Object.values(ownNames)) expect(name).toMatch(/^mizuchi\./u);
});
