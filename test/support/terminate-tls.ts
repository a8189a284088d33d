// TLS in front of a server that has none.
import { once } from 'node:events';
import { connect } from 'node:net';
import { createServer } from 'node:tls';
import type { Certificate } from './certificate.ts';

export interface TlsTerminator {
  readonly port: number;
  stop(): void;
}

/** @param port of the server, on this machine. */
export async function terminateTls({ cert, key }: Certificate, port: number): Promise<TlsTerminator> {
  const terminator = createServer({ cert, key, ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => {
    const onward = connect(port, '127.0.0.1');
    socket.on('error', () => onward.destroy()).pipe(onward);
    onward.on('error', () => socket.destroy()).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(terminator, 'listening');
  const address = terminator.address();
  if (address === null || typeof address === 'string') throw new Error('the terminator has no port');
  return { port: address.port, stop: () => terminator.close() };
}
