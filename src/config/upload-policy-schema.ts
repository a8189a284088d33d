// The shape of what a bucket asks of uploads and of who sends them: the keys of its upload block, and its access block.
import { z } from 'zod';
import { isMediaTypePattern } from '../media-type-pattern.ts';
import { isCommand, isFieldPattern } from '../object-fields.ts';
import { findAddressRangeFault } from './find-address-range-fault.ts';
import { findPatternFault } from './find-pattern-fault.ts';
import { findFieldTemplateFault, findKeyPrefixFault, findKeyTemplateFault } from './find-template-fault.ts';
import { flag, size, textWithout } from './scalars.ts';

const TiB = 1024 ** 4;

/** Text that `find` sees no fault in, or none. */
const optionalText = (find: (value: string) => string | undefined) =>
  z.string().superRefine((value, context) => {
    const message = value === '' ? undefined : find(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

const contentType = textWithout((pattern) =>
  isMediaTypePattern(pattern) ? undefined : 'must be a content type such as image/png or image/*',
);

// RFC 9110, section 5.6.2.
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const metadataName = textWithout((name) => {
  if (/^x-amz-meta-/i.test(name)) return 'must be the name without x-amz-meta-';
  return token.test(name) ? undefined : 'must be a header name';
});

const refusedHeader = textWithout((pattern) =>
  isFieldPattern(pattern.toLowerCase())
    ? undefined
    : 'must be the name of a header that goes to the backend, or the beginning of one and *',
);

/**
 * Fields of an object that go to the backend as they are. Not those that say something of the request, of its body or of
 * what is there already: the client alone knows them.
 */
const forcible =
  /^(?:content-(?:type|encoding|disposition|language)|cache-control|expires|x-amz-(?:storage-class|tagging|expected-bucket-owner|server-side-encryption(?:-[a-z0-9-]+)?|object-lock-[a-z0-9-]+))$/;

function findFieldNameFault(name: string): string | undefined {
  const lower = name.toLowerCase();
  if (isCommand(lower)) return 'would have the backend do more than store';
  const isMetadata = lower.startsWith('x-amz-meta-') && lower !== 'x-amz-meta-' && token.test(name);
  return isMetadata || forcible.test(lower) ? undefined : 'is not a header that can be forced';
}

const forcedHeaders = z.record(z.string(), textWithout(findFieldTemplateFault)).superRefine((fields, context) => {
  const seen = new Set<string>();
  for (const name of Object.keys(fields)) {
    const lower = name.toLowerCase();
    const message = findFieldNameFault(name) ?? (seen.has(lower) ? 'is given twice' : undefined);
    seen.add(lower);
    if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message });
  }
});

/** Keys of the upload block. */
export const uploadPolicyKeys = {
  min_object_size: size(0, 5 * TiB).prefault(0),
  allowed_content_types: z.array(contentType).prefault([]),
  sniff_content_type: flag().prefault(false),
  overwrite: z.enum(['allow', 'deny']).prefault('allow'),
  key_prefix: optionalText(findKeyPrefixFault).prefault(''),
  key_pattern: optionalText(findPatternFault).prefault(''),
  key_template: optionalText(findKeyTemplateFault).prefault(''),
  required_metadata: z.array(metadataName).prefault([]),
  refused_headers: z.array(refusedHeader).prefault([]),
  forced_headers: forcedHeaders.prefault({}),
  bind_multipart_to_creator: flag().prefault(false),
};

const addresses = () => z.array(textWithout(findAddressRangeFault)).prefault([]);

export const access = z.strictObject({ allow_ips: addresses(), deny_ips: addresses() });
