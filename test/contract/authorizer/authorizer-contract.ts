// What every authorizer does, whichever engine it asks: one suite that each implementation runs against its real server.
//
// How to run it: `describeAuthorizer('OPA', startOpaUnderTest)` in a `*.test.ts` beside this file, where the start function
// brings up the real engine with rules by which exactly those may act who have a `Grant` for that action on that bucket
// (subject of the principal, action, name of the bucket as the client has it), and returns an EngineUnderTest. `create` makes
// the bare authorizer, without memory and circuit breaker, for the engine at any URL: the suite points it also at servers
// of its own that answer what no engine answers. `suspend` and `resume` stop the process and let it go on (SIGSTOP, SIGCONT);
// `restart` kills it and brings it up at the same port, with the grants that were set last.
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Action, Authorizer, Question } from '../../../src/authz/authorizer.ts';
import { S3Error } from '../../../src/errors.ts';
import { freePort } from '../../servers/free-port.ts';
import { anonymous, createQuestion, jwtPrincipal, sigv4Principal } from '../../support/questions.ts';
import { answerWith, startRecorder, type Recorder } from '../../support/recorder.ts';

export interface Grant {
  readonly subject: string;
  readonly action: Action;
  readonly bucket: string;
}

export interface EngineUnderTest {
  /** Of the real engine. */
  readonly url: string;
  /** Asks the engine there, for at most so long. */
  create(options: { readonly url: string; readonly timeoutMs: number }): Authorizer;
  /** Takes the place of all grants that were set before; in force when it resolves. */
  setGrants(grants: readonly Grant[]): Promise<void>;
  suspend(): void;
  resume(): void;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const actions: readonly Action[] = ['upload', 'abort', 'list_parts'];
const grants: readonly Grant[] = [
  ...actions.map((action) => ({ subject: 'alice', action, bucket: 'uploads' })),
  { subject: 'bob', action: 'upload', bucket: 'uploads' },
  { subject: 'carol', action: 'list_parts', bucket: 'uploads' },
  { subject: 'dave', action: 'abort', bucket: 'archive' },
];
/** Of an authorizer whose engine will not answer. */
const timeoutMs = 600;
/** Of one whose engine will, on a machine that has other work to do. */
const patientMs = 60_000;
/** Stands in every part of a question that can hold it. */
const secret = 'secretword';
const telling = createQuestion({
  principal: jwtPrincipal({ sub: secret, claim: secret }),
  resource: { bucket: secret, key: `${secret}/${secret}` },
  context: { userAgent: secret, metadata: { [secret]: secret } },
});

export function describeAuthorizer(name: string, start: () => Promise<EngineUnderTest>): void {
  describe(`${name} as an authorizer`, () => {
    let engine: EngineUnderTest;
    let authorizer: Authorizer;
    const made: Authorizer[] = [];
    const create = (url: string, options = { timeoutMs }): Authorizer => {
      const one = engine.create({ url, ...options });
      made.push(one);
      return one;
    };
    beforeAll(async () => {
      engine = await start();
      await engine.setGrants(grants);
      authorizer = create(engine.url, { timeoutMs: patientMs });
    }, 180_000);
    afterAll(async () => {
      await Promise.all(made.map((one) => one.close()));
      await engine.stop();
    });
    const isAllowed = async (question: Question): Promise<boolean> => (await authorizer.authorize(question)).allow;

    test('has a name that logs and metrics can take', () => {
      expect(authorizer.engine).toMatch(/^[a-z0-9_]+$/);
    });

    test.each(['alice', 'bob', 'carol', 'dave', 'nobody'])(
      '%s may do what is granted, and nothing else',
      async (subject) => {
        for (const action of actions) {
          for (const bucket of ['uploads', 'archive', 'other']) {
            const isGranted = grants.some(
              (one) => one.subject === subject && one.action === action && one.bucket === bucket,
            );
            for (const principal of [jwtPrincipal({ sub: subject }), sigv4Principal(subject)]) {
              const question = createQuestion({ principal, action, resource: { bucket } });
              expect([subject, action, bucket, await isAllowed(question)]).toEqual([
                subject,
                action,
                bucket,
                isGranted,
              ]);
            }
          }
        }
      },
    );

    test('nobody, and somebody without a name, may do nothing', async () => {
      expect(await isAllowed(createQuestion({ principal: anonymous }))).toBe(false);
      expect(await isAllowed(createQuestion({ principal: jwtPrincipal({ name: 'alice' }) }))).toBe(false);
      expect(await isAllowed(createQuestion({ principal: jwtPrincipal({ sub: '' }) }))).toBe(false);
    });

    test.each([
      'Alice',
      'alice ',
      ' alice',
      'alice\n',
      'alice\u0000',
      'alice#writer',
      'user:alice',
      'alice:bob',
      'alice"',
      '*',
      'alice*',
      'ａlice',
      'alice","sub":"alice',
      '\ud800',
      '__proto__',
      '{sub}',
      'x'.repeat(5000),
    ])('%j is not alice', async (subject) => {
      expect(await isAllowed(createQuestion({ principal: jwtPrincipal({ sub: subject }) }))).toBe(false);
      expect(await isAllowed(createQuestion({ principal: sigv4Principal(subject) }))).toBe(false);
    });

    test.each(['uploads ', 'uploads#upload', 'bucket:uploads', '*', 'Uploads'])('%j is not uploads', async (bucket) => {
      expect(await isAllowed(createQuestion({ resource: { bucket } }))).toBe(false);
    });

    test('whatever the key, the fields and the claims hold, the answer is the one that is granted', async () => {
      const hostile = [
        'a"b\\c',
        '\u2028\u2029',
        '\ud83e\udd88',
        'e\u0301',
        '%2F..%2f',
        '</script>',
        '\u0001\u001f\u007f',
      ];
      for (const text of hostile) {
        const question = createQuestion({
          principal: jwtPrincipal({ sub: 'bob', [text]: { [text]: [text, null, 1.5, true] }, ['__proto__']: 1 }),
          resource: { key: `${text}/${text}` },
          context: {
            contentType: text,
            userAgent: text,
            uploadId: text,
            metadata: { [text]: text, ['__proto__']: 'a' },
          },
        });
        expect(await isAllowed(question)).toBe(true);
        expect(await isAllowed({ ...question, action: 'abort' })).toBe(false);
      }
    });

    test('what is not known of a request is no hindrance', async () => {
      const context = { contentLength: undefined, contentType: undefined, userAgent: undefined };
      expect(await isAllowed(createQuestion({ context }))).toBe(true);
    });

    test('each of many questions at the same time has its own answer', async () => {
      const subjects = Array.from({ length: 400 }, (_, index) => (index % 3 === 0 ? 'alice' : `stranger-${index}`));
      const answers = await Promise.all(
        subjects.map((subject) => isAllowed(createQuestion({ principal: jwtPrincipal({ sub: subject }) }))),
      );
      expect(answers).toEqual(subjects.map((subject) => subject === 'alice'));
    });

    test('a change is seen by the next question', async () => {
      await engine.setGrants([{ subject: 'nobody', action: 'upload', bucket: 'uploads' }]);
      expect(await isAllowed(createQuestion())).toBe(false);
      expect(await isAllowed(createQuestion({ principal: jwtPrincipal({ sub: 'nobody' }) }))).toBe(true);
      await engine.setGrants(grants);
      expect(await isAllowed(createQuestion())).toBe(true);
    });

    test('is ready when the engine is', async () => {
      await expect(authorizer.checkReady(AbortSignal.timeout(5000))).resolves.toBeUndefined();
    });

    describe('where the engine', () => {
      test('is suspended, the answer is ServiceUnavailable in time, and right again afterwards', async () => {
        const hasty = create(engine.url);
        engine.suspend();
        try {
          await seeFailing(hasty);
          await expect(hasty.checkReady(AbortSignal.timeout(300))).rejects.toBeInstanceOf(Error);
        } finally {
          engine.resume();
        }
        const answer = (): Promise<unknown> => hasty.authorize(createQuestion()).catch(() => 'none yet');
        await expect.poll(answer, { timeout: 20_000 }).toEqual({ allow: true });
      });

      test('has been restarted, connections that were kept do no harm', async () => {
        await Promise.all(Array.from({ length: 5 }, () => isAllowed(createQuestion())));
        await engine.restart();
        expect(await isAllowed(createQuestion())).toBe(true);
      });

      test('is not there, the answer is ServiceUnavailable, and it is not ready', async () => {
        const nobody = create(`http://127.0.0.1:${await freePort()}`);
        await seeFailing(nobody);
        await expect(nobody.checkReady(AbortSignal.timeout(1000))).rejects.toBeInstanceOf(Error);
      });
    });

    describe('a server that is none', () => {
      let recorder: Recorder;
      let impostor: Authorizer;
      beforeEach(async () => {
        recorder = await startRecorder(answerWith(200, {}));
        impostor = create(recorder.endpoint);
      });
      afterEach(() => recorder.stop());

      const json = { 'content-type': 'application/json' };
      test.each<readonly [string, Parameters<typeof answerWith>]>([
        ['nothing', [200, json, '']],
        ['no JSON', [200, json, '<html>yes</html>']],
        ['half of some JSON', [200, json, '{"result": true, "allowed": true']],
        ['a list', [200, json, '[true]']],
        ['null', [200, json, 'null']],
        ['true alone', [200, json, 'true']],
        ['text', [200, json, '"allow"']],
        ['truths of another type', [200, json, '{"result":"true","allowed":"true"}']],
        ['ones for truths', [200, json, '{"result":1,"allowed":1}']],
        ['more than is sensible', [200, json, `{"allowed":true,"result":true,"x":"${'x'.repeat(8 * 1024 * 1024)}"}`]],
        ['400', [400, json, `{"code":"${secret}","message":"${secret}","allowed":true,"result":true}`]],
        ['401', [401, json, '{"allowed":true,"result":true}']],
        ['403', [403, json, '{"allowed":true,"result":true}']],
        ['404', [404, json, '{"allowed":true,"result":true}']],
        ['429', [429, { ...json, 'retry-after': '1800' }, '{"allowed":true,"result":true}']],
        ['500', [500, json, `{"allowed":true,"result":true,"message":"${secret}"}`]],
        ['503', [503, { ...json, 'retry-after': '1800' }, '{"allowed":true,"result":true}']],
        ['201', [201, json, '{"allowed":true,"result":true}']],
      ])('and answers %s allows nothing', async (_, answer) => {
        recorder.setAnswer(answerWith(...answer));
        await seeFailing(impostor);
      });

      test.each([301, 302, 303, 307, 308])('and redirects (%i) is not followed', async (status) => {
        const elsewhere = await startRecorder(answerWith(200, json, '{"allowed":true,"result":true}'));
        recorder.setAnswer(answerWith(status, { location: `${elsewhere.endpoint}/` }, ''));
        await seeFailing(impostor);
        expect(elsewhere.seen).toEqual([]);
        await elsewhere.stop();
      });

      test('and takes its time over the answer is not waited for', async () => {
        recorder.setAnswer((request, response) => {
          request.resume();
          response.writeHead(200, json);
          response.write('{');
          const timer = setInterval(() => response.write(' '), 20);
          response.on('close', () => clearInterval(timer));
        });
        await seeFailing(impostor);
      });

      test('and speaks no HTTP', async () => {
        recorder.setAnswer((request) => {
          request.socket.end('220 mail.example.com ESMTP\r\n');
        });
        await seeFailing(impostor);
      });

      test('and hangs up is asked twice, and no more', async () => {
        recorder.setAnswer((request) => {
          request.socket.destroy();
        });
        await seeFailing(impostor);
        expect(recorder.seen).toHaveLength(2);
      });

      test('and answers the right thing by chance is still not ready', async () => {
        recorder.setAnswer(answerWith(500, json, '{}'));
        await expect(impostor.checkReady(AbortSignal.timeout(1000))).rejects.toBeInstanceOf(Error);
      });
    });
  });
}

/** Sees that a question is answered ServiceUnavailable in bounded time, in words that tell nothing of it or of the engine. */
async function seeFailing(authorizer: Authorizer): Promise<void> {
  const startedAt = performance.now();
  const error: unknown = await authorizer.authorize(telling).then(
    (decision) => `decided: ${JSON.stringify(decision)}`,
    (reason: unknown) => reason,
  );
  expect(performance.now() - startedAt).toBeLessThan(timeoutMs + 5000);
  expect(error).toBeInstanceOf(S3Error);
  expect(error).toMatchObject({
    code: 'ServiceUnavailable',
    status: 503,
    message: new S3Error('ServiceUnavailable').message,
  });
  const { cause } = error as S3Error;
  expect(cause).toBeInstanceOf(Error);
  for (let one = cause; one instanceof Error; one = one.cause) {
    expect(inspect(one, { showHidden: true, depth: Infinity })).not.toContain(secret);
  }
}
