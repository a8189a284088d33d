// The uWebSockets.js application, with TLS where there is a certificate.
import type { TemplatedApp } from 'uWebSockets.js';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** That the files are there and fit is seen before (check-files.ts): the addon says no more than that it failed. */
export function createApp(uws: typeof import('uWebSockets.js'), tls: TlsFiles | undefined): TemplatedApp {
  if (tls === undefined) return uws.App();
  return uws.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
}
