// docker-compose.yml and its secrets: right by the specification, by what is in the images, and by what each service needs.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startProcess } from '../servers/start-process.ts';
import { readComposeProject, type ComposeProject } from '../support/compose-project.ts';
import { entrypointOf } from '../support/compose-services.ts';

const repository = path.resolve(import.meta.dirname, '../..');
const file = path.join(repository, 'docker-compose.yml');
const readText = (name: string): Promise<string> => readFile(path.join(repository, name), 'utf8');

let folder: string;
let project: ComposeProject;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-compose-file-'));
  project = await readComposeProject(file, ['full']);
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the file', () => {
  test('has the services that it is to have', async () => {
    const plain = await readComposeProject(file);
    expect(Object.keys(plain.services).toSorted()).toEqual(['init', 'jaeger', 'minio', 'minio-setup', 'proxy']);
    expect(Object.keys(project.services)).toEqual(
      expect.arrayContaining(['opa', 'openfga-migrate', 'openfga', 'openfga-setup', 'prometheus', 'grafana']),
    );
  });

  test('would be refused with a key that the specification does not know', async () => {
    const text = await readFile(file, 'utf8');
    const wrong = path.join(folder, 'wrong.yml');
    await writeFile(wrong, text.replace('    pull_policy: build\n', '    pull_policies: build\n'));
    await expect(readComposeProject(wrong)).rejects.toThrow(/pull_policies/u);
    await writeFile(wrong, text.replace('minio: { condition: service_healthy }', 'minio: { condition: healthy }'));
    await expect(readComposeProject(wrong)).rejects.toThrow(/condition/u);
  });

  test('mounts only what is there', async () => {
    const binds = Object.values(project.services).flatMap(({ volumes }) =>
      (volumes ?? []).filter(({ type }) => type === 'bind'),
    );
    expect(binds.length).toBeGreaterThan(0);
    for (const bind of binds) {
      // A folder with nothing in it would be as good as none.
      const isThere = await stat(bind.source).then(
        async (found) => found.isFile() || (await readdir(bind.source)).length > 0,
        () => false,
      );
      expect({ source: bind.source, isThere, isReadOnly: bind.read_only }).toMatchObject({
        isThere: true,
        isReadOnly: true,
      });
    }
  });

  test('pins every image, and opens ports on this machine only', () => {
    for (const { image, ports } of Object.values(project.services)) {
      expect(image).toMatch(/:v?(?:\d+\.\d+|RELEASE\.\d)/u);
      for (const port of ports ?? []) expect(port.host_ip).toBe('127.0.0.1');
    }
    expect(project.services['minio']?.ports).toBeUndefined();
  });

  test('mounts nothing over the program of an image, or over a folder that it is in', () => {
    const programs = Object.entries(project.services).flatMap(([name, { image, entrypoint, healthcheck }]) =>
      [(entrypoint ?? entrypointOf(image))[0], healthcheck?.test[1]]
        .filter((program) => program?.startsWith('/'))
        .map((program) => ({ name, program })),
    );
    expect(programs.length).toBeGreaterThan(5);
    for (const { name, program } of programs) {
      const { volumes = [], tmpfs = [] } = project.services[name] ?? {};
      const targets = [...volumes.map(({ target }) => target), ...tmpfs];
      const covers = targets.filter((target) => `${program}/`.startsWith(`${target}/`));
      expect({ name, program, covers }).toEqual({ name, program, covers: [] });
    }
  });

  test('has no secret of its own', () => {
    const settings = Object.values(project.services).flatMap(({ environment }) => Object.entries(environment ?? {}));
    const secrets = settings.filter(([name]) => /(?:SECRET|PASSWORD|_KEY|_USER)$/u.test(name));
    expect(secrets.length).toBeGreaterThan(4);
    // Read without an .env.
    expect(new Set(secrets.map(([, value]) => value))).toEqual(new Set(['']));
  });

  test('shows each secret to those who need it, and lets none of them write', () => {
    const readers = (volume: string, isWriter = false): string[] =>
      Object.entries(project.services)
        .filter(([, { volumes }]) =>
          (volumes ?? []).some((one) => one.source === volume && !(isWriter && one.read_only)),
        )
        .map(([name]) => name)
        .toSorted();
    // minio-setup does not see what tokens are signed with, the proxies do not see MinIO’s administrator.
    expect(readers('minio-secrets')).toEqual(['init', 'minio', 'minio-setup']);
    expect(readers('proxy-secrets')).toEqual(['init', 'proxy', 'proxy-guarded']);
    expect(readers('grafana-secrets')).toEqual(['grafana', 'init']);
    for (const volume of ['minio-secrets', 'proxy-secrets', 'grafana-secrets'])
      expect({ volume, writers: readers(volume, true) }).toEqual({ volume, writers: ['init'] });
    expect(readers('openfga-ids', true)).toEqual(['init', 'openfga-setup']);
  });

  test('restarts whoever reads secrets when they have changed', () => {
    // A password of Grafana’s counts at its first start alone.
    for (const name of ['minio', 'proxy', 'proxy-guarded'])
      expect({ name, ...project.services[name]?.depends_on?.['init'] }).toMatchObject({
        name,
        condition: 'service_completed_successfully',
        restart: true,
      });
  });

  test('is started without --build, which would build MinIO wherever its image can be had', async () => {
    const isBuilt = Object.entries(project.services).filter(([, { build }]) => build !== undefined);
    expect(isBuilt.map(([name, { pull_policy: policy }]) => [name, policy])).toEqual(
      expect.arrayContaining([
        ['minio', undefined],
        ['proxy', 'build'],
      ]),
    );
    for (const page of ['README.md', 'examples/compose/README.md', 'docker-compose.yml', '.env.example']) {
      const lines = (await readText(page)).split('\n').filter((line) => /docker compose\b.* up\b/u.test(line));
      if (page !== '.env.example') expect({ page, lines: lines.length }).not.toEqual({ page, lines: 0 });
      expect(lines.filter((line) => line.includes('--build'))).toEqual([]);
    }
  });

  test('has the images that the examples’ pages name', async () => {
    const pinned = new Set(Object.values(project.services).map(({ image }) => image));
    const names = new Set([...pinned].map((image) => image.slice(0, image.lastIndexOf(':'))));
    let found = 0;
    for (const page of (await readdir(path.join(repository, 'examples'))).map((one) => `examples/${one}/README.md`)) {
      const text = await readText(page).catch(() => '');
      for (const [image, name = ''] of text.matchAll(/\b(?<name>[a-z][\w./-]+):v?\d[\w.-]*\w/gu)) {
        if (!names.has(name)) continue;
        found += 1;
        expect({ page, image, isPinned: pinned.has(image) }).toEqual({ page, image, isPinned: true });
      }
    }
    expect(found).toBeGreaterThan(0);
  });

  test('its .env, and what the pages have a reader make, cannot be committed by accident', async () => {
    const ignored = (await readText('.gitignore')).split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['.env', '/config.yaml', '/hello.txt']));
  });
});

describe('the secrets', () => {
  const script = path.join(repository, 'examples/compose/make-secrets.mjs');
  const folders = ['minio', 'proxy', 'grafana', 'openfga', 'openfga-ids'];
  const files = ['minio/minio.env', 'minio/uploader.env', 'proxy/mizuchi.env', 'grafana/admin-password'];
  const make = async (name: string, env: Readonly<Record<string, string>>) => {
    const place = path.join(folder, name);
    for (const one of folders) await mkdir(path.join(place, one), { recursive: true });
    const running = startProcess({
      command: process.execPath,
      args: [script, ...folders.map((one) => path.join(place, one))],
      env,
    });
    const { code } = await running.ended;
    const read = (one: string) => readFile(path.join(place, one), 'utf8').catch(() => '');
    return {
      code,
      output: running.output(),
      place,
      minio: await read('minio/minio.env'),
      uploader: await read('minio/uploader.env'),
      proxy: await read('proxy/mizuchi.env'),
      grafana: await read('grafana/admin-password'),
    };
  };

  test('are random, private, and stay', async () => {
    const [first, other] = [await make('a', {}), await make('b', {})];
    expect(first.minio).not.toBe(other.minio);
    expect(first.proxy).toMatch(/^JWT_SECRET=[0-9a-f]{64}$/mu);
    // What MinIO is told of the proxy is its key, and nothing else.
    expect(first.uploader).toMatch(/^S3_ACCESS_KEY=\w+\nS3_SECRET_KEY=\w+\n$/u);
    expect(first.proxy).toBe(`${first.uploader}${first.proxy.slice(first.proxy.indexOf('JWT_SECRET'))}`);
    for (const one of files) expect((await stat(path.join(first.place, one))).mode & 0o777).toBe(0o600);
    const again = await make('a', {});
    expect([again.minio, again.proxy]).toEqual([first.minio, first.proxy]);
    for (const line of [...first.minio.split('\n'), ...first.proxy.split('\n')])
      if (line !== '') expect(first.output).not.toContain(line.slice(line.indexOf('=') + 1));
  });

  test('are those of .env where it has them', async () => {
    await make('c', {});
    const given = await make('c', { JWT_SECRET: 'x'.repeat(31) + 'y', UPLOAD_ACCESS_KEY: 'uploader' });
    expect(given.proxy).toContain(`JWT_SECRET=${'x'.repeat(31)}y\n`);
    expect(given.proxy).toContain('S3_ACCESS_KEY=uploader\n');
    expect(given.uploader).toContain('S3_ACCESS_KEY=uploader\n');
  });

  test('that Grafana keeps in its own database does not change after the first start, and that is said', async () => {
    const first = await make('e', { GRAFANA_ADMIN_PASSWORD: 'x'.repeat(20) });
    expect(first.grafana).toBe('x'.repeat(20));
    const second = await make('e', { GRAFANA_ADMIN_PASSWORD: 'y'.repeat(20) });
    expect(second.grafana).toBe('x'.repeat(20));
    expect(second.output).toContain('GRAFANA_ADMIN_PASSWORD counts at the first start only');
  });

  test.each([
    [{ MINIO_ROOT_USER: 'minioadmin' }, 'MINIO_ROOT_USER is one that everybody knows'],
    [{ MINIO_ROOT_PASSWORD: 'minioadmin' }, 'MINIO_ROOT_PASSWORD must have at least 16 characters'],
    [{ JWT_SECRET: 'short' }, 'JWT_SECRET must have at least 32 characters'],
    [{ UPLOAD_ACCESS_KEY: 'a$(id)' }, 'UPLOAD_ACCESS_KEY may hold letters, digits'],
  ])('refuse %j', async (env, message) => {
    const { code, output, minio } = await make('d', env);
    expect(code).toBe(1);
    expect(output).toContain(message);
    expect(minio).toBe('');
  });
});
