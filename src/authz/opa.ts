// The OPA engine: asks a rule of an Open Policy Agent about a request, over its data API.
// Source: OPA documentation, "REST API Reference": "Get a Document (with Input)" and "Health API".
import { readFileSync } from 'node:fs';
import type { OpaConfig } from '../config/config.ts';
import { S3Error } from '../errors.ts';
import type { Authorizer, Question } from './authorizer.ts';
import { createOpaClient, OpaFault } from './opa-client.ts';
import { readDecision } from './opa-decision.ts';
import { writePrincipal } from './question-text.ts';

/**
 * What is asked is `input`:
 * `{ subject, principal: { kind, claims | access_key_id }, action, resource: { bucket, key, backend_bucket }, context: { method,
 * client_ip, content_length, content_type, user_agent, time, operation, upload_id, part_number, metadata } }`. What is not known
 * is left out and never null: Rego has null smaller than every number. `time` is RFC 3339, in UTC.
 * @throws Error for a URL that is none, and when the file of the authority cannot be read.
 */
export function createOpaAuthorizer(config: OpaConfig): Authorizer {
  const { url, policyPath, token, caFile, timeoutMs } = config;
  const client = createOpaClient({
    url,
    timeoutMs,
    token,
    ca: caFile === undefined ? undefined : readFileSync(caFile, 'utf8'),
  });
  const path = dataPath(policyPath);
  return {
    engine: 'opa',
    async authorize(question, trace) {
      const input = writeInput(question, new Date());
      if (input === undefined) return { allow: false, reason: 'the claims are nested too deep' };
      try {
        return readDecision(await client.post(path, `{"input":${input}}`, trace));
      } catch (error) {
        throw new S3Error('ServiceUnavailable', { cause: error });
      }
    },
    async checkReady(signal) {
      // With bundles: before they are there, every answer is undefined, and so a refusal.
      await client.get('/health?bundles=true', signal);
    },
    async close() {
      client.close();
    },
  };
}

export { OpaFault };

/** Of a rule that is named with or without `/v1/data` before it. */
export function dataPath(policyPath: string): string {
  const names = policyPath.split('/').filter((name) => name !== '');
  return `/v1/data/${(names[0] === 'v1' && names[1] === 'data' ? names.slice(2) : names).join('/')}`;
}

/** @returns JSON; undefined for claims that cannot be written. */
export function writeInput({ principal, action, resource, context }: Question, time: Date): string | undefined {
  const rest = JSON.stringify({
    subject: principal.kind === 'anonymous' ? undefined : principal.subject,
    action,
    resource: { bucket: resource.bucket, key: resource.key, backend_bucket: resource.backendBucket },
    context: {
      operation: context.operation,
      method: context.method,
      client_ip: context.clientIp,
      content_length: context.contentLength,
      content_type: context.contentType,
      user_agent: context.userAgent,
      upload_id: context.uploadId,
      part_number: context.partNumber,
      metadata: context.metadata,
      time: time.toISOString(),
    },
  });
  try {
    return `{"principal":${writePrincipal(principal)},${rest.slice(1)}`;
  } catch (error) {
    // Nobody but the sender is to blame, and what is the engine's fault may be let through.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
