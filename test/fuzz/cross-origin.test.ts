// Any origin and any word of a proxy: what is allowed is where it says it is, and what is believed is an address.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { findOriginFault } from '../../src/config/find-origin-fault.ts';
import { createCorsPolicy } from '../../src/cors.ts';
import { createForwardedReader } from '../../src/forwarded.ts';
import { RequestHeaders } from '../../src/http.ts';
import { normalizeAddress } from '../../src/ip-address.ts';

/** What an origin is made of, and what could end its host early or late, between any characters at all. */
const origin = fc
  .array(
    fc.oneof(
      fc.constantFrom('https://', 'http://', 'a', 'example.com', '.example.com', 'evil.com', '.', '-', ':443', ':8443'),
      fc.constantFrom('/', '\\', '@', '#', '?', '%2e', '%', ' ', '\t', '\n', ',', '*', '[::1]', 'xn--', 'null', '\0'),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
    { maxLength: 8 },
  )
  .map((pieces) => pieces.join(''));

const isAllowed = (allowedOrigins: readonly string[], text: string): boolean =>
  createCorsPolicy({ allowedOrigins, allowedHeaders: ['*'], maxAgeSeconds: 0, allowCredentials: false })
    .fieldsFor({ method: 'PUT', headers: new RequestHeaders(['origin', text]) })
    .some(([name]) => name === 'Access-Control-Allow-Origin');

test('an origin that a pattern allows has its host where the pattern says', () => {
  const pieces = fc.oneof(
    origin,
    origin.map((text) => `https://${text}.example.com`),
  );
  fc.assert(
    fc.property(pieces, (text) => {
      if (!isAllowed(['https://*.example.com'], text)) return;
      expect(text).toMatch(/^https:\/\/[a-z0-9._-]+\.example\.com$/u);
      // Not every such text is an origin: xn-- may not stand alone.
      if (URL.canParse(text)) expect(new URL(text).hostname).toMatch(/\.example\.com$/u);
    }),
    { numRuns: 20_000 },
  );
});

test('an entry without fault allows some origin, and one that is no pattern allows itself alone', () => {
  fc.assert(
    fc.property(origin, origin, (entry, other) => {
      if (findOriginFault(entry) !== undefined) return;
      expect(isAllowed([entry], entry.replace('*', 'a'))).toBe(true);
      if (!entry.includes('*')) expect(isAllowed([entry], other)).toBe(entry === other);
    }),
    { numRuns: 20_000 },
  );
});

test('whatever a trusted proxy says, the client has an address, and its host ends nothing', () => {
  const read = createForwardedReader(['10.0.0.0/8']);
  const words = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          '192.0.2.1',
          '10.0.0.2',
          '2001:db8::1',
          '::ffff:1.2.3.4',
          '[',
          ']',
          ':80',
          ',',
          ' ',
          '.',
          'a.b',
        ),
        fc.string({ unit: 'binary', maxLength: 4 }),
      ),
      { maxLength: 8 },
    )
    .map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(words, words, words, (list, host, proto) => {
      const fields = ['x-forwarded-for', list, 'x-forwarded-host', host, 'x-forwarded-proto', proto];
      const forwarded = read?.('10.0.0.1', new RequestHeaders(fields));
      expect(normalizeAddress(forwarded?.clientIp ?? '')).toBe(forwarded?.clientIp);
      expect(forwarded?.host ?? 'none').toMatch(/^(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d+)?$/u);
    }),
    { numRuns: 10_000 },
  );
});
