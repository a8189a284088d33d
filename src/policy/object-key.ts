// The key under which an object is stored: the bucket's prefix, and what the client asked for or what the proxy makes up.
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { RE2JS } from 're2js';
import type { Principal } from '../auth/principal.ts';
import type { UploadPolicyConfig } from '../config/config.ts';
import { S3Error } from '../errors.ts';
import { checkKey } from '../routing/decode-key.ts';
import { fillTemplate, parseTemplate, type Template } from '../template.ts';
import { principalText, unfit } from './principal-text.ts';

const require = createRequire(import.meta.url);
// Loaded when it is first needed: it costs 15 ms and 10 MiB.
const loadTypes = () => (require('mime') as typeof import('mime')).default;

export interface ObjectKeys {
  /** Whether the proxy names objects that come without a key. */
  readonly makesKeys: boolean;
  /**
   * A key as the client will address it.
   * @param contentType as the client declares it.
   * @throws S3Error AccessDenied for a claim that is absent or not fit for a key; KeyTooLongError.
   */
  makeKey(principal: Principal, contentType: string | undefined): string;
  /**
   * @param clientKey decoded.
   * @returns the key that the policy, the journal and the backend see.
   * @throws S3Error AccessDenied as makeKey, and for a key that does not match the bucket's pattern; KeyTooLongError.
   */
  finalKey(principal: Principal, clientKey: string): string;
}

// Unicode, general category Cc.
const control = /\p{Cc}/u;

/** @throws TypeError for a template or pattern that is none. */
export function createObjectKeys(
  { keyPrefix, keyPattern, keyTemplate }: Pick<UploadPolicyConfig, 'keyPrefix' | 'keyPattern' | 'keyTemplate'>,
  now: () => Date = () => new Date(),
): ObjectKeys {
  const prefix = compile(keyPrefix);
  const template = compile(keyTemplate);
  const pattern = keyPattern === '' ? undefined : RE2JS.compile(keyPattern);
  return {
    makesKeys: keyTemplate !== '',
    makeKey(principal, contentType) {
      const made = madeValues(now(), contentType);
      const key = fillKey(template, (name) => (Object.hasOwn(made, name) ? made[name] : undefined), principal);
      checkKey(key);
      return key;
    },
    finalKey(principal, clientKey) {
      const key = keyPrefix === '' ? clientKey : fillKey(prefix, () => undefined, principal) + clientKey;
      if (key !== clientKey) checkKey(key);
      if (pattern !== undefined && !pattern.matches(key)) {
        throw new S3Error('AccessDenied', { detail: 'The key does not have the form that this bucket asks for.' });
      }
      return key;
    },
  };
}

function compile(text: string): Template {
  const template = parseTemplate(text);
  if (template === undefined) throw new TypeError(`${text} is no template`);
  return template;
}

/** In UTC, so that all proxies agree. */
function madeValues(now: Date, contentType: string | undefined): Readonly<Record<string, string>> {
  const [yyyy = '', mm = '', dd = ''] = now.toISOString().slice(0, 10).split('-');
  return {
    yyyy,
    mm,
    dd,
    uuid: randomUUID(),
    get ext() {
      // It answers '' with ''.
      const extension = loadTypes().getExtension(contentType ?? '') ?? '';
      return extension === '' ? '' : `.${extension}`;
    },
  };
}

/** Each claim stays within the segment that the template gives it, so that no two claims lead to one prefix. */
function fillKey(template: Template, made: (name: string) => string | undefined, principal: Principal): string {
  const filled = fillTemplate(template, (name) => made(name) ?? keyText(principal, name));
  if (filled.split('/').some(isDots)) throw unfit(template.names.join('}, {'), 'makes a . or .. segment');
  return filled;
}

function keyText(principal: Principal, name: string): string {
  const text = principalText(principal, name);
  if (text.includes('/') || control.test(text) || isDots(text)) throw unfit(name, 'is not fit for a key');
  return text;
}

const isDots = (segment: string): boolean => segment === '.' || segment === '..';
