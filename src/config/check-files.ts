// Files that a configuration names: what is not there, or not fit, is told before anything is started, in one sentence.
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Config, TlsConfig } from './config.ts';

/** @throws Error that says what to do, for the first file that cannot be read, and for a certificate and a key that are no pair. */
export function checkFiles({ server: { tls }, buckets, tracing }: Config): void {
  const files: (readonly [file: string | undefined, setting: string])[] = [
    [tls?.certFile, 'server.tls.cert_file'],
    [tls?.keyFile, 'server.tls.key_file'],
    [tracing?.otlp.caFile, 'tracing.otlp.ca_file'],
    ...buckets.flatMap(({ name, authz }): typeof files => [
      [authz?.opa?.caFile, `authz.opa.ca_file of bucket ${name}`],
      [authz?.openfga?.caFile, `authz.openfga.ca_file of bucket ${name}`],
    ]),
  ];
  for (const [file, setting] of files) if (file !== undefined) readSetting(file, setting);
  if (tls !== undefined) checkPair(tls);
}

/** What serves says no more than that it failed. */
function checkPair({ certFile, keyFile }: TlsConfig): void {
  try {
    createSecureContext({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    const sentence = `${certFile} and ${keyFile} are no certificate and key of one pair in PEM${reason}; set server.tls`;
    throw new Error(sentence, { cause: error });
  }
}

/** @throws Error that says what to do when the file cannot be read. */
export function readSetting(file: string, setting: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new Error(`${file} cannot be read (${code}); put the file there, or set ${setting}`, { cause: error });
  }
}
