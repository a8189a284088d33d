// One text for each address; ranges, and sets of them.
import { describe, expect, test } from 'vitest';
import { createAddressSet, normalizeAddress, parseAddressRange, writeAddress } from '../../src/ip-address.ts';

describe('normalizeAddress', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['::', '::'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['0000:0000:0000:0000:0000:0000:0000:0001', '::1'],
    ['0000:0000:0000:0000:0000:ffff:7f00:0001', '127.0.0.1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::FFFF:c0a8:ff', '192.168.0.255'],
    ['::ffff:0:0', '0.0.0.0'],
    // Not IPv4-mapped: the address that once was "IPv4-compatible", and one under another prefix.
    ['::1.2.3.4', '::102:304'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
    ['1::ffff:1.2.3.4', '1::ffff:102:304'],
  ])('%s', (text, address) => {
    expect(normalizeAddress(text)).toBe(address);
  });

  test.each([
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.256',
    '0x7f.1',
    '2130706433',
    ' 1.2.3.4',
    '1.2.3.4\n',
  ])('%j is none', (text) => {
    expect(normalizeAddress(text)).toBeUndefined();
  });

  test.each([
    ['c0000201', '192.0.2.1'],
    ['00000000', '0.0.0.0'],
    ['ffffffff', '255.255.255.255'],
    ['00000000000000000000ffff7f000001', '127.0.0.1'],
    ['00000000000000000000000000000001', '::1'],
    ['00000000000000000000000000000000', '::'],
    ['20010db8000000010000000000000001', '2001:db8:0:1::1'],
    // Not IPv4-mapped, each by one bit.
    ['00000000000000000000fffe7f000001', '::fffe:7f00:1'],
    ['00000000000000000001ffff7f000001', '::1:ffff:7f00:1'],
    ['01000000000000000000ffff7f000001', '100::ffff:7f00:1'],
    ['0064ff9b000000000000000001020304', '64:ff9b::102:304'],
    ['', ''],
  ])('the bytes %s', (hex, address) => {
    expect(writeAddress(Buffer.from(hex, 'hex'))).toBe(address);
    // As long as there is one, it is the same by both ways.
    if (address !== '') expect(normalizeAddress(address)).toBe(address);
  });

  test.each([':::', '1:2:3:4:5:6:7:8:9', '[::1]', 'fe80::1%eth0', 'g::1', '::ffff:1.2.3'])('%j is none', (text) => {
    expect(normalizeAddress(text)).toBeUndefined();
  });
});

describe('ranges', () => {
  test.each([
    ['192.0.2.1', { family: 'ipv4', address: '192.0.2.1', prefixLength: 32 }],
    ['10.0.0.0/8', { family: 'ipv4', address: '10.0.0.0', prefixLength: 8 }],
    ['0.0.0.0/0', { family: 'ipv4', address: '0.0.0.0', prefixLength: 0 }],
    ['2001:DB8::/32', { family: 'ipv6', address: '2001:db8::', prefixLength: 32 }],
    ['::1', { family: 'ipv6', address: '::1', prefixLength: 128 }],
    ['::/0', { family: 'ipv6', address: '::', prefixLength: 0 }],
    ['::ffff:10.0.0.0/104', { family: 'ipv4', address: '10.0.0.0', prefixLength: 8 }],
    ['::ffff:10.1.2.3', { family: 'ipv4', address: '10.1.2.3', prefixLength: 32 }],
  ])('%s', (text, range) => {
    expect(parseAddressRange(text)).toEqual(range);
  });

  const faulty = [
    '10.0.0.0/',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10/8',
    '/8',
    '*',
  ];
  const others = [
    '10.0.0.0-10.0.0.9',
    '10.0.0.0/255.0.0.0',
    '10.0.0.0/8 ',
    '::ffff:10.0.0.0/95',
    'fe80::%1/64',
    'proxy',
  ];
  test.each([...faulty, ...others])('%j is none', (text) => {
    expect(parseAddressRange(text)).toBeUndefined();
  });
});

test('a set holds the addresses of all its ranges, and no others', () => {
  const set = createAddressSet([
    '192.0.2.7',
    '10.0.0.0/8',
    '198.51.100.128/25',
    '2001:db8::/33',
    '::ffff:172.16.0.0/108',
  ]);
  const inside = ['192.0.2.7', '10.0.0.0', '10.255.255.255', '198.51.100.128', '2001:db8:7fff::1', '172.31.255.255'];
  const outside = ['192.0.2.8', '11.0.0.0', '198.51.100.127', '2001:db8:8000::1', '172.32.0.0', '::1', '', 'unknown'];
  expect(inside.filter((address) => !set.has(address))).toEqual([]);
  expect(outside.filter((address) => set.has(address))).toEqual([]);
});

test('all IPv6 addresses are not all IPv4 addresses', () => {
  expect(createAddressSet(['::/0']).has('192.0.2.1')).toBe(false);
  expect(createAddressSet(['0.0.0.0/0']).has('::1')).toBe(false);
});

test('what is no range is not taken into a set', () => {
  expect(() => createAddressSet(['10.0.0.0/8', '10.0.0.0/64'])).toThrow('10.0.0.0/64 is no address');
});
