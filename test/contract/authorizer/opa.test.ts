// The authorizer contract against a real OPA, and what only OPA has: its token, its certificate, its bundles.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOpaAuthorizer } from '../../../src/authz/opa.ts';
import { freePort } from '../../servers/free-port.ts';
import { startOpa, type OpaServer } from '../../servers/start-opa.ts';
import { createCertificate, type Certificate } from '../../support/certificate.ts';
import { createQuestion } from '../../support/questions.ts';
import { describeAuthorizer, type EngineUnderTest, type Grant } from './authorizer-contract.ts';

const policy = `package mizuchi

default allow := false

allow if {
	some grant in data.grants
	grant.subject == input.subject
	grant.action == input.action
	grant.bucket == input.resource.bucket
}
`;

const settings = {
  timeoutMs: 2000,
  policyPath: '/v1/data/mizuchi/allow',
  cacheTtlMs: 0,
  denyCacheTtlMs: 0,
  cacheMaxEntries: 1,
};

async function startOpaUnderTest(): Promise<EngineUnderTest> {
  let server: OpaServer = await startOpa({ policy });
  let grants: readonly Grant[] = [];
  return {
    url: server.url,
    create: ({ url, timeoutMs }) => createOpaAuthorizer({ ...settings, url, timeoutMs }),
    async setGrants(changed) {
      grants = changed;
      await server.putData('/grants', grants);
    },
    suspend: () => server.suspend(),
    resume: () => server.resume(),
    async restart() {
      await server.stop();
      server = await startOpa({ policy, port: server.port });
      await server.putData('/grants', grants);
    },
    stop: () => server.stop(),
  };
}

describeAuthorizer('OPA', startOpaUnderTest);

const openly = 'package mizuchi\n\nallow := true\n';

describe('an OPA that asks for a token', () => {
  let server: OpaServer;
  beforeAll(async () => {
    server = await startOpa({ token: 'opa-token', policy: openly });
  }, 60_000);
  afterAll(() => server.stop());

  test('answers whoever has it', async () => {
    const authorizer = createOpaAuthorizer({ ...settings, url: server.url, token: 'opa-token' });
    expect(await authorizer.authorize(createQuestion())).toEqual({ allow: true });
    await authorizer.checkReady(AbortSignal.timeout(2000));
    await authorizer.close();
  });

  test.each([undefined, 'another'])('and nobody else: %s', async (token) => {
    const authorizer = createOpaAuthorizer({ ...settings, url: server.url, ...(token === undefined ? {} : { token }) });
    await expect(authorizer.authorize(createQuestion())).rejects.toMatchObject({
      code: 'ServiceUnavailable',
      cause: { message: 'OPA answered 401' },
    });
    await expect(authorizer.checkReady(AbortSignal.timeout(2000))).rejects.toThrow('OPA answered 401');
    await authorizer.close();
  });
});

describe('an OPA behind TLS', () => {
  let folder: string;
  let server: OpaServer;
  let own: Certificate;
  let other: Certificate;
  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-opa-tls-'));
    own = createCertificate(folder, 'own');
    other = createCertificate(folder, 'other');
    server = await startOpa({ tls: own, policy: openly });
  }, 60_000);
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  test('is believed with the authority of the file', async () => {
    const authorizer = createOpaAuthorizer({ ...settings, url: server.url, caFile: own.certFile });
    expect(await authorizer.authorize(createQuestion())).toEqual({ allow: true });
    await authorizer.checkReady(AbortSignal.timeout(2000));
    await authorizer.close();
  });

  test('and not with another, or with none', async () => {
    for (const caFile of [{ caFile: other.certFile }, {}]) {
      const authorizer = createOpaAuthorizer({ ...settings, url: server.url, ...caFile });
      await expect(authorizer.authorize(createQuestion())).rejects.toMatchObject({
        code: 'ServiceUnavailable',
        cause: { message: 'OPA cannot be asked (DEPTH_ZERO_SELF_SIGNED_CERT)' },
      });
      await authorizer.close();
    }
  });

  test('nor under another name', async () => {
    const url = server.url.replace('127.0.0.1', 'localhost');
    const authorizer = createOpaAuthorizer({ ...settings, url, caFile: own.certFile });
    await expect(authorizer.authorize(createQuestion())).rejects.toMatchObject({
      cause: { message: 'OPA cannot be asked (ERR_TLS_CERT_ALTNAME_INVALID)' },
    });
    await authorizer.close();
  });
});

test('an OPA whose bundle has not come is not ready', async () => {
  const nowhere = `http://127.0.0.1:${await freePort()}`;
  const args = ['--set', `services.here.url=${nowhere}`, '--set', 'bundles.policies.service=here'];
  const server = await startOpa({ args: [...args, '--set', 'bundles.policies.resource=bundle.tar.gz'] });
  const authorizer = createOpaAuthorizer({ ...settings, url: server.url });
  await expect(authorizer.checkReady(AbortSignal.timeout(2000))).rejects.toThrow('OPA answered 500');
  expect(await authorizer.authorize(createQuestion())).toEqual({ allow: false, reason: 'undefined' });
  await authorizer.close();
  await server.stop();
});
