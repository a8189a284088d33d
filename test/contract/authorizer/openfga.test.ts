// The authorizer contract against a real OpenFGA.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createOpenFgaAuthorizer } from '../../../src/authz/openfga.ts';
import { createStore, startOpenFga, type Tuple } from '../../servers/start-openfga.ts';
import { engineConfig, testModel } from '../../support/openfga-engine.ts';
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
            // Hundreds of questions at the same time take the server a while where others work beside it.
            timeoutMs: options.url === url ? Math.max(options.timeoutMs, 1500) : options.timeoutMs,
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
