// The example for Go, vetted and built: the SDK in one piece and in parts, net/http with a token.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { goModuleVersion } from '../clients/find-client.ts';
import { buildOnce, runBuildTool } from '../servers/build-once.ts';
import {
  examplesFolder,
  startExampleProxy,
  type ExampleProxy,
  type RunExampleOptions,
} from '../support/example-proxy.ts';

const MiB = 1024 * 1024;
const folder = path.join(examplesFolder, 'go');
const program = 'go-example';
let example: ExampleProxy;
let built: string;
beforeAll(async () => {
  built = await build();
  example = await startExampleProxy();
}, 300_000);
afterAll(() => example.stop());

async function build(): Promise<string> {
  const hash = createHash('sha256');
  for (const name of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(path.join(folder, name))).update('\0');
  const built = await buildOnce({
    name: path.join('test-clients', `${program}-${hash.digest('hex').slice(0, 12)}`),
    program,
    async build(unfinished) {
      await runBuildTool('go', ['vet', '-mod=readonly', '.'], { cwd: folder });
      await runBuildTool('go', ['build', '-mod=readonly', '-o', path.join(unfinished, program), '.'], { cwd: folder });
    },
  });
  return path.join(built, program);
}

const run = (args: readonly string[], options: Omit<RunExampleOptions, 'command'> = {}) =>
  example.run({ command: [built, ...args], ...options });

test('the versions that it asks for are those of the client that is tested', () => {
  const required = readFileSync(path.join(folder, 'go.mod'), 'utf8').matchAll(/^\t(?<name>\S+) v(?<version>\S+)$/gmu);
  const versions = [...required].map(({ groups }) => [groups?.['name'] ?? '', groups?.['version']] as const);
  expect(versions).toHaveLength(4);
  expect(versions).toEqual(versions.map(([name]) => [name, goModuleVersion(name)]));
});

test.each([
  [[], 0, /^"[\da-f]{32}"$/u],
  [[], 1000, /^"[\da-f]{32}"$/u],
  [[], 20 * MiB, /^"[\da-f]{32}-3"$/u],
  [['-token'], 0, /^"[\da-f]{32}"$/u],
  [['-token'], 20 * MiB, /^"[\da-f]{32}"$/u],
])('%j, %i bytes', async (flags, sizeBytes, etag) => {
  const bytes = await example.writeFile('file.bin', sizeBytes);
  const key = `go ${flags.length}/ü+${sizeBytes}`;
  const { code, output } = await run([...flags, 'file.bin', key]);
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('uploaded file.bin, ETag "') });
  expect((await example.stored.readBytes(key)).equals(bytes)).toBe(true);
  expect(await example.stored.head(key)).toMatchObject({ ETag: expect.stringMatching(etag) });
});

test('the commands of its README', async () => {
  const film = await example.writeFile('film.mp4', 100_000);
  expect(await example.runReadme('go')).toMatchObject({ code: 0 });
  expect((await example.stored.readBytes('films/film.mp4')).equals(film)).toBe(true);
});

test.each([
  [[], { AWS_SECRET_ACCESS_KEY: 'not-the-secret-of-a-client' }, 'SignatureDoesNotMatch'],
  [['-token'], { MIZUCHI_TOKEN: 'no.token.atall' }, '401'],
  [['-token'], { MIZUCHI_TOKEN: undefined }, 'MIZUCHI_TOKEN is not set'],
])('%j with %j says why it is refused', async (flags, env, reason) => {
  await example.writeFile('refused.bin', 100_000);
  const { code, output } = await run([...flags, 'refused.bin', 'refused.bin'], { env });
  expect({ code, output }).toEqual({ code: 1, output: expect.stringContaining(reason) });
  expect(await example.stored.listKeys('refused')).toEqual([]);
});
