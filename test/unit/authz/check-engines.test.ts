// Which faults of an engine are told as lasting, at start.
import { expect, test } from 'vitest';
import { checkEngines, type EngineFault } from '../../../src/authz/check-engines.ts';
import { OpaFault } from '../../../src/authz/opa-client.ts';
import { OpenFgaFault } from '../../../src/authz/openfga-answers.ts';

const engineThat = (engine: string, fault?: unknown) => ({
  engine,
  async checkReady() {
    if (fault !== undefined) throw fault;
  },
  close: () => Promise.resolve(),
});

async function faultsOf(...errors: unknown[]): Promise<EngineFault[]> {
  const faults: EngineFault[] = [];
  const engines = errors.map((error, index) => engineThat(`engine-${index}`, error));
  await checkEngines(engines, (fault) => faults.push(fault));
  return faults;
}

test.each([
  [new OpaFault('no answer'), false],
  [new OpaFault('answered 500', 500), false],
  [new OpaFault('answered 429', 429), false],
  [new OpaFault('answered 401', 401), true],
  [new OpenFgaFault('no answer'), false],
  [new OpenFgaFault('answered 503', 503), false],
  [new OpenFgaFault('answered 408', 408), false],
  [new OpenFgaFault('no store', 404), true],
  [new OpenFgaFault('the model has no such type', 200), true],
  [new Error('anything else'), false],
])('%s: lasting is %s', async (error, isLasting) => {
  expect(await faultsOf(error)).toEqual([{ engine: 'engine-0', error, isLasting }]);
});

test('each engine is told of by itself, and one that is ready is not', async () => {
  const [first, second] = [new OpaFault('no answer'), new OpenFgaFault('no store', 404)];
  expect((await faultsOf(first, second)).map(({ error }) => error)).toEqual([first, second]);
  const faults: EngineFault[] = [];
  await checkEngines([engineThat('ready')], (fault) => faults.push(fault));
  expect(faults).toEqual([]);
});
