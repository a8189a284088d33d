// Which origins may be allowed by the configuration.
import { describe, expect, test } from 'vitest';
import { findOriginFault } from '../../../src/config/find-origin-fault.ts';

describe('fit', () => {
  test.each([
    '*',
    'null',
    'https://example.com',
    'http://localhost:3000',
    'https://a.example:8443',
    'http://127.0.0.1:5173',
  ])('%s', (text) => {
    expect(findOriginFault(text)).toBeUndefined();
  });

  test.each(['http://[::1]:8080', 'https://xn--bcher-kva.example', 'https://my_app.example', 'capacitor://localhost'])(
    '%s',
    (text) => {
      expect(findOriginFault(text)).toBeUndefined();
    },
  );

  test.each([
    'https://*',
    'https://*.example.com',
    'https://*.example.com:8443',
    'https://preview-*.example.com',
    'https://*-team.example.app',
    'https://app.*.example.com',
    'http://*.localhost:3000',
    'chrome-extension://abcdefghijklmnop',
    'moz-extension://*',
  ])('%s', (text) => {
    expect(findOriginFault(text)).toBeUndefined();
  });
});

describe('written in a form that no browser sends', () => {
  test.each([
    ['https://example.com/', 'https://example.com'],
    ['https://example.com:443', 'https://example.com'],
    ['http://example.com:80', 'http://example.com'],
    ['HTTPS://Example.COM', 'https://example.com'],
    ['https://*.Example.com:443', 'https://*.example.com'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['http://127.1', 'http://127.0.0.1'],
    ['http://[0:0::1]', 'http://[::1]'],
  ])('%s', (text, origin) => {
    expect(findOriginFault(text)).toBe(`must be written as browsers send it: ${origin}`);
  });
});

describe('no origin', () => {
  const shapes = [
    '',
    'example.com',
    '//example.com',
    'https:example.com',
    'https://',
    'https:///',
    'https://a b',
    'Null',
  ];
  const more = ['https://example.com/path', 'https://example.com?q', 'https://example.com#f', 'https://a@example.com'];
  const most = [
    'https://example.com:99999',
    'https://exa\nmple.com',
    ' https://a.example',
    'file:///',
    'https://[::1',
    '**',
  ];
  test.each([...shapes, ...more, ...most])('%j', (text) => {
    expect(findOriginFault(text)).toMatch(/^must be \*, null, or scheme|^must hold at most one \*$/u);
  });
});

describe('wildcards', () => {
  test.each(['https://*.*.example.com', 'https://*.example.com:*', '**'])('%s: one only', (text) => {
    expect(findOriginFault(text)).toBe('must hold at most one *');
  });

  test.each([
    'https://*example.com',
    'https://example.*',
    'https://app*',
    'https://example.com:*',
    'https://*-app',
    'ext://a*',
  ])('%s: not there', (text) => {
    expect(findOriginFault(text)).toBe(
      'must have its * as the whole host, or before a dot or a hyphen and not in the last label',
    );
  });

  test.each(['*://example.com', 'http*://example.com', 'https://*/path', '*.example.com', 'https://*.example.com/*'])(
    '%s: nor there',
    (text) => {
      expect(findOriginFault(text)).toMatch(/^must /u);
    },
  );
});
