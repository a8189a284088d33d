// Two questions that an engine could tell apart never share a remembered decision; and types that two lists allow are those
// that each allows.
import * as fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import type { Principal } from '../../src/auth/principal.ts';
import type { Question } from '../../src/authz/authorizer.ts';
import { mergeObligations } from '../../src/authz/merge-verdicts.ts';
import { createQuestionMaker } from '../../src/authz/openfga-question.ts';
import { createOpenFgaAuthorizer } from '../../src/authz/openfga.ts';
import { readDecision } from '../../src/authz/opa-decision.ts';
import { OpaFault, writeInput } from '../../src/authz/opa.ts';
import { isSameQuestion, writeQuestion } from '../../src/authz/question-text.ts';
import { UnfitQuestion } from '../../src/authz/render-template.ts';
import { createMediaTypeSet } from '../../src/policy/media-type.ts';
import { engineConfig, forAll } from '../support/openfga-engine.ts';

/** Few of them, and such as could run into each other: questions that differ in little are the dangerous ones. */
const word = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'b',
    'ab',
    '"',
    '\\',
    ',',
    '","',
    'null',
    '0',
    '1',
    '{}',
    '[]',
    'alice',
    '__proto__',
    'é',
    'e\u0301',
  ),
  fc.string({ maxLength: 3, unit: 'binary' }),
);
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    word,
    fc.constantFrom(null, true, false, 0, 1, -1, 1.5, 1e300),
    fc.array(tie('value'), { maxLength: 2 }),
    tie('object'),
  ),
  object: fc.dictionary(word, tie('value'), { maxKeys: 3 }),
}));
const principal: fc.Arbitrary<Principal> = fc.oneof(
  fc.constant<Principal>(Object.freeze({ kind: 'anonymous' })),
  fc.record({ kind: fc.constant('sigv4' as const), subject: word, accessKeyId: word, expiresAtMs: fc.nat() }),
  fc
    .record({
      subject: fc.option(word, { nil: undefined }),
      claims: json.object,
      expiresAtMs: fc.nat(),
    })
    .map((parts): Principal => Object.freeze({ kind: 'jwt', ...parts })),
);
const optional = fc.option(word, { nil: undefined });
const question: fc.Arbitrary<Question> = fc.record({
  principal,
  action: fc.constantFrom('upload', 'abort', 'list_parts'),
  resource: fc.record({ bucket: word, key: word, backendBucket: word }),
  context: fc.record({
    operation: word,
    method: word,
    clientIp: word,
    contentLength: fc.option(fc.constantFrom(0, 1, 10, 2 ** 53 - 1), { nil: undefined }),
    contentType: optional,
    userAgent: optional,
    uploadId: optional,
    partNumber: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    metadata: fc.dictionary(word, word, { maxKeys: 3 }),
  }),
});

/** What an engine is sent, less what makes no other question. */
function sentOf(asked: Question): unknown {
  const input = JSON.parse(writeInput(asked, new Date(0)) ?? '') as { context: Record<string, unknown> };
  const { upload_id: _id, part_number: _number, time: _time, ...context } = input.context;
  return { ...input, context };
}

/** One question, and one that is the same in all but some places. */
const pair = fc.tuple(question, question, fc.array(fc.nat(20), { maxLength: 12 })).map(([one, other, taken]) => {
  const places: ((from: Question, to: Question) => Question)[] = [
    (from, to) => ({ ...to, principal: from.principal }),
    (from, to) => ({ ...to, action: from.action }),
    ...(['bucket', 'key', 'backendBucket'] as const).map((name) => (from: Question, to: Question) => ({
      ...to,
      resource: { ...to.resource, [name]: from.resource[name] },
    })),
    ...(
      [
        'operation',
        'method',
        'clientIp',
        'contentLength',
        'contentType',
        'userAgent',
        'metadata',
        'uploadId',
        'partNumber',
      ] as const
    ).map((name) => (from: Question, to: Question) => ({
      ...to,
      context: { ...to.context, [name]: from.context[name] },
    })),
  ];
  const changed = taken.reduce((made, index) => places[index % places.length]?.(other, made) ?? made, one);
  return [one, changed] as const;
});

test('two questions share an entry just when an engine is sent the same of both', () => {
  fc.assert(
    fc.property(pair, ([one, other]) => {
      expect(writeQuestion(one) === writeQuestion(other)).toBe(isDeepStrictEqual(sentOf(one), sentOf(other)));
    }),
    { numRuns: 20_000 },
  );
});

test('two that look the same have one text, and those that only name another part do', () => {
  fc.assert(
    fc.property(pair, ([one, other]) => {
      if (isSameQuestion(one, other)) expect(writeQuestion(one)).toBe(writeQuestion(other));
      const { principal, resource, context } = one;
      const next = { ...one, resource: { ...resource }, context: { ...context, uploadId: 'other', partNumber: 7 } };
      expect(isSameQuestion(one, next)).toBe(Object.isFrozen(principal));
    }),
    { numRuns: 20_000 },
  );
});

test('and for OpenFGA just when it is asked the same, and none where it is not asked', async () => {
  const ids = {
    url: 'http://127.0.0.1:9',
    storeId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    modelId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
  };
  const config = engineConfig(ids, {
    relation: { upload: ['writer', 'can_{a}'], abort: ['writer'], list_parts: ['viewer'] },
    object: forAll(['bucket:{bucket}', 'folder:{bucket}/{key.ancestors}']),
    contextualTuples: [{ user: 'user:{sub}', relation: 'member', object: 'group:{b}' }],
  });
  const authorizer = createOpenFgaAuthorizer(config);
  const makeQuestion = createQuestionMaker(config);
  const askedOf = (one: Question): unknown => {
    try {
      return makeQuestion(one);
    } catch (error) {
      if (error instanceof UnfitQuestion) return undefined;
      throw error;
    }
  };
  let shared = 0;
  fc.assert(
    fc.property(pair, ([one, other]) => {
      const [text, otherText] = [authorizer.identify?.(one), authorizer.identify?.(other)];
      const [asked, otherAsked] = [askedOf(one), askedOf(other)];
      expect([text === undefined, otherText === undefined]).toEqual([asked === undefined, otherAsked === undefined]);
      if (text === undefined || otherText === undefined) return;
      expect(text === otherText).toBe(isDeepStrictEqual(asked, otherAsked));
      if (text === otherText && writeQuestion(one) !== writeQuestion(other)) shared++;
    }),
    { numRuns: 20_000 },
  );
  // Else it would all be about questions that are nobody's.
  expect(shared).toBeGreaterThan(100);
  await authorizer.close();
});

test('the order of names is no difference', () => {
  const reverse = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reverse);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([name, one]) => [name, reverse(one)]),
    );
  };
  fc.assert(
    fc.property(question, (one) => {
      const { principal: sender, context } = one;
      const other: Question = {
        ...one,
        principal:
          sender.kind === 'jwt' ? { ...sender, claims: reverse(sender.claims) as Record<string, unknown> } : sender,
        context: { ...context, metadata: reverse(context.metadata) as Record<string, string> },
      };
      expect(writeQuestion(other)).toBe(writeQuestion(one));
    }),
    { numRuns: 3000 },
  );
});

test('whatever OPA answers is a decision or a fault', () => {
  const result = fc.oneof(
    json.value,
    fc.record(
      {
        allow: fc.oneof(fc.boolean(), json.value),
        reason: fc.oneof(word, json.value),
        key_prefix: fc.oneof(word, json.value),
        max_object_size: fc.oneof(fc.nat(), fc.double(), json.value),
        allowed_content_types: fc.oneof(fc.array(fc.constantFrom('image/*', 'a/b', 'x')), json.value),
      },
      { requiredKeys: [] },
    ),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        result.map((value) => JSON.stringify({ result: value })),
      ),
      (text) => {
        let decision;
        try {
          decision = readDecision(text);
        } catch (error) {
          expect(error).toBeInstanceOf(OpaFault);
          return;
        }
        if (!decision.allow) return;
        const { result: said } = JSON.parse(text) as { result: true | { allow: true } };
        expect(said === true || said.allow).toBe(true);
      },
    ),
    { numRuns: 20_000 },
  );
});

test('a type is allowed by two lists together just when each allows it', () => {
  const names = fc.constantFrom('image', 'imagex', 'text');
  const type = fc.tuple(names, fc.constantFrom('a', 'b')).map((parts) => parts.join('/'));
  const pattern = fc.oneof(
    type,
    names.map((name) => `${name}/*`),
    fc.constant('*/*'),
    fc.constant('IMAGE/A'),
  );
  const list = fc.array(pattern, { maxLength: 4 });
  fc.assert(
    fc.property(list, list, type, (a, b, one) => {
      const both = mergeObligations({ allowedContentTypes: a }, { allowedContentTypes: b });
      const allows = (patterns: readonly string[]) => createMediaTypeSet(patterns).has(one);
      expect(allows(both?.allowedContentTypes ?? ['*/*'])).toBe(allows(a) && allows(b));
    }),
    { numRuns: 5000 },
  );
});
