// Real S3 clients, unmodified, upload through the proxy into a real MinIO; what they send is read back without the proxy.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRandomBody, type RandomBody } from '../support/random-body.ts';
import {
  withSession,
  type BodyName,
  type Client,
  type Refusal,
  type Scheme,
  type Target,
  type Upload,
  type Way,
} from './client.ts';
import { insertClientsTable, labelsOf } from './clients-table.ts';
import { awsCli } from './definitions/aws-cli.ts';
import { curlClient } from './definitions/curl.ts';
import { awsSdkForGo, awsSdkForJavaScript, boto3, minioJs } from './definitions/libraries.ts';
import { minioClient } from './definitions/minio-client.ts';
import { rcloneClient } from './definitions/rclone.ts';
import { s3cmdClient } from './definitions/s3cmd.ts';
import { s5cmdClient } from './definitions/s5cmd.ts';
import { startTargets, type Targets } from './start-targets.ts';

const readme = path.resolve(import.meta.dirname, '../../README.md');
const MiB = 1024 * 1024;
const clients: readonly Client[] = [
  awsCli,
  boto3,
  awsSdkForJavaScript,
  awsSdkForGo,
  minioClient,
  minioJs,
  rcloneClient,
  s3cmdClient,
  s5cmdClient,
  curlClient,
];
const bodies: Readonly<Record<BodyName, RandomBody>> = {
  empty: createRandomBody('empty', 0),
  small: createRandomBody('small', 100_001),
  large: createRandomBody('large', 40 * MiB + 3),
};
const bodyNames = ['empty', 'small', 'large'] as const;
const fileNames: Readonly<Record<BodyName, string>> = {
  empty: 'empty',
  small: 'dir with space/ü+(1).bin',
  large: 'large.bin',
};

let folder: string;
let targets: Targets;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-bodies-'));
  await Promise.all(bodyNames.map((name) => writeFile(path.join(folder, name), bodies[name].chunks())));
  targets = await startTargets();
});
afterAll(async () => {
  await targets.stop();
  await rm(folder, { recursive: true });
});

/** @param about what makes the key one of its own. */
function uploadOf(about: readonly string[], body: BodyName): Upload {
  const folders = about.map((name) => name.replaceAll(/[^a-z0-9]+/giu, '-'));
  return {
    file: path.join(folder, body),
    key: [...folders, fileNames[body]].join('/'),
    contentType: 'video/x-test',
    metadata: { origin: 'client test' },
  };
}

async function expectStored(upload: Upload, body: BodyName, way: Way): Promise<void> {
  const { stored } = targets;
  const { sizeBytes } = bodies[body];
  expect(await stored.readHash(upload.key)).toEqual({ sha256: bodies[body].sha256(), size: sizeBytes });
  const head = await stored.head(upload.key);
  const { contentType = false, metadata = false, checksum } = way.sends;
  if (contentType) expect(head.ContentType?.split(';')[0]).toBe(upload.contentType);
  if (metadata) expect(head.Metadata).toMatchObject(upload.metadata);
  if (checksum !== undefined) expect(head[`Checksum${checksum}`]).toBeTruthy();
  if (body === 'large') expect(/-\d+"$/u.test(head.ETag ?? '')).toBe(way.sendsParts ?? false);
  expect(await stored.listOpenUploads(upload.key)).toEqual([]);
}

async function expectNothingStored({ key }: Upload): Promise<void> {
  expect(await targets.stored.listKeys(key)).toEqual([]);
  expect(await targets.stored.listOpenUploads(key)).toEqual([]);
}

interface Case {
  readonly title: string;
  readonly client: Client;
  /** Of the way or the refusal. */
  readonly name: string;
  see(): Promise<void>;
}

function uploadCase(scheme: Scheme, client: Client, way: Way, body: BodyName): Case {
  return {
    title: `${way.name}: ${body}`,
    client,
    name: way.name,
    async see() {
      const upload = uploadOf([scheme, client.name, way.name], body);
      await withSession(targets[scheme], (session) => way.upload(session, upload));
      await expectStored(upload, body, way);
      await targets.stored.deleteObjects([upload.key]);
    },
  };
}

function wrongSecretCase(scheme: Scheme, client: Client, way: Way): Case {
  return {
    title: `${way.name}: refused with a wrong secret`,
    client,
    name: way.name,
    async see() {
      const upload = uploadOf([scheme, client.name, way.name, 'wrong secret'], 'large');
      const target: Target = { ...targets[scheme], secretKey: 'not-the-secret-of-alice' };
      await expect(withSession(target, (session) => way.upload(session, upload))).rejects.toThrow(
        way.isSilent === true ? / ended with 1:\n$/u : /SignatureDoesNotMatch|signature we calculated|403/u,
      );
      await expectNothingStored(upload);
    },
  };
}

function refusalCase(scheme: Scheme, client: Client, refusal: Refusal): Case {
  return {
    title: `${refusal.name}: refused`,
    client,
    name: refusal.name,
    async see() {
      const upload = uploadOf([scheme, client.name, refusal.name], 'small');
      const written = await withSession(targets[scheme], (session) => refusal.attempt(session, upload)).catch(String);
      expect(written).toMatch(/MethodNotAllowed|method is not allowed|405/u);
      await expectNothingStored(upload);
    },
  };
}

function casesOf(scheme: Scheme, client: Client): readonly Case[] {
  const ways = client.ways.filter(({ schemes }) => schemes?.includes(scheme) ?? true);
  return [
    ...ways.flatMap((way) => (way.bodies ?? bodyNames).map((body) => uploadCase(scheme, client, way, body))),
    ...ways.filter((way) => way.bodies?.includes('large') ?? true).map((way) => wrongSecretCase(scheme, client, way)),
    ...client.refusals.map((refusal) => refusalCase(scheme, client, refusal)),
  ];
}

const schemes = ['http', 'https'] as const;
const cases = schemes.flatMap((scheme) =>
  clients.map((client) => [scheme, client.name, casesOf(scheme, client)] as const),
);
const passed = new Set<Case>();

async function seeCase(it: Case): Promise<void> {
  await it.see();
  passed.add(it);
}

describe.each(cases)('by %s: %s', (_scheme, _client, its) => {
  test.concurrent.each(its)('$title', (it) => seeCase(it));
});

test('the README says what works: this run with -u writes it', async () => {
  const all = cases.flatMap(([, , its]) => its);
  const showings = clients.map((client) => {
    const hasPassed = (name: string): boolean =>
      all.every((it) => it.client !== client || it.name !== name || passed.has(it));
    return { client, works: labelsOf(client.ways, hasPassed), refused: labelsOf(client.refusals, hasPassed) };
  });
  const text = await readFile(readme, 'utf8');
  await expect(await insertClientsTable(readme, text, showings)).toMatchFileSnapshot(readme);
});
