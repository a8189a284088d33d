import { array, assert, nat, property } from 'fast-check';
import { expect, test } from 'vitest';
import { SlotList } from '../../src/slot-list.ts';

test('holds what was added and not removed, whatever the order', () => {
  assert(
    property(array(nat(9), { maxLength: 200 }), (choices) => {
      const list = new SlotList<{ id: number }>();
      const expected = new Map<number, { id: number }>();
      for (const [id, choice] of choices.entries()) {
        const slots = [...expected.keys()];
        const slot = slots[choice];
        if (slot === undefined || choice > 6) {
          const item = { id };
          const added = list.add(item);
          expect(expected.has(added)).toBe(false);
          expected.set(added, item);
        } else {
          list.remove(slot);
          expected.delete(slot);
        }
        expect(list.size).toBe(expected.size);
        expect(new Set(list)).toEqual(new Set(expected.values()));
      }
    }),
  );
});

test('uses slots again, so that it is never longer than it has held at a time', () => {
  const list = new SlotList<number>();
  const slots = new Set<number>();
  for (let i = 0; i < 100; i++) {
    const slot = list.add(i);
    slots.add(slot);
    list.remove(slot);
  }
  expect(slots.size).toBe(1);
});

test('is gone through while it changes', () => {
  const list = new SlotList<number>();
  const slots = [1, 2, 3].map((item) => list.add(item));
  const seen: number[] = [];
  for (const item of list) {
    seen.push(item);
    if (item === 1) list.remove(slots[1] as number);
  }
  expect(seen).toEqual([1, 3]);
});
