// What OpenFGA is asked about a request: templates filled in from the question, or a refusal without asking.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Principal } from '../../../src/auth/principal.ts';
import type { Action, Question } from '../../../src/authz/authorizer.ts';
import { createQuestionMaker, listChecks } from '../../../src/authz/openfga-question.ts';
import { ancestorsOf, encodeForId, findPartFault, findUserFault, textsOf } from '../../../src/authz/render-template.ts';
import type { OpenFgaTuple } from '../../../src/config/config.ts';
import { anonymous, createQuestion, jwtPrincipal, sigv4Principal } from '../../support/questions.ts';

const all = <T>(value: T): Readonly<Record<Action, T>> => ({ upload: value, abort: value, list_parts: value });

interface Templates {
  readonly user?: string;
  readonly relation?: readonly string[];
  readonly object?: readonly string[];
  readonly contextualTuples?: readonly OpenFgaTuple[];
}

const make = ({
  user = 'user:{sub}',
  relation = ['writer'],
  object = ['bucket:{bucket}'],
  contextualTuples = [],
}: Templates) =>
  createQuestionMaker({ user: all(user), relation: all(relation), object: all(object), contextualTuples });

const jwt = (claims: Readonly<Record<string, unknown>>, sub = 'alice'): Principal => jwtPrincipal({ ...claims, sub });
const questionOf = (principal: Principal, key = 'a/b/c.txt', action: Action = 'upload'): Question =>
  createQuestion({ principal, action, resource: { bucket: 'uploads', key, backendBucket: 'my-backend' } });

const unfit = (message: RegExp | string) =>
  expect.objectContaining({ name: 'UnfitQuestion', message: expect.stringMatching(message) });

describe('templates', () => {
  test('are filled in from the question', () => {
    const object = ['x:{bucket}/{backend_bucket}/{key}'];
    expect(make({ object })(questionOf(jwt({})))).toEqual({
      user: 'user:alice',
      relations: ['writer'],
      objects: ['x:uploads/my-backend/a/b/c.txt'],
      contextualTuples: [],
    });
  });

  test('are filled in from claims, by dotted path, with text and whole numbers', () => {
    const claims = { tenant: { id: 7 }, 'https://example.com/role': 'editor', zero: 0 };
    const made = make({
      user: 'employee:{tenant.id}/{sub}/{zero}',
      relation: ['can_{https://example.com/role}'],
    })(questionOf(jwt(claims)));
    expect(made).toMatchObject({ user: 'employee:7/alice/0', relations: ['can_editor'] });
  });

  test('are chosen by action', () => {
    const maker = createQuestionMaker({
      user: { upload: 'user:{sub}', abort: 'user:{sub}', list_parts: 'service:{sub}' },
      relation: { upload: ['writer'], abort: ['admin', 'writer'], list_parts: ['viewer'] },
      object: {
        upload: ['bucket:{bucket}'],
        abort: ['bucket:{bucket}'],
        list_parts: ['file:{key}', 'bucket:{bucket}'],
      },
      contextualTuples: [],
    });
    const checksOf = (action: Action) =>
      listChecks(maker(questionOf(jwt({}), 'k', action))).map(
        ({ user, relation, object }) => `${user} ${relation} ${object}`,
      );
    expect(checksOf('upload')).toEqual(['user:alice writer bucket:uploads']);
    expect(checksOf('abort')).toEqual(['user:alice admin bucket:uploads', 'user:alice writer bucket:uploads']);
    expect(checksOf('list_parts')).toEqual(['service:alice viewer file:k', 'service:alice viewer bucket:uploads']);
  });

  test('a signature’s subject and access key, and nothing of a token', () => {
    const principal = sigv4Principal('backup', 'AKIDBACKUP');
    expect(make({ user: 'key:{access_key_id}/{sub}' })(questionOf(principal)).user).toBe('key:AKIDBACKUP/backup');
    expect(() => make({ user: 'user:{email}' })(questionOf(principal))).toThrow(unfit('{email} is absent'));
  });

  test('nobody has no name, and can still be asked about where the template says who that is', () => {
    expect(() => make({})(questionOf(anonymous))).toThrow(unfit('{sub} is absent'));
    expect(make({ user: 'user:*' })(questionOf(anonymous)).user).toBe('user:*');
  });

  test('no claim stands in for what the question itself says', () => {
    const claims = {
      sub: 'root',
      bucket: 'vault',
      key: 'k',
      backend_bucket: 'b',
      access_key_id: 'AKIA',
      'key.ancestors': ['z'],
    };
    const maker = make({ user: 'user:{sub}', object: ['x:{bucket}/{backend_bucket}/{key}', 'folder:{key.ancestors}'] });
    expect(maker(questionOf(jwt(claims)))).toMatchObject({
      user: 'user:alice',
      objects: ['x:uploads/my-backend/a/b/c.txt', 'folder:a/b', 'folder:a'],
    });
    expect(() => make({ user: 'key:{access_key_id}' })(questionOf(jwt(claims)))).toThrow(unfit('is absent'));
    // A sub that is no text is no subject.
    expect(() => make({})(questionOf(jwtPrincipal({ sub: 7 })))).toThrow(unfit('absent'));
  });

  test('what is said of a refusal holds nothing of the sender’s', () => {
    for (const sub of ['secret value', 'secret:x', '', '*']) {
      expect(() => make({})(questionOf(jwt({}, sub)))).toThrow(unfit(/^\{sub\} (?!.*secret)/));
    }
  });

  test.each([
    'a:b',
    'group:dev#member',
    'a#b',
    '*',
    'a*',
    ' ',
    'a b',
    'a\tb',
    'a\n',
    'a\u00a0b',
    'a\u2028b',
    'a\u0000',
    'a\u007f',
    'a\u0085',
    '\ufeffa',
    '\ud800',
    'a\udc00',
    '',
    null,
    undefined,
    true,
    false,
    1.5,
    -0.5,
    2 ** 53,
    Infinity,
    NaN,
    {},
    { toString: () => 'a' },
    [],
    ['a'],
  ])('the claim %j is refused in every part', (claim) => {
    for (const templates of [{ user: 'user:{claim}' }, { relation: ['{claim}'] }, { object: ['bucket:{claim}'] }]) {
      expect(() => make(templates)(questionOf(jwt({ claim })))).toThrow(unfit(/^\{claim\} /));
    }
  });

  test('a claim with a slash stands alone, or it would be a neighbour’s beginning', () => {
    const asked = questionOf(jwt({ tenant: 'acme/a', team: '/press/de' }), 'b/x');
    expect(make({ object: ['team:{team}'] })(asked).objects).toEqual(['team:/press/de']);
    for (const templates of [
      { user: 'user:{tenant}/{sub}' },
      { relation: ['{sub}/{tenant}'] },
      { object: ['folder:{tenant}/{key.ancestors}'] },
      { object: ['file:{key}/{tenant}'] },
      { contextualTuples: [{ user: 'user:{sub}', relation: 'in', object: 'group:{sub}/{tenant}' }] },
    ]) {
      expect(() => make(templates)(asked)).toThrow(unfit(/^\{tenant\} holds a \//));
    }
  });

  test('an address with an @ names a user and an object, and no relation', () => {
    const at = questionOf(jwt({ mail: 'alice@example.com' }, 'auth0|alice@example.com'));
    expect(make({ object: ['home:{mail}'] })(at)).toMatchObject({
      user: 'user:auth0|alice@example.com',
      objects: ['home:alice@example.com'],
    });
    expect(() => make({ relation: ['{mail}'] })(at)).toThrow(unfit('the relation '));
  });

  test('what is too long for OpenFGA is refused by its bytes and characters', () => {
    const fill = (length: number, char = 'x') => char.repeat(length);
    expect(make({})(questionOf(jwt({}, fill(507)))).user).toHaveLength(512);
    expect(() => make({})(questionOf(jwt({}, fill(508))))).toThrow(unfit('the user is longer than 512 bytes'));
    expect(() => make({})(questionOf(jwt({}, fill(254, 'ä'))))).toThrow(unfit('the user is longer'));
    const relation = ['{r}'];
    expect(make({ relation })(questionOf(jwt({ r: fill(50) }))).relations).toEqual([fill(50)]);
    expect(() => make({ relation })(questionOf(jwt({ r: fill(51) })))).toThrow(unfit('the relation is longer than 50'));
    const object = ['f:{key}'];
    for (const char of ['x', 'ä', '😀']) {
      expect(make({ object })(questionOf(jwt({}), fill(254, char))).objects).toEqual([`f:${fill(254, char)}`]);
      expect(() => make({ object })(questionOf(jwt({}), fill(255, char)))).toThrow(
        unfit('the object is longer than 256'),
      );
    }
    // Eighty-five spaces become 255 characters.
    expect(() => make({ object })(questionOf(jwt({}), fill(85, ' ')))).toThrow(unfit('the object is longer than 256'));
  });
});

describe('folders of the key', () => {
  test.each([
    ['a/b/c.txt', ['a/b', 'a']],
    ['c.txt', []],
    ['/c.txt', []],
    ['//c', ['/']],
    ['a/', ['a']],
    ['a//b', ['a/', 'a']],
    ['a b/ü:/c', ['a%20b/ü%3A', 'a%20b']],
    ['100%/%2A/*', ['100%25/%252A', '100%25']],
  ])('of %j', (key, ancestors) => {
    expect(ancestorsOf(key)).toEqual(ancestors);
  });

  test('are asked about together, and a key in no folder is refused', () => {
    const maker = make({ relation: ['writer', 'member'], object: ['folder:{bucket}/{key.ancestors}'] });
    expect(listChecks(maker(questionOf(jwt({}))))).toEqual(
      ['writer', 'member'].flatMap((relation) =>
        ['folder:uploads/a/b', 'folder:uploads/a'].map((object) => ({ user: 'user:alice', relation, object })),
      ),
    );
    expect(() => maker(questionOf(jwt({}), 'top.txt'))).toThrow(unfit('in no folder'));
    const either = make({ object: ['folder:{key.ancestors}', 'bucket:{bucket}'] });
    expect(either(questionOf(jwt({}), 'top.txt')).objects).toEqual(['bucket:uploads']);
  });

  test('one that is too long for OpenFGA is nobody’s, and the others decide', () => {
    const maker = make({ object: ['file:{key}', 'folder:{key.ancestors}'] });
    expect(maker(questionOf(jwt({}), `a/${'x'.repeat(300)}/c`)).objects).toEqual(['folder:a']);
    expect(() => maker(questionOf(jwt({}), `${'x'.repeat(300)}/c`))).toThrow(unfit('the object is longer'));
  });

  test('are at most two hundred checks', () => {
    const maker = make({ object: ['folder:{key.ancestors}'] });
    expect(maker(questionOf(jwt({}), `${'a/'.repeat(125)}c`)).objects).toHaveLength(125);
    const wide = make({ relation: ['a', 'b'], object: ['folder:{key.ancestors}'] });
    expect(listChecks(wide(questionOf(jwt({}), `${'a/'.repeat(100)}c`)))).toHaveLength(200);
    expect(() => wide(questionOf(jwt({}), `${'a/'.repeat(101)}c`))).toThrow(unfit('too many folders'));
    expect(() => maker(questionOf(jwt({}), 'a/'.repeat(511)))).toThrow(unfit('too many'));
  });

  test('nothing is asked twice', () => {
    const maker = make({ relation: ['writer', 'writer'], object: ['bucket:{bucket}', 'bucket:uploads'] });
    expect(listChecks(maker(questionOf(jwt({}))))).toHaveLength(1);
  });
});

describe('a key within an object', () => {
  const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter((text) => text.isWellFormed());
  const pieces = fc
    .array(fc.constantFrom(' ', '%', '20', '%20', '2', '5', '*', ':', '#', '/', 'a', '\u00a0', '\u0001', 'ä'), {
      minLength: 1,
      maxLength: 6,
    })
    .map((parts) => parts.join(''));

  test('holds nothing that OpenFGA does not allow, and stays apart from every other key', () => {
    fc.assert(
      fc.property(fc.oneof(key, pieces), fc.oneof(key, pieces), (one, other) => {
        const encoded = encodeForId(one);
        expect(encoded).not.toMatch(/[\s\p{Cc}:#*]/u);
        expect(decodeURIComponent(encoded)).toBe(one);
        expect(encodeForId(other) === encoded).toBe(one === other);
      }),
      { numRuns: 3000 },
    );
  });

  test('its folders are the folders of the key, encoded', () => {
    fc.assert(
      fc.property(fc.oneof(key, pieces), (one) => {
        const folders = Array.from(one).flatMap((char, index, chars) =>
          char === '/' && index > 0 ? [encodeForId(chars.slice(0, index).join(''))] : [],
        );
        expect(ancestorsOf(one)).toEqual(folders.toReversed());
      }),
      { numRuns: 1000 },
    );
  });

  test('that is no Unicode is refused', () => {
    expect(() => make({ object: ['file:{key}'] })(questionOf(jwt({}), 'a\ud800'))).toThrow(unfit('not Unicode'));
  });
});

describe('contextual tuples', () => {
  const groups = { user: 'user:{sub}', relation: 'member', object: 'group:{groups}' };
  const tuplesOf = (
    contextualTuples: readonly OpenFgaTuple[],
    claims: Readonly<Record<string, unknown>>,
    key?: string,
  ) =>
    make({ contextualTuples })(questionOf(jwt(claims), key)).contextualTuples.map(
      ({ user, relation, object }) => `${user} ${relation} ${object}`,
    );

  test('one for each item of a list, one for a text, none for what is absent', () => {
    expect(tuplesOf([groups], { groups: ['dev', 'ops', 'dev', 7] })).toEqual([
      'user:alice member group:dev',
      'user:alice member group:ops',
      'user:alice member group:7',
    ]);
    expect(tuplesOf([groups], { groups: 'dev' })).toEqual(['user:alice member group:dev']);
    for (const claims of [{}, { groups: null }, { groups: [] }]) expect(tuplesOf([groups], claims)).toEqual([]);
  });

  test('the same item in all of a tuple, and every combination of two lists', () => {
    const same = { user: 'team:{groups}#member', relation: 'owner', object: 'group:{groups}' };
    expect(tuplesOf([same], { groups: ['a', 'b'] })).toEqual([
      'team:a#member owner group:a',
      'team:b#member owner group:b',
    ]);
    const two = { user: 'role:{roles}', relation: 'in', object: 'group:{groups}' };
    expect(tuplesOf([two], { groups: ['a', 'b'], roles: ['x', 'y'] })).toEqual([
      'role:x in group:a',
      'role:x in group:b',
      'role:y in group:a',
      'role:y in group:b',
    ]);
  });

  test('none is sent twice', () => {
    expect(tuplesOf([groups, groups], { groups: ['a', 'a'] })).toEqual(['user:alice member group:a']);
  });

  test('tie the folders of a key to their bucket', () => {
    const tie = { user: 'bucket:{bucket}', relation: 'bucket', object: 'folder:{bucket}/{key.ancestors}' };
    expect(tuplesOf([tie], {})).toEqual([
      'bucket:uploads bucket folder:uploads/a/b',
      'bucket:uploads bucket folder:uploads/a',
    ]);
    expect(tuplesOf([tie], {}, 'top')).toEqual([]);
  });

  test.each([[['a', 'b c']], [['a:b']], [['a', '*']], [['']], [[{}]], [[['a']]], [{}], [true], [[null]]])(
    'a claim of %j refuses the request: leaving one out could let it in',
    (claim) => {
      expect(() => tuplesOf([groups], { groups: claim })).toThrow(unfit(/^\{groups\} /));
    },
  );

  test('are at most a hundred', () => {
    const many = Array.from({ length: 101 }, (_, index) => index);
    expect(tuplesOf([groups], { groups: many.slice(0, 100) })).toHaveLength(100);
    expect(() => tuplesOf([groups], { groups: many })).toThrow(unfit('too many values'));
    const others = { ...groups, object: 'team:{teams}' };
    const halves = { groups: many.slice(0, 60), teams: many.slice(0, 60) };
    expect(() => tuplesOf([groups, others], halves)).toThrow(unfit('more than 100 contextual tuples'));
    // Half a million combinations are not made.
    const product = { user: 'role:{groups}', relation: 'in', object: 'group:{teams}' };
    expect(() => tuplesOf([product], { groups: many.slice(0, 60), teams: many.slice(0, 60) })).toThrow(
      unfit('too many'),
    );
  });

  test('what is too long refuses', () => {
    expect(() => tuplesOf([groups], { groups: ['x'.repeat(251)] })).toThrow(unfit('the object is longer'));
  });
});

describe('what is no template', () => {
  test.each([
    ['user', '{sub}'],
    ['user', 'user:'],
    ['user', '{type}:{sub}'],
    ['user', 'us@er:{sub}'],
    ['user', 'user:*{sub}'],
    ['user', 'user:{sub}*'],
    ['user', 'user:a b'],
    ['user', 'user:{sub}#'],
    ['user', 'user:{sub}#a#b'],
    ['user', 'user:a:{sub}'],
    ['user', 'user:{sub'],
    ['user', 'user:{}'],
    ['object', 'bucket:*'],
    ['object', 'bucket:{bucket}#x'],
    ['object', 'bucket'],
    ['object', 'bucket:'],
    ['object', ':{bucket}'],
    ['object', 'buc{x}ket:{bucket}'],
    ['object', 'a:b:{key}'],
    ['relation', ''],
    ['relation', 'a b'],
    ['relation', 'a:b'],
    ['relation', 'a@b'],
    ['relation', 'can_{key.ancestors}'],
  ] as const)('%s %j', (part, text) => {
    expect(findPartFault(part, text)).toMatch(/^must /);
    const templates = part === 'user' ? { user: text } : { [part]: [text] };
    expect(() => make(templates)).toThrow(TypeError);
  });

  test('a user of several folders', () => {
    expect(() => make({ user: 'folder:{key.ancestors}' })).toThrow(TypeError);
  });

  test.each([
    ['user', 'user:{sub}'],
    ['user', 'user:*'],
    ['user', 'app.user/v1:{sub}'],
    ['user', 'group:{tenant.id}#is.member'],
    ['object', 'folder:{bucket}/{key.ancestors}'],
    ['object', 'system:1'],
    ['relation', 'can_{role}'],
  ] as const)('%s %j is one', (part, text) => {
    expect(findPartFault(part, text)).toBeUndefined();
  });
});

test('the type of a user or an object is written out, and who is asked about is one', () => {
  for (const part of ['user', 'object'] as const)
    expect(findPartFault(part, '{sub}:a')).toBe('must have its type in plain text');
  expect(findUserFault('user:{sub}')).toBeUndefined();
  expect(findUserFault('{sub}')).toMatch(/^must be type:id/);
  expect(findUserFault('user:{key.ancestors}')).toBe('must not hold {key.ancestors}');
});

test('no claim stands in for the key', () => {
  const question = createQuestion({
    principal: jwtPrincipal({ sub: 'alice', key: 'theirs' }),
    resource: { key: 'a b/c' },
  });
  expect(textsOf(question, 'key')).toEqual(['a%20b/c']);
});
