// Remembers used signatures in Redis, for processes and machines that must agree.
import { S3Error } from '../../errors.ts';
import { Fault } from '../../fault.ts';
import { replayRefusal, type ReplayGuard } from './replay-guard.ts';

export interface RedisReplayGuardOptions {
  /** `redis://` or `rediss://`, perhaps with user, password and database. */
  readonly url: string;
  /** For connecting and for each answer. */
  readonly timeoutMs?: number;
}

type Library = typeof import('@redis/client');
type RedisClient = ReturnType<Library['createClient']>;

interface Connection {
  readonly ready: Promise<RedisClient>;
  end(): void;
}

const keyPrefix = 'mizuchi:replay:';
/** Times to live are counted by Redis from the moment of the claim; another machine's clock may be behind this one's. */
const clockMarginMs = 60_000;

/**
 * Fails closed: while Redis cannot be reached, or does not answer in time, every claim is refused with ServiceUnavailable.
 * A connection is made by the first claim that needs one, so that none is tried while nobody asks. Redis must not evict
 * keys (`maxmemory-policy noeviction`, its default).
 * @throws Error for a URL that is none; it does not repeat the URL, which may hold a password.
 */
export function createRedisReplayGuard({ url, timeoutMs = 1000 }: RedisReplayGuardOptions): ReplayGuard {
  if (!/^rediss?:\/\//.test(url) || !URL.canParse(url))
    throw new Error('the URL of Redis is not redis:// or rediss://');
  let connection: Connection | undefined;
  let isClosed = false;

  function drop(dropped: Connection): void {
    if (connection === dropped) connection = undefined;
    dropped.end();
  }

  /** @throws Error without any word of Redis's own. */
  async function ask(run: (client: RedisClient) => Promise<unknown>): Promise<unknown> {
    // Loaded when it is first needed, as most configurations have no Redis; the time that takes is not Redis's.
    const library = await import('@redis/client');
    if (isClosed) throw new Fault('closed');
    const used = (connection ??= connect(library, url, timeoutMs, drop));
    try {
      return await endsWithin(used.ready.then(run), timeoutMs);
    } catch (error) {
      // What waits behind an answer that does not come would wait as well: all of it is refused, and the next one connects anew.
      drop(used);
      throw describeFault(error);
    }
  }

  return {
    async claim(signature, expiresAtMs) {
      const reply = await ask((client) =>
        client.set(keyPrefix + signature, '1', {
          condition: 'NX',
          expiration: { type: 'PX', value: Math.max(0, Math.ceil(expiresAtMs - Date.now())) + clockMarginMs },
        }),
      ).catch((error: unknown) => {
        throw unavailable(error);
      });
      if (reply === null) throw replayRefusal();
      if (reply !== 'OK') throw unavailable(new Fault('Redis gave an answer that is not one to SET'));
    },
    async checkReady() {
      // A claim writes: a Redis that is read-only, or full, answers PING all the same.
      await ask((client) => client.set(`${keyPrefix}ready`, '1', { expiration: { type: 'PX', value: 1000 } }));
    },
    async close() {
      isClosed = true;
      if (connection !== undefined) drop(connection);
    },
  };
}

function connect(
  { createClient }: Library,
  url: string,
  timeoutMs: number,
  drop: (connection: Connection) => void,
): Connection {
  const client = createClient({
    url,
    // Version 2 of the protocol is what every Redis and every proxy before one speaks; nothing of version 3 is used.
    RESP: 2,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    // Commands never wait for a connection; and each is given its time here, which the library does only until it is sent.
    disableOfflineQueue: true,
    commandOptions: { timeout: 0 },
    socket: { connectTimeout: timeoutMs, reconnectStrategy: false },
  }) as RedisClient;
  const connection: Connection = { ready: client.connect(), end: () => client.destroy() };
  // Also what keeps a lost connection from ending the process.
  client.on('error', () => drop(connection));
  return connection;
}

async function endsWithin<Result>(promise: Promise<Result>, ms: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Fault(`no answer within ${ms} ms`), { code: 'ETIMEDOUT' })), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function describeFault(error: unknown): Error {
  return new Fault(`Redis cannot be asked (${faultOf(error)})`);
}

/** An answer may quote the command that it is to, and with it the password: its first word is the fault. */
function faultOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return /^[A-Z]{2,}\b/.exec(error.message)?.[0] ?? error.name;
}

function unavailable(cause: unknown): S3Error {
  return new S3Error('ServiceUnavailable', {
    detail: 'Whether the signature has been used before cannot be known at the moment. Try again later.',
    cause,
  });
}
