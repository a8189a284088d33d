// Which addresses and ranges may stand in the configuration.
import { expect, test } from 'vitest';
import { findAddressRangeFault } from '../../../src/config/find-address-range-fault.ts';

test.each(['127.0.0.1', '10.0.0.0/8', '10.1.2.3/8', '0.0.0.0/0', '::1', '2001:db8::/32', '::ffff:10.0.0.0/104'])(
  '%s is fit',
  (text) => {
    expect(findAddressRangeFault(text)).toBeUndefined();
  },
);

test.each([
  '',
  'localhost',
  '10.0.0',
  '10.0.0.0/33',
  '10.0.0.0/x',
  '::/129',
  '[::1]',
  '127.0.0.1:80',
  'fe80::1%lo',
  '*',
])('%j is not', (text) => {
  expect(findAddressRangeFault(text)).toBe('must be an IP address, or a range such as 10.0.0.0/8 or 2001:db8::/32');
});
