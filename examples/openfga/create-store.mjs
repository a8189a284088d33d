// Creates a store in an OpenFGA, writes the model and the tuples beside this file, and prints what the configuration needs.
// node create-store.mjs http://127.0.0.1:8081 [name]; an API token is taken from OPENFGA_TOKEN.
import { readFile } from 'node:fs/promises';
import { argv, env, stderr, stdout } from 'node:process';
import { parse } from 'yaml';

const [, , url, name = 'uploads'] = argv;
const read = (/** @type {string} */ file) => readFile(new URL(file, import.meta.url), 'utf8');

async function post(/** @type {string} */ path, /** @type {object} */ body) {
  const token = env.OPENFGA_TOKEN;
  const response = await fetch(new URL(path, url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

if (url === undefined) {
  stderr.write('usage: node create-store.mjs URL [NAME]\n');
  process.exitCode = 2;
} else {
  const { id } = await post('/stores', { name });
  const model = await post(`/stores/${id}/authorization-models`, JSON.parse(await read('model.json')));
  const tuples = parse(await read('tuples.yaml'));
  await post(`/stores/${id}/write`, {
    authorization_model_id: model.authorization_model_id,
    writes: { tuple_keys: tuples },
  });
  stdout.write(`OPENFGA_STORE_ID=${id}\nOPENFGA_MODEL_ID=${model.authorization_model_id}\n`);
}
