// Our own arms that ask a policy engine: a real OPA or OpenFGA on this machine, about every request or as often as a decision
// is forgotten.
import { findServer } from '../../../test/servers/find-server.ts';
import { startOpa } from '../../../test/servers/start-opa.ts';
import { createStore, startOpenFga } from '../../../test/servers/start-openfga.ts';
import type { Arm } from '../arm.ts';
import { goModuleVersion } from '../machine.ts';
import { createMizuchi, type Neighbour } from './create-mizuchi.ts';

type EngineName = 'opa' | 'openfga';
type Settings = Readonly<Record<string, unknown>>;

/** As an operator might write it: who, what and where. */
const policy = `package mizuchi

default allow := false

allow if {
	input.action == "upload"
	input.resource.bucket == "uploads"
	startswith(input.resource.key, "bench/")
	input.subject in {"bench", "alice"}
}
`;

const model = {
  schema_version: '1.1',
  type_definitions: [
    { type: 'user' },
    {
      type: 'bucket',
      relations: { writer: { this: {} } },
      metadata: { relations: { writer: { directly_related_user_types: [{ type: 'user' }] } } },
    },
  ],
};

const engines: Readonly<
  Record<EngineName, { readonly goModule: string; start: (more: Settings) => Promise<Neighbour> }>
> = {
  opa: {
    goModule: 'github.com/open-policy-agent/opa',
    async start(more) {
      const server = await startOpa({ policy });
      return { authz: { opa: { url: server.url, ...more } }, stop: () => server.stop() };
    },
  },
  openfga: {
    goModule: 'github.com/openfga/openfga',
    async start(more) {
      const server = await startOpenFga();
      const tuple = { user: 'user:bench', relation: 'writer', object: 'bucket:uploads' };
      const { storeId, modelId } = await createStore(server, model, [tuple]);
      const openfga = { url: server.url, store_id: storeId, model_id: modelId, ...more };
      return { authz: { openfga }, stop: () => server.stop() };
    },
  },
};

function asking(engine: EngineName, kind: 'cold' | 'cached'): Arm {
  const { goModule, start } = engines[engine];
  const how = kind === 'cold' ? 'about every request (`cache_ttl_seconds: 0`)' : 'with the default cache';
  const arm = createMizuchi({
    name: `${engine}-${kind}`,
    note: `mizuchi, asking ${engine === 'opa' ? 'OPA' : 'OpenFGA'} ${how}`,
    startNeighbour: () => start(kind === 'cold' ? { cache_ttl_seconds: 0 } : {}),
  });
  return {
    ...arm,
    find: async () => {
      const own = await arm.find();
      if ('missing' in own) return own;
      try {
        return { version: `${own.version}, ${engine} ${await goModuleVersion(await findServer(engine), goModule)}` };
      } catch (error) {
        return { missing: error instanceof Error ? error.message : String(error) };
      }
    },
  };
}

export const policyEngineArms = [
  asking('opa', 'cold'),
  asking('opa', 'cached'),
  asking('openfga', 'cold'),
  asking('openfga', 'cached'),
];
