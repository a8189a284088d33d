// The authorizer contract against a real OpenFGA, and its certificate.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOpenFgaAuthorizer } from '../../../src/authz/openfga.ts';
import {
  createStore,
  startOpenFga,
  type OpenFgaServer,
  type OpenFgaStore,
  type Tuple,
} from '../../servers/start-openfga.ts';
import { createCertificate, type Certificate } from '../../support/certificate.ts';
import { engineConfig, questionOf, testModel } from '../../support/openfga-engine.ts';
import { describeAuthorizer, type EngineUnderTest, type Grant } from './authorizer-contract.ts';

/** Any three relations that a bucket of the model has. */
const relations = { upload: 'writer', abort: 'admin', list_parts: 'viewer' } as const;

const toTuple = ({ subject, action, bucket }: Grant): Tuple => ({
  user: `user:${subject}`,
  relation: relations[action],
  object: `bucket:${bucket}`,
});

async function startOpenFgaUnderTest(): Promise<EngineUnderTest> {
  // The store's id would be another after a restart.
  const folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-openfga-'));
  const database = path.join(folder, 'openfga.db');
  let server = await startOpenFga({ database });
  const { port, url } = server;
  const store = await createStore(server, testModel);
  let written: readonly Tuple[] = [];
  return {
    url,
    create: (options) =>
      createOpenFgaAuthorizer(
        engineConfig(
          { ...store, url: options.url },
          {
            timeoutMs: options.timeoutMs,
            relation: { upload: [relations.upload], abort: [relations.abort], list_parts: [relations.list_parts] },
          },
        ),
      ),
    async setGrants(grants) {
      if (written.length > 0) await store.delete(...written);
      written = grants.map(toTuple);
      await store.write(...written);
    },
    suspend: () => server.suspend(),
    resume: () => server.resume(),
    async restart() {
      await server.stop();
      server = await startOpenFga({ database, port });
    },
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true });
    },
  };
}

describeAuthorizer('OpenFGA', startOpenFgaUnderTest);

describe('an OpenFGA behind TLS', () => {
  let folder: string;
  let own: Certificate;
  let other: Certificate;
  let server: OpenFgaServer;
  let store: OpenFgaStore;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'mizuchi-openfga-tls-'));
    own = createCertificate(folder, 'own');
    other = createCertificate(folder, 'other');
    server = await startOpenFga({ tls: own });
    store = await createStore(server, testModel, [toTuple({ subject: 'alice', action: 'upload', bucket: 'uploads' })]);
  }, 60_000);
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });

  test('is believed with the authority of the file', async () => {
    const authorizer = createOpenFgaAuthorizer(engineConfig({ url: server.url, ...store }, { caFile: own.certFile }));
    expect(await authorizer.authorize(questionOf('alice'))).toEqual({ allow: true });
    expect(await authorizer.authorize(questionOf('bob'))).toMatchObject({ allow: false });
    await authorizer.checkReady(AbortSignal.timeout(10_000));
    await authorizer.close();
  });

  test('and not with another, or with none', async () => {
    for (const caFile of [{ caFile: other.certFile }, {}]) {
      const authorizer = createOpenFgaAuthorizer(engineConfig({ url: server.url, ...store }, caFile));
      await expect(authorizer.authorize(questionOf('alice'))).rejects.toMatchObject({
        code: 'ServiceUnavailable',
        cause: { message: 'OpenFGA cannot be asked (DEPTH_ZERO_SELF_SIGNED_CERT)' },
      });
      await authorizer.close();
    }
  });

  test('nor is anybody else by that authority: the issuer of its tokens', async () => {
    const issuer = createServer(own).listen(0, '127.0.0.1');
    await once(issuer, 'listening');
    const credentials = {
      kind: 'client-credentials',
      issuer: `https://127.0.0.1:${(issuer.address() as AddressInfo).port}/token`,
      audience: 'fga',
      clientId: 'c',
      clientSecret: 's',
    } as const;
    const config = engineConfig({ url: server.url, ...store }, { caFile: own.certFile, credentials });
    const authorizer = createOpenFgaAuthorizer(config);
    await expect(authorizer.authorize(questionOf('alice'))).rejects.toMatchObject({
      cause: { message: 'OpenFGA’s token issuer cannot be asked (DEPTH_ZERO_SELF_SIGNED_CERT)' },
    });
    await authorizer.close();
    issuer.close();
  });

  test('nor under another name', async () => {
    const url = server.url.replace('127.0.0.1', 'localhost');
    const authorizer = createOpenFgaAuthorizer(engineConfig({ url, ...store }, { caFile: own.certFile }));
    await expect(authorizer.authorize(questionOf('alice'))).rejects.toMatchObject({
      cause: { message: 'OpenFGA cannot be asked (ERR_TLS_CERT_ALTNAME_INVALID)' },
    });
    await authorizer.close();
  });
});

test('a file of an authority that is not there is a fault of the start', () => {
  const ids = {
    url: 'https://127.0.0.1',
    storeId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    modelId: '01ARZ3NDEKTSV4RRFFQ69G5FAW',
  };
  expect(() => createOpenFgaAuthorizer(engineConfig(ids, { caFile: '/nowhere/ca.pem' }))).toThrow('/nowhere/ca.pem');
});
