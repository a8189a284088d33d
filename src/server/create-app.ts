// The uWebSockets.js application, with TLS where there is a certificate.
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { TemplatedApp } from 'uWebSockets.js';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** @throws Error that says what to mend, when the files are not fit; that they are there is seen before (check-files.ts). */
export function createApp(uws: typeof import('uWebSockets.js'), tls: TlsFiles | undefined): TemplatedApp {
  if (tls === undefined) return uws.App();
  // The addon says no more than that it failed.
  const cert = readFileSync(tls.certFile);
  const key = readFileSync(tls.keyFile);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    throw new Error(
      `${tls.certFile} and ${tls.keyFile} are no certificate and key of one pair in PEM${reason}; set server.tls`,
      { cause: error },
    );
  }
  return uws.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
}
