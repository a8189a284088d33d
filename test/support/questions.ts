// Questions for authorizers, right in all that a test does not say.
import type { Principal } from '../../src/auth/principal.ts';
import type { Action, Question } from '../../src/authz/authorizer.ts';

export interface QuestionParts {
  readonly principal?: Principal;
  readonly action?: Action;
  readonly resource?: Partial<Question['resource']>;
  readonly context?: Partial<Question['context']>;
}

export function createQuestion(parts: QuestionParts = {}): Question {
  return Object.freeze({
    principal: parts.principal ?? jwtPrincipal({ sub: 'alice' }),
    action: parts.action ?? 'upload',
    resource: Object.freeze({ bucket: 'uploads', key: 'a/b.txt', backendBucket: 'backend-bucket', ...parts.resource }),
    context: Object.freeze({
      operation: 'PutObject',
      method: 'PUT',
      clientIp: '192.0.2.1',
      contentLength: 10,
      contentType: 'text/plain',
      userAgent: 'tests/1',
      uploadId: undefined,
      partNumber: undefined,
      metadata: Object.freeze({}),
      ...parts.context,
    }),
  });
}

/** As the verifier of tokens makes them: frozen. */
export function jwtPrincipal(
  claims: Readonly<Record<string, unknown>>,
  expiresAtMs = Date.now() + 3_600_000,
): Principal {
  const subject = typeof claims['sub'] === 'string' ? claims['sub'] : undefined;
  return Object.freeze({ kind: 'jwt', subject, claims: Object.freeze({ ...claims }), expiresAtMs });
}

export function sigv4Principal(
  subject: string,
  accessKeyId = 'AKIDALICE',
  expiresAtMs = Date.now() + 900_000,
): Principal {
  return { kind: 'sigv4', subject, accessKeyId, expiresAtMs };
}

export const anonymous: Principal = Object.freeze({ kind: 'anonymous' });
