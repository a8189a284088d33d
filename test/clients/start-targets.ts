// What the clients upload to: a real MinIO, and in front of it the proxy twice, by http and by https.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startMinio } from '../servers/start-minio.ts';
import { s3Config } from '../support/proxied-bucket.ts';
import { createBucket, type BucketView } from '../support/s3-client.ts';
import { startProxy, type RunningProxy } from '../support/start-proxy.ts';
import type { Target } from './client.ts';

export interface Targets {
  readonly http: Target;
  readonly https: Target;
  /** The backend's bucket, seen without the proxy. */
  readonly stored: BucketView;
  stop(): Promise<void>;
}

const client = {
  accessKey: 'AKIDALICE',
  secretKey: 'a-secret-of-alice-for-tests',
  region: 'us-east-1',
  bucket: 'uploads',
};

export async function startTargets(): Promise<Targets> {
  const folder = mkdtempSync(path.join(tmpdir(), 'mizuchi-clients-'));
  const { caFile, certFile, keyFile } = makeCertificates(folder);
  const server = await startMinio();
  const stored = await createBucket(server, 'backend-bucket');
  const bucket = {
    name: client.bucket,
    s3: s3Config(server),
    auth: {
      sigv4: {
        credentials: [{ access_key: client.accessKey, secret_key: client.secretKey, subject: 'alice' }],
        region: client.region,
      },
    },
  };
  const tls = { cert_file: certFile, key_file: keyFile };
  const proxies = await Promise.all([
    startProxy({ config: { buckets: [bucket] } }),
    startProxy({ config: { server: { tls }, buckets: [bucket] }, ca: readFileSync(caFile, 'utf8') }),
  ] as const);
  const targetOf = ({ url }: RunningProxy): Target => ({ ...client, endpoint: url });
  return {
    http: targetOf(proxies[0]),
    https: { ...targetOf(proxies[1]), caFile },
    stored,
    async stop() {
      await Promise.all(proxies.map((proxy) => proxy.stop()));
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** An authority that nobody trusts yet, and a certificate for 127.0.0.1 that it signed. */
function makeCertificates(folder: string): { caFile: string; certFile: string; keyFile: string } {
  const file = (name: string): string => path.join(folder, name);
  const [caFile, caKeyFile, certFile, keyFile] = [file('ca.pem'), file('ca.key'), file('cert.pem'), file('cert.key')];
  const make = (...args: string[]): void => {
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...newKey, ...args], { stdio: 'pipe' });
  };
  const authority = ['-addext', 'keyUsage=critical,keyCertSign'];
  make('-subj', '/CN=Test authority', ...authority, '-keyout', caKeyFile, '-out', caFile);
  const server = ['-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=critical,CA:FALSE'];
  const signer = ['-CA', caFile, '-CAkey', caKeyFile];
  make('-subj', '/CN=127.0.0.1', ...server, ...signer, '-keyout', keyFile, '-out', certFile);
  return { caFile, certFile, keyFile };
}
