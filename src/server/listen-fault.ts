// Why an address cannot be listened on, and what to do about it, in one sentence.
import { createServer } from 'node:net';

export interface WantedAddress {
  readonly host: string;
  readonly port: number;
  /** The settings that say it. */
  readonly setting: string;
}

/** @param code of the operating system, such as EADDRINUSE; undefined when it is not known. */
export function describeListenFault({ host, port, setting }: WantedAddress, code: string | undefined): string {
  const place = `cannot listen on ${host.includes(':') ? `[${host}]` : host}:${port}`;
  switch (code) {
    case 'EADDRINUSE':
      return `${place}: another program has the port; stop it, or set ${setting}`;
    case 'EADDRNOTAVAIL':
    case 'EAI_AGAIN':
    case 'ENOTFOUND':
    case 'EINVAL':
      return `${place}: this machine has no such address; set ${setting}`;
    case 'EACCES':
      return `${place}: this user may not use the port; set ${setting} to a port from 1024 on`;
    default:
      return `${place}${code === undefined ? '' : ` (${code})`}; set ${setting}`;
  }
}

/** Tries the address for itself alone. @returns the operating system's code; undefined when it can be had. */
export function findListenFault({ host, port }: Omit<WantedAddress, 'setting'>): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown error'));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
}
