// Bounds what the kernel holds for a connection from this very machine.
//
// uWebSockets.js reads on, whatever it is told, as long as one read fills its buffer of 512 KiB: pausing takes effect only
// when a read brings less. Across a network it soon does. A client on the same machine can refill the kernel's buffer as
// fast as it is emptied, so that its whole body would pile up here. With less than 512 KiB in the kernel's buffer no read
// can be full. Such a buffer would make connections across long distances slow (its size is the most that one round trip
// can carry), so it is only set where there is no distance: on addresses of the loopback network.
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import koffi from 'koffi';

/** The kernel doubles it for its own bookkeeping (socket(7), SO_RCVBUF), which stays below 512 KiB, and lowers it to its own limit. */
const receiveBufferBytes = 262_000;
/** Linux, include/uapi/asm-generic/socket.h. */
const solSocket = 1;
const soReceiveBuffer = 8;

/**
 * Sets it on the sockets of this process that listen on the port; connections inherit it when they are accepted. Where it
 * cannot be done (not Linux), the proxy works as well, but a local client can make it exceed its memory budget.
 */
export function limitReceiveBuffer(port: number): void {
  if (process.platform !== 'linux') return;
  const setSocketOption = koffi
    .load(null)
    .func('int setsockopt(int fd, int level, int name, const int *value, uint32_t length)');
  for (const fd of listeningDescriptors(port)) {
    setSocketOption(fd, solSocket, soReceiveBuffer, [receiveBufferBytes], 4);
  }
}

function listeningDescriptors(port: number): number[] {
  const inodes = new Set([...listeningInodes('tcp', port), ...listeningInodes('tcp6', port)]);
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => inodes.has(socketInode(fd) ?? ''));
}

/** proc(5): `sl local_address rem_address st … inode`; state 0A is LISTEN. */
function listeningInodes(table: string, port: number): string[] {
  const path = `/proc/self/net/${table}`;
  // Without IPv6 in the kernel there is no tcp6.
  if (!existsSync(path)) return [];
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync(path, 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(wanted) === true && fields[3] === '0A')
    .map((fields) => fields[9] ?? '');
}

function socketInode(fd: number): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
  } catch {
    // The descriptor of the very directory that is being read is gone by now.
    return undefined;
  }
}
