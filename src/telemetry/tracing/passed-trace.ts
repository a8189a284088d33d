// A trace that is not recorded here: the client's own, which goes on to the neighbours as it came, so that what they record
// hangs on the client's span; or a new one, of which they are told that it is not recorded.
import type { CallTrace } from '../../call-trace.ts';
import type { RequestSpan, StageSpan, StorageSpan } from '../observer.ts';
import { formatTraceparent, type RemoteParent } from './trace-context.ts';

export class PassedTrace implements RequestSpan, StorageSpan, StageSpan<unknown>, CallTrace {
  readonly traceId = undefined;
  readonly #fields: () => CallTrace['fields'];

  constructor(fields: () => CallTrace['fields']) {
    this.#fields = fields;
  }

  get trace(): CallTrace {
    return this;
  }

  get fields(): CallTrace['fields'] {
    return this.#fields();
  }

  startAuthentication(): this {
    return this;
  }

  startAuthorization(): this {
    return this;
  }

  startStorageCall(): this {
    return this;
  }

  succeed(): void {}
  end(): void {}
  endCall(): void {}
  endRequest(): void {}
}

/** Says nothing to anybody. */
export const noTrace = new PassedTrace(() => []);

export function passOn({ traceId, spanId, isSampled, state }: RemoteParent): PassedTrace {
  return new PassedTrace(() => [
    ['traceparent', formatTraceparent(traceId, spanId, isSampled)],
    ...(state === undefined ? [] : [['tracestate', state] as const]),
  ]);
}

/** Tells the neighbours not to record it either. */
export function decline({ traceId, spanId }: Pick<RemoteParent, 'traceId' | 'spanId'>): PassedTrace {
  return new PassedTrace(() => [['traceparent', formatTraceparent(traceId, spanId, false)]]);
}
