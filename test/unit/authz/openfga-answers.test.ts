// What the answers to several checks come to: every relation with one object at least, and nothing from what is not known.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { judge, OpenFgaFault, type Answer } from '../../../src/authz/openfga-answers.ts';

const fault = new OpenFgaFault('no answer');
const table = fc.integer({ min: 1, max: 4 }).chain((objects) =>
  fc.array(fc.array(fc.constantFrom<Answer>(true, false, fault), { minLength: objects, maxLength: objects }), {
    minLength: 1,
    maxLength: 4,
  }),
);
const relationsOf = (rows: readonly unknown[]) => rows.map((_, index) => `r${index}`);

test('is what it would be whatever the checks that were not answered had said, or not known', () => {
  fc.assert(
    fc.property(table, (rows) => {
      const allows = (unanswered: boolean) =>
        rows.every((row) => row.some((answer) => (typeof answer === 'boolean' ? answer : unanswered)));
      const verdict = judge(relationsOf(rows), rows.flat());
      if (allows(true) === allows(false)) expect(verdict.kind).toBe(allows(true) ? 'allowed' : 'denied');
      else expect(verdict).toEqual({ kind: 'unknown', fault });
    }),
    { numRuns: 2000 },
  );
});

test('names the relation that does not hold', () => {
  expect(judge(['a', 'b'], [true, false, false, false])).toEqual({ kind: 'denied', relation: 'b' });
  expect(judge(['a', 'b'], [fault, false, false, false])).toEqual({ kind: 'denied', relation: 'b' });
});
