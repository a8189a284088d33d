// Which failures of a call to the backend say that it has changed nothing.
import { S3Error } from '../errors.ts';

/** Causes have causes, but not so many. */
const maxDepth = 5;
/** Nothing was sent: nobody listens there, or nobody who is trusted. */
const codeOfNoConnection =
  /^(?:ECONNREFUSED|ERR_SOCKET_CONNECTION_TIMEOUT|ERR_TLS_CERT_\w+|(?:CERT|DEPTH|SELF|UNABLE)_\w+)$/;
const callsBeforeAConnection: ReadonlySet<unknown> = new Set(['connect', 'getaddrinfo']);

/** Whether it was refused, here or by the backend, or never got there. All else, such as a lost answer or a 5xx, leaves it open. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof S3Error)) return false;
  const { status, code, cause } = error;
  return isRefusing(status) || code === 'SlowDown' || isRefusing(property(cause, 'status')) || wasNeverSent(cause);
}

/** No redirect is followed. Of 5xx, those that say of what is asked for that it cannot be had. */
const isRefusing = (status: unknown): boolean =>
  typeof status === 'number' && ((status >= 300 && status < 500) || status === 501 || status === 507);

function wasNeverSent(cause: unknown): boolean {
  let error = cause;
  for (let depth = 0; depth < maxDepth && error instanceof Error; depth++, error = error.cause) {
    if (error.name === 'CredentialsProviderError' || isOfNoConnection(error)) return true;
    // One for each of the host's addresses; its code is that of the first alone.
    if (error instanceof AggregateError && error.errors.length > 0) return error.errors.every(isOfNoConnection);
  }
  return false;
}

const isOfNoConnection = (error: unknown): boolean =>
  callsBeforeAConnection.has(property(error, 'syscall')) || codeOfNoConnection.test(String(property(error, 'code')));

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
