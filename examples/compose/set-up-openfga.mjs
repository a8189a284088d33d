// Creates the example's store, unless it is there, and writes its ids to a file of variables.
// node set-up-openfga.mjs URL CREATE_STORE_SCRIPT FILE
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { argv, execPath, stderr, stdout } from 'node:process';
import { parseEnv } from 'node:util';

/** @param {string} url @param {string} file */
async function isThere(url, file) {
  const id = existsSync(file) ? parseEnv(readFileSync(file, 'utf8'))['OPENFGA_STORE_ID'] : undefined;
  return id !== undefined && (await fetch(new URL(`/stores/${id}`, url))).ok;
}

const [, , url, createStore, file] = argv;
if (url === undefined || createStore === undefined || file === undefined) {
  stderr.write('usage: node set-up-openfga.mjs URL CREATE_STORE_SCRIPT FILE\n');
  process.exitCode = 2;
} else if (await isThere(url, file)) {
  stdout.write('the store is there\n');
} else {
  writeFileSync(`${file}.new`, execFileSync(execPath, [createStore, url]), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  stdout.write('the store is made\n');
}
