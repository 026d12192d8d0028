import { expect, test, vi } from 'vitest';
import type { EmbeddedTwin } from '../../harness/environment/identity-provider/embedded/twin.ts';
import { applicable, type Bodies, type Setting } from '../../harness/environment/identity-provider/in-process.ts';
import { expensive, testInProcess } from '../../harness/environment/identity-provider/in-process-suite.ts';

/** The bodies of the identity provider's requirements, taken from the suite itself. */
const bodies = vi.hoisted((): Bodies => new Map());
vi.mock('../../harness/run/worker/requirement.ts', () => ({
  requirement: (id: string, body: Parameters<Bodies['set']>[1]) => bodies.set(id, body),
}));
await import('./identity-provider.test.ts');

const evaluate = testInProcess(bodies, { shownBy: { 'grant-switched-off': [0, 2] } });

test('opaque access tokens are told apart and kept apart by introspection', async () => {
  const only = ['TX-10', 'TX-12', 'TX-18', 'TX-19', 'TX-20'];
  expect(await evaluate({ kind: 'embedded', opaqueAccessTokens: true }, { declarations: [0], only })).toEqual({});
});

test("without the cluster's key the same token is used over its own life", async () => {
  const setting: Setting = { declarations: [0], forge: false, waited: [], leftOut: expensive };
  expect(await evaluate({ kind: 'embedded' }, setting)).toEqual({});
  expect(setting.waited).toHaveLength(6);
});

/** Changes what the token endpoint answers, and nothing else. */
const answering = (change: (body: Record<string, unknown>, status: number) => unknown): EmbeddedTwin => ({
  behaviour: {
    finish(ctx) {
      ctx.body = change(ctx.body as Record<string, unknown>, ctx.status);
    },
  },
});

const with200 = (members: Record<string, unknown>): EmbeddedTwin =>
  answering((body, status) => (status === 200 ? { ...body, ...members } : body));

test.for<[string, EmbeddedTwin, string[], RegExp | undefined]>([
  ['token_type in another case', with200({ token_type: 'bEARER' }), [], undefined],
  ['scope as an array', with200({ scope: ['openid'] }), ['TX-12a'], /TX-12a: answers scope as an array/],
  ['expires_in as a string', with200({ expires_in: '60' }), ['TX-12a'], /TX-12a: answers expires_in as a string/],
  [
    'a day in expires_in, as a string',
    with200({ expires_in: '86400' }),
    ['TX-12a', 'TX-19'],
    /TX-19: issues access tokens that outlive the subject token by 86\d+ s/,
  ],
  ['token_type as a number', with200({ token_type: 1 }), ['TX-12', 'TX-12a'], /TX-12: answers without token_type/],
  [
    'scope twice, one of them foreign',
    answering((body, status) =>
      status === 200 ? `${JSON.stringify(body).slice(0, -1)},"scope":"openid cluster-admin","scope":"openid"}` : body,
    ),
    ['TX-12a', 'TX-20'],
    /TX-12a: answers with (Content-Type|scope more than once)/,
  ],
  [
    'an error with 200',
    {
      behaviour: {
        finish(ctx) {
          ctx.status = 200;
        },
      },
    },
    ['TX-13', 'TX-20'],
    /TX-13: answers garbage with 200 invalid_grant/,
  ],
  [
    'an HTML page for an error',
    answering((body, status) => (status === 200 ? body : '<html><body>Bad Request</body></html>')),
    ['TX-13a'],
    /TX-13a: answers garbage with 400 with an HTML page/,
  ],
])('an answer with %s: a finding of its own, and the rest is evaluated', async ([, twin, red, reason]) => {
  const reasons: string[] = [];
  const only = ['TX-10', 'TX-12', 'TX-12a', 'TX-13', 'TX-13a', 'TX-14', 'TX-19', 'TX-20'];
  const foreign = twin.behaviour?.finish === undefined ? {} : { ungranted: () => [] };
  const started =
    red.includes('TX-20') && red.includes('TX-12a') ? { ...twin, behaviour: { ...twin.behaviour, ...foreign } } : twin;
  const outcomes = await evaluate({ kind: 'embedded', twin: started }, { declarations: [0], only, reasons });
  expect(Object.keys(outcomes), reasons.join('\n')).toEqual(red);
  expect(new Set(Object.values(outcomes))).toEqual(new Set(red.length === 0 ? [] : ['failed']));
  if (reason !== undefined) {
    expect(reasons.join('\n')).toMatch(reason);
  }
});

test('an empty 200 in place of a token fails TX-10, and proves nothing elsewhere', async () => {
  const reasons: string[] = [];
  const empty = answering((body, status) => (status === 200 ? '' : body));
  const only = ['TX-10', 'TX-12', 'TX-13', 'TX-20'];
  const outcomes = await evaluate({ kind: 'embedded', twin: empty }, { declarations: [0], only, reasons });
  expect(outcomes).toEqual({
    'TX-10': 'failed',
    'TX-12': 'not testable',
    'TX-13': 'not testable',
    'TX-20': 'not testable',
  });
  expect(reasons.join('\n')).toMatch(/a good token brings no access token \(200 with an empty body\)/);
});

test.for<[string, EmbeddedTwin, Record<string, string>]>([
  [
    'every bad token with an access token',
    {
      behaviour: {
        finish(ctx) {
          if (ctx.status !== 200) {
            ctx.status = 200;
            ctx.body = { access_token: 'x', token_type: 'Bearer', expires_in: 12 };
          }
        },
      },
    },
    { 'TX-13': 'failed', 'TX-13a': 'failed', 'TX-14': 'not testable', 'TX-20': 'failed' },
  ],
  [
    'every bad token with a limit of requests',
    {
      behaviour: {
        finish(ctx) {
          ctx.status = ctx.status === 200 ? 200 : 429;
        },
      },
    },
    {
      'TX-13': 'not testable',
      'TX-13a': 'not testable',
      'TX-16': 'not testable',
      'TX-17': 'not testable',
      'TX-20': 'not testable',
    },
  ],
])('a provider that answers %s shows nothing of its refusals', async ([, twin, expected]) => {
  const only = ['TX-10', ...Object.keys(expected)];
  expect(await evaluate({ kind: 'embedded', twin }, { declarations: [0], only })).toEqual(expected);
});

test('where a good token is refused, a refusal proves nothing: not testable, neither green nor a fault of its own', async () => {
  const { 'TX-10': exchanged, ...others } = await evaluate(
    { kind: 'embedded', variant: 'grant-switched-off' },
    { declarations: [2] },
  );
  expect(exchanged).toBe('failed');
  expect(new Set(Object.values(applicable(others)))).toEqual(new Set(['not testable']));
  expect(Object.keys(others)).toHaveLength(bodies.size - 1);
});
