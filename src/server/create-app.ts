// The uWebSockets.js application, with TLS where there is a certificate.
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { TemplatedApp } from 'uWebSockets.js';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** @throws Error that says what to mend, when the files are not fit. */
export function createApp(uws: typeof import('uWebSockets.js'), tls: TlsFiles | undefined): TemplatedApp {
  if (tls === undefined) return uws.App();
  // The addon says no more than that it failed.
  const cert = readSetting('server.tls.cert_file', tls.certFile);
  const key = readSetting('server.tls.key_file', tls.keyFile);
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

function readSetting(setting: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new Error(`${file} cannot be read (${code}); put the file there, or set ${setting}`, { cause: error });
  }
}
