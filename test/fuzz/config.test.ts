// Any text, any document, any environment: a Config or a ConfigError, and never another throw.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { ConfigError } from '../../src/config/config-error.ts';
import { expandVariables } from '../../src/config/expand-variables.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { parseListenAddress } from '../../src/config/parse-listen-address.ts';
import { formatSize, parseSize } from '../../src/config/parse-size.ts';
import { printConfig } from '../../src/config/print-config.ts';

const secret = 'Zx8Qm2Lp7Vr4Tn9Kc1Wb6Hd3Jf5Gs0Ya';

function isConfigOrFaults(text: string, env: Record<string, string> = {}): boolean {
  try {
    return printConfig(loadConfig({ path: 'c', text, env })).length > 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults.length > 0;
  }
}

/** Settings by their real names with values of any kind: reaches far deeper into the schema than free text. */
const scalar = fc.oneof(
  fc.constantFrom('16MiB', 'auto', '${A}', '${B:-1}', '/a', 'uploads', 'team-*', 'http://h:1', 'HS256', secret, ''),
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
);
const keys = fc.oneof(
  fc.constantFrom('server', 'limits', 'address', 'workers', 'tls', 'buckets', 'name', 'path_prefix', 's3', 'bucket'),
  fc.constantFrom('filesystem', 'root', 'auth', 'enabled', 'jwt', 'secret', 'audience', 'upload', 'retry', 'part_size'),
  fc.constantFrom('base_delay_ms', 'max_delay_ms', 'access_key', 'endpoint', 'logging', 'level', 'redis', '__proto__'),
  fc.string({ maxLength: 8 }),
);
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    scalar,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(keys, tie('tree'), { maxKeys: 6 }),
  ),
}));
const bucket = fc.record(
  {
    name: fc.constantFrom('uploads', 'archive', 'a-*', 'x'),
    path_prefix: fc.oneof(fc.constantFrom('/a', '/a/', 'a', '/uploads'), scalar),
    s3: fc.oneof(fc.constant({}), tree),
    filesystem: fc.record({ root: scalar }),
    auth: fc.oneof(fc.constantFrom({ enabled: false }, { jwt: { secret } }, { enabled: '${A}' }), tree),
    upload: fc.dictionary(keys, scalar, { maxKeys: 3 }),
  },
  { requiredKeys: ['name'] },
);
const nearlyConfig = fc.record(
  { buckets: fc.array(bucket, { maxLength: 3 }), server: fc.dictionary(keys, tree, { maxKeys: 3 }), logging: tree },
  { requiredKeys: ['buckets'] },
);

function answersWell(text: string, env?: Record<string, string>): void {
  expect(isConfigOrFaults(text, env)).toBe(true);
}

test('any text', () => {
  expect.hasAssertions();
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => answersWell(text)));
});

test('text made of what YAML gives a meaning to', () => {
  expect.hasAssertions();
  const marks = [
    '- ',
    ': ',
    '\n',
    '  ',
    '\t',
    '{',
    '}',
    '[',
    ']',
    ',',
    '&a ',
    '*a',
    '<<: ',
    '!!set ',
    '!t ',
    '#',
    '|',
    '>',
  ];
  const words = [
    '"',
    "'",
    '---\n',
    '...\n',
    '%YAML 1.1\n',
    '? ',
    '~',
    '\\',
    '${A}',
    '${',
    '\uFEFF',
    '\0',
    'buckets',
    'name',
  ];
  const text = fc.array(fc.constantFrom(...marks, ...words), { maxLength: 60 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (yaml) => answersWell(yaml)),
    { numRuns: 2000 },
  );
});

test('any document', () => {
  expect.hasAssertions();
  fc.assert(
    fc.property(
      fc.oneof(
        tree.map((value) => JSON.stringify(value)),
        fc.json(),
      ),
      (text) => answersWell(text),
    ),
  );
});

test('documents that are nearly configurations, with any environment', () => {
  expect.hasAssertions();
  const env = fc.record({ A: fc.oneof(fc.constantFrom('true', 'false', '5', '8MiB'), fc.string()) });
  fc.assert(
    fc.property(nearlyConfig, env, (document, variables) => answersWell(stringify(document), variables)),
    { numRuns: 1000 },
  );
});

test('a sound configuration loads, and what is printed of it means the same', () => {
  const storage = fc.constantFrom({ s3: {} }, { s3: { endpoint: 'http://h:1' } }, { filesystem: { root: './d' } });
  const sound = fc.record({
    name: fc.constantFrom('uploads', 'a-*'),
    upload: fc.record({
      part_size: fc.integer({ min: 5 * 1024 ** 2, max: 5 * 1024 ** 3 }),
      concurrent_parts: fc.integer({ min: 1, max: 64 }),
    }),
  });
  fc.assert(
    fc.property(sound, storage, fc.nat({ max: 604_800_000 }), (bucketSettings, where, drainMs) => {
      const document = {
        server: { shutdown: { drain_seconds: drainMs / 1000 } },
        buckets: [{ ...bucketSettings, ...where, auth: { enabled: false } }],
      };
      const config = loadConfig({ path: 'c', text: stringify(document), env: {} });
      expect(config.server.drainMs).toBe(drainMs);
      expect(loadConfig({ path: 'c', text: printConfig(config), env: {} })).toEqual(config);
    }),
  );
});

test('a variable’s value never becomes more than one value', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (value) => {
      const text = 'server: { state_dir: "${A}" }\nbuckets: [{ name: uploads, s3: {}, auth: { enabled: false } }]';
      expect(loadConfig({ path: 'c', text, env: { A: value } }).server.stateDir).toBe(value);
    }),
  );
});

test('expansion: text without ${ stays, and any text gives text or a fault', () => {
  const parts = fc.constantFrom('$', '{', '}', ':', '-', 'A', 'B', '${A}', '${B:-', '${B-x}', '\n');
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 12 }), fc.string(), (pieces, value) => {
      const text = pieces.join('');
      const expanded = expandVariables(text, { A: value });
      expect(typeof expanded.value).toBe('string');
      // Either nothing was to be done, or all of it, or there is a fault and the text is as it was.
      const isAsItWas = expanded.value === text;
      expect(isAsItWas || (text.includes('${') && expanded.faults.length === 0)).toBe(true);
      expect(text.includes('${') || expanded.faults.length === 0).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

test('sizes: what is written is read again, and any text gives a safe whole number or nothing', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      expect(parseSize(formatSize(bytes))).toBe(bytes);
      expect(parseSize(`${bytes}B`)).toBe(bytes);
    }),
  );
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9]{0,20} ?[KMGTkmgt]?i?[Bb]?$/));
  fc.assert(
    fc.property(text, (size) => {
      const bytes = parseSize(size);
      expect(bytes === undefined || (Number.isSafeInteger(bytes) && bytes >= 0)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

test('listening addresses: any text gives an address that can be written again, or nothing', () => {
  const text = fc.oneof(
    fc.string(),
    fc
      .tuple(
        fc.oneof(
          fc.domain(),
          fc.ipV4(),
          fc.ipV6().map((ip) => `[${ip}]`),
        ),
        fc.integer(),
      )
      .map((pair) => pair.join(':')),
  );
  fc.assert(
    fc.property(text, (address) => {
      const parsed = parseListenAddress(address);
      if (parsed === undefined) return;
      const host = parsed.host.includes(':') ? `[${parsed.host}]` : parsed.host;
      expect(parseListenAddress(`${host}:${parsed.port}`)).toEqual(parsed);
    }),
    { numRuns: 1000 },
  );
});
