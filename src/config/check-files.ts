// Files that a configuration names: what is not there is told before anything is started, in one sentence.
import { readFileSync } from 'node:fs';
import type { Config } from './config.ts';

/** @throws Error that says what to do, for the first file that cannot be read. */
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
