// Makes the secrets of docker-compose.yml, once: what is in the environment counts, then what is there, then chance.
// node make-secrets.mjs MINIO_FOLDER PROXY_FOLDER GRAFANA_FOLDER FOLDER…
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process, { argv, env, getuid, stderr, stdout } from 'node:process';
import { parseEnv } from 'node:util';

const knownToAll = new Set(['minioadmin', 'minio123', 'admin', 'password', 'changeme', 'secret', 'your-secret-key']);
/** Of whoever runs the programs in the containers. */
const nodeUser = 1000;
const grafanaUser = 472;

/**
 * @param {string} name
 * @param {string | undefined} kept
 * @param {{ minLength: number, make: () => string }} rule
 */
function choose(name, kept, { minLength, make }) {
  const given = env[name];
  if (!given) return kept || make();
  if (!/^[A-Za-z0-9._~-]+$/.test(given)) throw new Error(`${name} may hold letters, digits and - _ . ~ only`);
  if (given.length < minLength) throw new Error(`${name} must have at least ${minLength} characters`);
  if (knownToAll.has(given.toLowerCase())) throw new Error(`${name} is one that everybody knows: choose another`);
  return given;
}

/** @param {string} file */
function readKept(file) {
  return existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {};
}

/** Whole or not at all. @param {string} file @param {string} text @param {number} owner */
function write(file, text, owner) {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  // Whoever is not root can only write for themselves.
  if (getuid?.() === 0) chownSync(`${file}.new`, owner, owner);
  renameSync(`${file}.new`, file);
}

const hex = (/** @type {number} */ bytes) => () => randomBytes(bytes).toString('hex');
const name = { minLength: 3, make: () => `u${randomBytes(9).toString('hex')}` };
const secret = { minLength: 32, make: hex(32) };
// MinIO takes at most 40 characters.
const secretKey = { minLength: 16, make: hex(20) };

/**
 * @param {{ minio: string, proxy: string, grafana: string, folders: readonly string[] }} places `folders`: where those who
 * are not root make files of their own
 */
function makeSecrets({ minio, proxy, grafana, folders }) {
  const [rootFile, uploaderFile] = [join(minio, 'minio.env'), join(minio, 'uploader.env')];
  const [ownFile, passwordFile] = [join(proxy, 'mizuchi.env'), join(grafana, 'admin-password')];
  const root = readKept(rootFile);
  const own = readKept(ownFile);
  const password = existsSync(passwordFile) ? readFileSync(passwordFile, 'utf8') : undefined;
  const chosen = {
    rootUser: choose('MINIO_ROOT_USER', root['MINIO_ROOT_USER'], name),
    rootPassword: choose('MINIO_ROOT_PASSWORD', root['MINIO_ROOT_PASSWORD'], secretKey),
    accessKey: choose('UPLOAD_ACCESS_KEY', own['S3_ACCESS_KEY'], name),
    secretKey: choose('UPLOAD_SECRET_KEY', own['S3_SECRET_KEY'], secretKey),
    jwtSecret: choose('JWT_SECRET', own['JWT_SECRET'], secret),
    // Grafana has it in its database by then.
    grafanaPassword: password ?? choose('GRAFANA_ADMIN_PASSWORD', undefined, secretKey),
  };
  const uploader = `S3_ACCESS_KEY=${chosen.accessKey}\nS3_SECRET_KEY=${chosen.secretKey}\n`;
  write(rootFile, `MINIO_ROOT_USER=${chosen.rootUser}\nMINIO_ROOT_PASSWORD=${chosen.rootPassword}\n`, 0);
  write(uploaderFile, uploader, 0);
  write(ownFile, `${uploader}JWT_SECRET=${chosen.jwtSecret}\n`, nodeUser);
  write(passwordFile, chosen.grafanaPassword, grafanaUser);
  if (getuid?.() === 0) for (const folder of folders) chownSync(folder, nodeUser, nodeUser);
  if (env.GRAFANA_ADMIN_PASSWORD && env.GRAFANA_ADMIN_PASSWORD !== chosen.grafanaPassword)
    stdout.write('GRAFANA_ADMIN_PASSWORD counts at the first start only: Grafana keeps the password that it has\n');
  stdout.write('the secrets are there\n');
}

const [, , minio, proxy, grafana, ...folders] = argv;
if (minio === undefined || proxy === undefined || grafana === undefined) {
  stderr.write('usage: node make-secrets.mjs MINIO_FOLDER PROXY_FOLDER GRAFANA_FOLDER FOLDER…\n');
  process.exitCode = 2;
} else {
  try {
    makeSecrets({ minio, proxy, grafana, folders });
  } catch (error) {
    stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
