// Connections are used again, shared fairly, and given up in time.
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  ConnectionLost,
  ConnectionPool,
  type ConnectionPoolOptions,
} from '../../../../src/storage/s3/connection-pool.ts';
import { startRawBackend, type BackendConnection, type RawBackend } from './raw-backend.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function startBackend(serve: (connection: BackendConnection) => unknown = () => undefined): Promise<RawBackend> {
  const backend = await startRawBackend(serve);
  cleanups.push(() => backend.stop());
  return backend;
}

function createPool(port: number, options: Partial<ConnectionPoolOptions> = {}): ConnectionPool {
  const pool = new ConnectionPool({
    hostname: '127.0.0.1',
    port,
    isTls: false,
    connectMs: 5000,
    idleMs: 5000,
    keepAliveMs: 5000,
    maxConnections: 10,
    ...options,
  });
  cleanups.push(() => pool.close());
  return pool;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test('the connection that was released last is taken first', async () => {
  const { port } = await startBackend();
  const pool = createPool(port);
  const first = await pool.wait().connection;
  const second = await pool.wait().connection;
  pool.release(second);
  pool.release(first);
  expect(pool.take()).toBe(first);
  expect(pool.take()).toBe(second);
  expect(pool.take()).toBeUndefined();
});

test('no more connections than allowed, and they are had in the order in which they were asked for', async () => {
  const backend = await startBackend();
  const pool = createPool(backend.port, { maxConnections: 2 });
  const held = await Promise.all([pool.wait().connection, pool.wait().connection]);
  const served: number[] = [];
  const waiters = [0, 1, 2].map((number) => {
    const waiter = pool.wait();
    void waiter.connection.then(() => served.push(number));
    return waiter;
  });
  waiters[1]?.cancel();
  for (const connection of held) pool.release(connection);
  await until(() => served.length === 2);
  expect(served).toEqual([0, 2]);
  await until(() => backend.connections.length === 2);
});

test('a connection that is lost makes room for one who waits', async () => {
  const backend = await startBackend();
  const pool = createPool(backend.port, { maxConnections: 1 });
  const held = await pool.wait().connection;
  const waiter = pool.wait();
  held.close();
  expect(await waiter.connection).not.toBe(held);
  await until(() => backend.connections.length === 2);
});

describe('an idle connection', () => {
  test('is dropped when the server closes it', async () => {
    const backend = await startBackend();
    const pool = createPool(backend.port);
    pool.release(await pool.wait().connection);
    await until(() => backend.connections.length === 1);
    backend.connections[0]?.socket.end();
    await until(() => pool.isUnused);
    expect(pool.take()).toBeUndefined();
  });

  test('is dropped when the server sends what nobody asked for', async () => {
    const backend = await startBackend();
    const pool = createPool(backend.port);
    pool.release(await pool.wait().connection);
    await until(() => backend.connections.length === 1);
    backend.connections[0]?.socket.write('HTTP/1.1 408 Request Timeout\r\n\r\n');
    await until(() => pool.isUnused);
    expect(pool.take()).toBeUndefined();
  });

  test('is closed after its time, and those used since are kept', async () => {
    const backend = await startBackend();
    const pool = createPool(backend.port, { keepAliveMs: 40 });
    const [forgotten, used] = [await pool.wait().connection, await pool.wait().connection];
    pool.release(forgotten);
    pool.release(used);
    while (!forgotten.socket.destroyed) {
      expect(pool.take()).toBe(used);
      pool.release(used);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(await backend.connections[0]?.ended).toBe('end');
    expect(used.isOpen).toBe(true);
    await until(() => pool.isUnused);
  });

  test('is not taken after its time, though nobody has closed it yet', async () => {
    const { port } = await startBackend();
    const pool = createPool(port, { keepAliveMs: 5000 });
    const [older, newer] = [await pool.wait().connection, await pool.wait().connection];
    const now = vi.spyOn(performance, 'now').mockReturnValue(1_000_000);
    cleanups.push(() => now.mockRestore());
    pool.release(older);
    now.mockReturnValue(1_000_001);
    pool.release(newer);
    now.mockReturnValue(1_005_000);
    expect(pool.take()).toBe(newer);
    expect(older.isOpen).toBe(false);
    pool.release(newer);
    now.mockReturnValue(1_010_000);
    expect(pool.take()).toBeUndefined();
    await until(() => pool.isUnused);
  });
});

describe('a connection that cannot be made', () => {
  test('is told to the one who waits', async () => {
    const backend = await startRawBackend(() => undefined);
    await backend.stop();
    const pool = createPool(backend.port);
    await expect(pool.wait().connection).rejects.toMatchObject({
      name: 'ConnectionLost',
      cause: { code: 'ECONNREFUSED' },
    });
    expect(pool.isUnused).toBe(true);
  });

  test('is given up in time', async () => {
    // It takes the connection but never answers the TLS handshake.
    const { port } = await startBackend();
    const pool = createPool(port, { isTls: true, connectMs: 30 });
    const failure: unknown = await pool.wait().connection.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ConnectionLost);
    expect(failure).toMatchObject({ cause: { message: 'connecting took too long' } });
  });
});

test('closing ends what is idle, what is in use, and those who wait', async () => {
  const backend = await startBackend();
  const pool = createPool(backend.port, { maxConnections: 2 });
  const [idle] = [await pool.wait().connection, await pool.wait().connection];
  const waiter = pool.wait();
  const outcome = waiter.connection.catch((error: unknown) => error);
  pool.close();
  expect(await outcome).toBeInstanceOf(ConnectionLost);
  pool.release(idle);
  await expect(pool.wait().connection).rejects.toBeInstanceOf(ConnectionLost);
  await Promise.all(backend.connections.map(({ ended }) => ended));
  await until(() => pool.isUnused);
});
