// A TCP connection that writes exactly the given bytes and cuts HTTP/1.1 answers out of what comes back.
import { once } from 'node:events';
import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Names in lower case; the last of several fields of one name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface RawConnection {
  /** Waits until the kernel has taken the bytes. Does nothing when the server has closed. */
  write(bytes: string | Uint8Array): Promise<void>;
  /** The next answer, also an interim one (1xx). @throws Error when the connection closes before it is whole. */
  readAnswer(): Promise<RawAnswer>;
  /** Settles when the connection is closed, whoever closed it. */
  readonly closed: Promise<void>;
  /** Leaves what comes in the kernel, or takes it again. */
  setReading(isReading: boolean): void;
  /** Closes orderly (FIN) in our direction. */
  end(): void;
  /** Closes at once; with RST when `isReset`. */
  destroy(isReset?: boolean): void;
  /** What has come and belongs to no answer that was read. */
  unread(): string;
}

export async function openRawConnection(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  let received = Buffer.alloc(0);
  let isClosed = false;
  let wake = Promise.withResolvers<void>();
  const notify = (): void => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes]);
    notify();
  });
  // A reset is one of the ways in which these tests expect a connection to end.
  socket.on('error', () => undefined);
  // Not by once(), which would reject for the reset.
  const closing = Promise.withResolvers<void>();
  const closed = closing.promise;
  socket.on('close', () => {
    isClosed = true;
    notify();
    closing.resolve();
  });
  return {
    closed,
    async write(bytes) {
      if (isClosed || socket.destroyed) return;
      if (!socket.write(bytes)) await Promise.race([once(socket, 'drain').catch(() => undefined), closed]);
    },
    async readAnswer() {
      for (;;) {
        const cut = cutAnswer(received, isClosed);
        if (cut !== undefined) {
          received = received.subarray(cut.length);
          return cut.answer;
        }
        if (isClosed)
          throw new Error(`closed before a whole answer; received ${JSON.stringify(received.toString('latin1'))}`);
        await wake.promise;
      }
    },
    setReading(isReading) {
      if (isReading) socket.resume();
      else socket.pause();
    },
    end: () => socket.end(),
    destroy(isReset = false) {
      if (isReset) socket.resetAndDestroy();
      else socket.destroy();
    },
    unread: () => received.toString('latin1'),
  };
}

function cutAnswer(bytes: Buffer, isClosed: boolean): { answer: RawAnswer; length: number } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const [statusLine = '', ...lines] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const status = Number(statusLine.split(' ')[1]);
  const bodyStart = headEnd + 4;
  const bodyBytes = bodyLength(status, headers);
  // Neither length nor coding: the body ends with the connection (RFC 9112, section 6.3).
  if (bodyBytes === undefined && !isClosed) return undefined;
  const end = bodyBytes === undefined ? bytes.length : bodyStart + bodyBytes;
  if (bytes.length < end) return undefined;
  return { answer: { status, headers, body: bytes.subarray(bodyStart, end).toString('utf8') }, length: end };
}

function bodyLength(status: number, headers: ReadonlyMap<string, string>): number | undefined {
  if (status < 200 || status === 204 || status === 304) return 0;
  const length = headers.get('content-length');
  return length === undefined ? undefined : Number(length);
}
