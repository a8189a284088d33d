// What the log is told besides requests: neighbours that fail, signatures that do not match, uploads that are given up.
import type { AuthServices } from '../auth/authentication.ts';
import type { EngineFault } from '../authz/check-engines.ts';
import type { AuthorizationEvents } from '../authz/create-authorizer.ts';
import type { Log } from '../log.ts';
import type { OpenUploadsEvents } from '../upload/open-uploads/open-uploads.ts';
import { saySeldom, type SeldomSaid } from './say-seldom.ts';

export function logAuthentication(
  log: Log,
  bucket: string,
): Pick<AuthServices, 'onMismatch' | 'onFetchFailed' | 'onNoUsableKey'> {
  return {
    onMismatch: (details) => log.debug({ bucket, ...details }, 'a signature did not match; this is what was expected'),
    onFetchFailed: (error) =>
      log.warn({ bucket, err: error }, 'the keys of the identity provider could not be fetched'),
    onNoUsableKey: () =>
      log.warn({ bucket }, 'the identity provider has no key for auth.jwt.algorithms, so every token is refused'),
  };
}

export interface FailedOpenLog extends Pick<AuthorizationEvents, 'onFailedOpen'> {
  /** Says what is not said yet: for the end. */
  flush(): void;
}

/** Once a second, with how many requests it was since the last time. */
export function logFailedOpen(log: Log, bucket: string): FailedOpenLog {
  const engines = new Map<string, SeldomSaid<unknown>>();
  return {
    onFailedOpen(engine, error) {
      let said = engines.get(engine);
      if (said === undefined) {
        said = saySeldom((requests, err) =>
          log.warn({ bucket, engine, requests, err }, 'let through without being authorized (fail_mode: open)'),
        );
        engines.set(engine, said);
      }
      said.note(error);
    },
    flush() {
      for (const said of engines.values()) said.flush();
    },
  };
}

/** What was found of an engine at start. */
export function logEngineFault(log: Log, bucket: string): (fault: EngineFault) => void {
  return ({ engine, error, isLasting }) => {
    if (isLasting)
      log.error({ bucket, engine, err: error }, 'a policy engine is there, but cannot decide as it is set up');
    else log.warn({ bucket, engine, err: error }, 'a policy engine cannot be asked yet');
  };
}

/** A fault in telling of what is done, which must not become one of what is done: where not even this can be told, nothing is. */
export function logFault(log: Log): (error: unknown) => void {
  return (error) => {
    try {
      log.error({ err: error }, 'a request or a call could not be told of');
    } catch {
      // The log itself.
    }
  };
}

export function logOpenUploads(log: Log): OpenUploadsEvents {
  return {
    aborted: ({ bucketName }) => log.debug({ bucket: bucketName }, 'multipart upload aborted'),
    abortFailed: ({ bucketName }, error) =>
      log.warn({ bucket: bucketName, err: error }, 'abort of a multipart upload failed; it will be tried again'),
    swept: ({ bucketName }) => log.info({ bucket: bucketName }, 'multipart upload of an earlier process aborted'),
    journalFailed: (error) => log.error({ err: error }, 'the journal of open uploads could not be written or read'),
  };
}
