// Which file the configuration is read from, and files that cannot be read.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../../../src/config/load-config.ts';
import { auth, env } from './secret-in-environment.ts';

describe('which file is read', () => {
  let cwd: string;
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'mizuchi-config-'));
    for (const name of ['config.yaml', 'by-flag.yaml', 'by-variable.yaml']) {
      writeFileSync(join(cwd, name), `buckets: [{ name: uploads, filesystem: { root: ./of-${name} }, ${auth} }]`);
    }
  });
  afterEach(() => rmSync(cwd, { recursive: true }));

  const rootOf = (options: { configPath?: string; env: Record<string, string> }) =>
    readConfig({ ...options, cwd })?.buckets[0]?.storage;

  test('the flag, else the variable, else config.yaml', () => {
    const MIZUCHI_CONFIG = join(cwd, 'by-variable.yaml');
    expect(rootOf({ configPath: 'by-flag.yaml', env: { ...env, MIZUCHI_CONFIG } })).toMatchObject({
      root: './of-by-flag.yaml',
    });
    expect(rootOf({ env: { ...env, MIZUCHI_CONFIG } })).toMatchObject({ root: './of-by-variable.yaml' });
    expect(rootOf({ env: { ...env, MIZUCHI_CONFIG: '' } })).toMatchObject({ root: './of-config.yaml' });
  });

  test('undefined only when none is asked for and none is there', () => {
    rmSync(join(cwd, 'config.yaml'));
    expect(rootOf({ env })).toBeUndefined();
    expect(() => rootOf({ env: { ...env, MIZUCHI_CONFIG: 'gone.yaml' } })).toThrow(
      'gone.yaml: 1 fault\n  the file cannot be read (ENOENT)',
    );
    expect(() => rootOf({ configPath: '.', env })).toThrow('the file cannot be read (EISDIR)');
  });

  test.each([
    ['UTF-16', '\uFEFF', 'utf16le'],
    ['UTF-16 without a byte order mark', '', 'utf16le'],
    ['Latin-1', '# für alle\n', 'latin1'],
  ] as const)('%s is told to be no UTF-8', (_, head, encoding) => {
    writeFileSync(join(cwd, 'config.yaml'), `${head}buckets: []`, encoding);
    expect(() => rootOf({ env })).toThrow('config.yaml: 1 fault\n  the file is not UTF-8 text; save it as UTF-8');
  });

  test('UTF-8 may have a byte order mark', () => {
    writeFileSync(
      join(cwd, 'config.yaml'),
      `\uFEFFbuckets: [{ name: uploads, filesystem: { root: ./marked }, ${auth} }]`,
    );
    expect(rootOf({ env })).toMatchObject({ root: './marked' });
  });

  test('a fault names the file', () => {
    writeFileSync(join(cwd, 'config.yaml'), 'buckets: []');
    expect(() => rootOf({ env })).toThrow('config.yaml: 1 fault\n  line 1: buckets: must have at least 1');
  });
});
