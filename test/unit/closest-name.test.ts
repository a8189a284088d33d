import { expect, test } from 'vitest';
import { findClosestName } from '../../src/closest-name.ts';

const names = ['part_size', 'max_object_size', 'min_object_size', 'name', 'retry', 'config'];

test.each([
  ['part_size', 'part_size'],
  ['partSize', 'part_size'],
  ['part-sizes', 'part_size'],
  ['max_objct_size', 'max_object_size'],
  ['mni_object_size', 'min_object_size'],
  ['confg', 'config'],
  ['ocnfig', 'config'],
  ['nam', 'name'],
  ['frobnicate', undefined],
  ['x', undefined],
  ['', undefined],
])('%j: %j', (name, meant) => {
  expect(findClosestName(name, names)).toBe(meant);
});

test('of several the nearest, and of none none', () => {
  expect(findClosestName('max_object_siz', ['min_object_size', 'max_object_size'])).toBe('max_object_size');
  expect(findClosestName('anything', [])).toBeUndefined();
});
