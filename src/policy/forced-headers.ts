// Header fields that a bucket gives to every object, whatever the client sends.
import type { Principal } from '../auth/principal.ts';
import { RequestHeaders } from '../http.ts';
import { familyOf } from '../object-fields.ts';
import type { Operation } from '../routing/operation.ts';
import { fillTemplate, parseTemplate, type Template } from '../template.ts';
import { percentEncode } from '../uri/percent-encode.ts';
import { principalText, unfit } from './principal-text.ts';

/**
 * @returns the fields with the bucket's own in place of the client's, for encryption and for locks in place of all that the
 * client says of it; the same object where there is nothing to change.
 * @throws S3Error AccessDenied for a claim that is absent or not fit for a field's value.
 */
export type HeaderForcer = (
  operation: Operation['name'],
  headers: RequestHeaders,
  principal: Principal,
) => RequestHeaders;

interface ForcedField {
  readonly name: string;
  readonly template: Template;
}

/** Stated again on every call of a multipart upload (API reference of UploadPart and CompleteMultipartUpload). */
const isOnEveryCall = /^x-amz-(?:server-side-encryption-customer-.+|expected-bucket-owner)$/;

/** @throws TypeError for a value that is no template. */
export function createHeaderForcer(forced: Readonly<Record<string, string>>): HeaderForcer {
  const all = Object.entries(forced).map(([name, value]) => compile(name, value));
  const onEveryCall = all.filter(({ name }) => isOnEveryCall.test(name));
  // With the bucket's algorithm, the client's key would still be the client's choice.
  const families = new Set(all.flatMap(({ name }) => familyOf(name) ?? []));
  const replace = (headers: RequestHeaders, fields: readonly ForcedField[], principal: Principal): RequestHeaders => {
    if (fields.length === 0 && families.size === 0) return headers;
    const names = new Set(fields.map(({ name }) => name));
    const kept = [...headers].filter(([name]) => !names.has(name) && !families.has(familyOf(name) ?? ''));
    return new RequestHeaders([...kept.flat(), ...fields.flatMap((field) => [field.name, valueOf(field, principal)])]);
  };
  return (operation, headers, principal) => {
    switch (operation) {
      case 'PutObject':
      case 'CreateMultipartUpload':
        return replace(headers, all, principal);
      case 'UploadPart':
      case 'CompleteMultipartUpload':
      case 'ListParts':
        return replace(headers, onEveryCall, principal);
      default:
        return headers;
    }
  };
}

function compile(name: string, value: string): ForcedField {
  const template = parseTemplate(value);
  if (template === undefined) throw new TypeError(`${value} is no template`);
  return { name, template };
}

function valueOf({ name: field, template }: ForcedField, principal: Principal): string {
  return fillTemplate(template, (name) => {
    const text = principalText(principal, name);
    // A list of `key=value&key=value` (API reference of PutObject, x-amz-tagging): a claim must not add a tag of its own.
    if (field === 'x-amz-tagging') return percentEncode(text);
    if (!/^[!-~]+(?: +[!-~]+)*$/.test(text)) throw unfit(name, 'is not printable US-ASCII');
    // What divides the values and parameters of a field (RFC 9110, section 5.6): a claim must not add one.
    if (!field.startsWith('x-amz-meta-') && /[",;\\]/.test(text)) throw unfit(name, `is not fit for ${field}`);
    return text;
  });
}
