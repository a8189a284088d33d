// docker-compose.yml: what it starts works, run as plain processes.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningProcess } from '../servers/start-process.ts';
import { readComposeProject, type ComposeProject } from '../support/compose-project.ts';
import { createComposeServices, type ComposeServices } from '../support/compose-services.ts';
import { parseDockerfile, readHealthCheck, type Stage } from '../support/dockerfile.ts';
import { findBlocks } from '../support/markdown-blocks.ts';
import { createRandomBody } from '../support/random-body.ts';
import { sendRequest } from '../support/send-request.ts';
import { waitFor } from '../support/wait-for.ts';

const repository = path.resolve(import.meta.dirname, '../..');
const file = path.join(repository, 'docker-compose.yml');
/** Images whose programs cannot be had here without a container engine. */
const notRun = new Set(['jaeger', 'prometheus', 'grafana']);

let folder: string;
let project: ComposeProject;
let stage: Stage;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-compose-'));
  project = await readComposeProject(file, ['full']);
  const stages = parseDockerfile(await readFile(path.join(repository, 'Dockerfile'), 'utf8'));
  stage = stages.at(-1) as Stage;
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the services', () => {
  let services: ComposeServices;
  const running = new Map<string, RunningProcess>();

  /** As `docker compose up` does: what a service depends on first, as far as its condition says. */
  const bringUp = async (): Promise<void> => {
    const begun = new Map<string, Promise<void>>();
    const begin = (name: string): Promise<void> => {
      const known = begun.get(name);
      if (known !== undefined) return known;
      const promise = bringUpOne(name, begin);
      begun.set(name, promise);
      return promise;
    };
    await Promise.all(Object.keys(project.services).map(begin));
  };
  const bringUpOne = async (name: string, begin: (name: string) => Promise<void>): Promise<void> => {
    const service = project.services[name];
    if (service === undefined || notRun.has(name)) return;
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      await begin(other);
      if (condition === 'service_healthy') await waitFor(() => isHealthy(other), 60_000);
      if (condition !== 'service_completed_successfully') continue;
      await seeDone(other);
    }
    if (running.get(name)?.hasEnded() === false) return;
    running.set(name, services.start(name));
  };
  const seeDone = async (name: string): Promise<void> => {
    const end = await running.get(name)?.ended;
    if (end?.code !== 0) throw new Error(`${name} ended with ${end?.code}: ${running.get(name)?.output()}`);
  };
  const isHealthy = async (name: string): Promise<boolean> => {
    const process = running.get(name);
    if (process?.hasEnded() !== false) throw new Error(`${name} has ended: ${process?.output()}`);
    // Its image brings a program of its own for this, which asks the same over gRPC.
    if (name === 'openfga')
      return fetch(`http://127.0.0.1:${services.portOf('openfga', 8080)}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      );
    const [, ...declared] = project.services[name]?.healthcheck?.test ?? [];
    const command = declared.length > 0 ? declared : readHealthCheck(stage);
    const { code } =
      name === 'minio'
        ? // mc's alias `local` is port 9000, which may be another's here.
          await services.execute(name, ['env', 'MC_HOST_local=http://minio:9000', ...command])
        : await services.execute(name, command);
    return code === 0;
  };
  const url = (name: string): string => `http://127.0.0.1:${services.portOf(name, 8080)}`;

  beforeAll(async () => {
    services = await createComposeServices({ project, stage, folder });
    await bringUp();
    for (const name of ['proxy', 'proxy-guarded']) await waitFor(() => isHealthy(name), 60_000);
  }, 180_000);
  afterAll(() => Promise.all([...running.values()].map((one) => one.stop('SIGKILL'))));

  test('both proxies are ready, engines and all', async () => {
    for (const name of ['proxy', 'proxy-guarded']) {
      const ask = () => sendRequest({ url: url(name), method: 'GET', path: '/ready' });
      await waitFor(async () => (await ask()).status === 200);
      expect(JSON.parse((await ask()).body)).toEqual({ status: 'ready' });
    }
  });

  test('the lines of examples/compose/README.md work', async () => {
    await shimDocker();
    const page = await readFile(path.join(repository, 'examples/compose/README.md'), 'utf8');
    const [plain = '', full = ''] = findBlocks(page)
      .filter(({ language }) => language === 'sh')
      .map(({ text }) => text);
    const place = path.join(folder, 'reader');
    await mkdir(place);
    const first = await runLines(plain, place);
    expect(first).toMatch(/^HTTP\/1\.1 200 OK/mu);
    expect(first.trimEnd().split('\n').at(-1)).toBe('hello');
    const second = await runLines(full, place);
    expect([...second.matchAll(/^HTTP\/1\.1 (?<status>[2-5]\d+) /gmu)].map(({ groups }) => groups?.['status'])).toEqual(
      ['200', '403'],
    );
    const password = await readFile(services.locate('grafana', '/secrets/admin-password'), 'utf8');
    expect(second.endsWith(password)).toBe(true);
  });

  /** As the reader's shell would, with the ports of this run. */
  const runLines = async (text: string, place: string): Promise<string> => {
    const lines = text
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${services.portOf('proxy', 8080)}`)
      .replaceAll('127.0.0.1:8081', `127.0.0.1:${services.portOf('proxy-guarded', 8080)}`);
    const env = { PATH: `${path.join(folder, 'docker')}:${process.env['PATH'] ?? ''}`, HOME: place };
    const { stdout } = await promisify(execFile)('sh', ['-e', '-c', lines.replaceAll('curl -i', 'curl -sS -i')], {
      cwd: place,
      env,
    });
    return stdout;
  };

  /** In place of Docker's command: runs what is asked for with the service's own variables and files. */
  const shimDocker = async (): Promise<void> => {
    const commands: Record<string, readonly string[]> = {
      'compose exec -T proxy': [],
      'compose run --rm --no-deps minio-setup': project.services['minio-setup']?.entrypoint ?? [],
      'compose run --rm --no-deps --entrypoint cat grafana': ['cat'],
    };
    const cases: string[] = ['"compose up"*|"compose --profile full up"*) ;;'];
    for (const [words, entrypoint] of Object.entries(commands)) {
      const name = words.split(' ').at(-1) ?? '';
      const script = path.join(folder, `docker-${name}`);
      const printed = await services.execute(name, ['env']);
      const exports = printed.output
        .split('\n')
        .filter((line) => /^[A-Z_]+=/u.test(line))
        .map((line) => line.replace(/^(?<key>\w+)=(?<value>.*)$/u, "export $<key>='$<value>'"));
      const prefix = entrypoint.map((word) => services.locate(name, word)).join(' ');
      const target = services.locate(name, '/secrets/admin-password');
      await writeFile(
        script,
        `#!/bin/sh\n${exports.join('\n')}\n[ "$1" = /secrets/admin-password ] && set -- ${target}\nexec ${prefix} "$@"\n`,
        { mode: 0o755 },
      );
      cases.push(`"${words} "*) shift ${words.split(' ').length}; exec ${script} "$@" ;;`);
    }
    await mkdir(path.join(folder, 'docker'));
    const docker = `#!/bin/sh\ncase "$* " in\n${cases.join('\n')}\n*) echo "not known: $*" >&2; exit 1 ;;\nesac\n`;
    await writeFile(path.join(folder, 'docker/docker'), docker, { mode: 0o755 });
  };

  const asAdministrator = (...words: string[]) =>
    services.execute('minio-setup', [...(project.services['minio-setup']?.entrypoint ?? []), 'mc', ...words]);
  const takeToken = async (subject: string): Promise<string> =>
    (await services.execute('proxy', ['mizuchi-uploadr', 'token', '--subject', subject])).output.trim();

  test('a large upload goes through in parts, with a key that may do nothing but upload', async () => {
    const body = createRandomBody('compose', 60 * 1024 * 1024).bytes();
    const headers = { authorization: `Bearer ${await takeToken('me')}` };
    const answer = await sendRequest({ url: url('proxy'), method: 'PUT', path: '/uploads/big.bin', headers, body });
    expect(answer).toMatchObject({ status: 200 });
    const copy = '/tmp/big.bin';
    expect((await asAdministrator('cp', 'minio/uploads/big.bin', copy)).code).toBe(0);
    expect(body.equals(await readFile(services.locate('minio-setup', copy)))).toBe(true);
  });

  test('the proxy’s key cannot read, list, delete, or touch another bucket', async () => {
    const keys = await readFile(services.locate('proxy', '/secrets/mizuchi.env'), 'utf8');
    const [, user] = /^S3_ACCESS_KEY=(.*)$/mu.exec(keys) ?? [];
    const [, password] = /^S3_SECRET_KEY=(.*)$/mu.exec(keys) ?? [];
    const host = `MC_HOST_own=http://${user}:${password}@minio:9000`;
    const asProxy = (...words: string[]) => services.execute('minio-setup', ['env', host, 'mc', ...words]);
    const source = '/tmp/small.txt';
    await writeFile(services.locate('minio-setup', source), 'small');
    expect((await asProxy('put', source, 'own/uploads/small.txt')).code).toBe(0);
    expect((await asAdministrator('mb', 'minio/other')).code).toBe(0);
    for (const words of [
      ['cat', 'own/uploads/small.txt'],
      ['stat', 'own/uploads/small.txt'],
      ['ls', 'own/uploads/'],
      ['rm', 'own/uploads/small.txt'],
      ['put', source, 'own/other/small.txt'],
      ['mb', 'own/another'],
      ['admin', 'user', 'ls', 'own'],
    ]) {
      const { code, output } = await asProxy(...words);
      expect({ words, code, output }).not.toMatchObject({ code: 0 });
    }
    expect((await asAdministrator('cat', 'minio/uploads/small.txt')).output).toBe('small');
  });

  test('the guarded proxy asks both engines', async () => {
    const put = async (subject: string, key: string): Promise<number> => {
      const headers = { authorization: `Bearer ${await takeToken(subject)}` };
      const answer = await sendRequest({
        url: url('proxy-guarded'),
        method: 'PUT',
        path: `/uploads/${key}`,
        headers,
        body: 'x',
      });
      return answer.status;
    };
    expect(await put('ada', 'home/ada/a.txt')).toBe(200);
    // OpenFGA alone would let her: she is the bucket's administrator.
    expect(await put('ada', 'home/ben/a.txt')).toBe(403);
    // OPA alone would let him.
    expect(await put('ben', 'home/ben/a.txt')).toBe(403);
    expect(await put('mallory', 'home/mallory/a.txt')).toBe(403);
  });

  test('up, once more, changes nothing', async () => {
    const secrets = ['/secrets/mizuchi.env', '/openfga-ids/openfga.env'].map((one) =>
      services.locate('proxy-guarded', one),
    );
    const before = await Promise.all(secrets.map((one) => readFile(one, 'utf8')));
    await bringUp();
    for (const name of ['minio-setup', 'openfga-setup']) await seeDone(name);
    expect(await Promise.all(secrets.map((one) => readFile(one, 'utf8')))).toEqual(before);
    expect(running.get('openfga-setup')?.output()).toContain('the store is there');
  });

  test('what .env says later counts from the next up', async () => {
    const old = await takeToken('me');
    const changed = {
      JWT_SECRET: 'another-secret-of-this-test-0123456789',
      MINIO_ROOT_USER: 'another-administrator',
      MINIO_ROOT_PASSWORD: 'another-password-of-this-test',
      UPLOAD_SECRET_KEY: 'another-upload-key-of-this-test',
    };
    // As Compose does: who says `restart` of init is stopped before init is made anew, and started after it.
    const dependents = Object.keys(project.services).filter(
      (name) => project.services[name]?.depends_on?.['init']?.restart,
    );
    for (const name of dependents) await running.get(name)?.stop('SIGTERM', 45_000);
    running.set('init', services.start('init', changed));
    await seeDone('init');
    await bringUp();
    await seeDone('minio-setup');
    for (const name of ['proxy', 'proxy-guarded']) await waitFor(() => isHealthy(name), 60_000);

    const put = async (token: string): Promise<number> => {
      const headers = { authorization: `Bearer ${token}` };
      const path = '/uploads/rotated.txt';
      return (await sendRequest({ url: url('proxy'), method: 'PUT', path, headers, body: 'rotated' })).status;
    };
    expect(await put(old)).toBe(401);
    expect(await put(await takeToken('me'))).toBe(200);
    expect((await asAdministrator('cat', 'minio/uploads/rotated.txt')).output).toBe('rotated');
  });

  test('SIGTERM ends both proxies', async () => {
    for (const name of ['proxy', 'proxy-guarded']) {
      const proxy = running.get(name);
      const end = await proxy?.stop('SIGTERM', 45_000);
      expect({ end, output: proxy?.output() }).toMatchObject({ end: { code: 0, signal: null } });
      expect(proxy?.output()).not.toContain('"level":50');
    }
  });
});
