import { expect, test, vi } from 'vitest';
import { NotTestable, Violation } from '../core/errors.ts';
import { addUnlessRefused, conclude, groupFindings, type ProviderFinding, seeRefusals } from './refusal.ts';
import type { Reason } from './stated-reason.ts';
import type { TokenResponse } from './token-response.ts';
import { Unreachable } from './transport.ts';

const accepted: TokenResponse = { status: 200, headers: {}, text: '', body: {}, repeated: {}, accessToken: 'x' };
const refused = (status: number, errorDescription?: string): TokenResponse => ({
  status,
  headers: {},
  text: '',
  body: {},
  repeated: {},
  error: 'invalid_grant',
  ...(errorDescription === undefined ? {} : { errorDescription }),
});

/** A provider that gives these answers, one after the other, to controls and attempts alike. */
function series(...answers: TokenResponse[]) {
  const next = async (): Promise<TokenResponse> => answers.shift() ?? accepted;
  const attempt = (fault: string, reasons: Reason[] = ['audience']) => ({ fault, reasons, attempt: next });
  return { control: next, attempt };
}

test('a refusal between two accepted controls counts', async () => {
  const { control, attempt } = series(accepted, refused(400, 'Invalid token audience'), accepted);
  expect(await seeRefusals(control, [attempt('another audience')])).toEqual({
    seen: [
      {
        fault: 'another audience',
        status: 400,
        answer: '400 invalid_grant: Invalid token audience',
        reason: 'audience',
      },
    ],
    control: { status: 200, answer: '200 with an access token' },
  });
});

test('a provider that refuses everything proves nothing', async () => {
  const { control, attempt } = series(refused(400), refused(400), refused(400));
  const { seen, controlRefused } = await seeRefusals(control, [attempt('another audience')]);
  expect(seen).toEqual([]);
  expect(controlRefused).toMatch(/refused before any bad one was sent \(400 invalid_grant\)/);
});

test('a refusal whose second control is refused does not count', async () => {
  const { control, attempt } = series(accepted, refused(400), refused(503));
  const { seen, controlRefused } = await seeRefusals(control, [attempt('another audience'), attempt('no audience')]);
  expect(seen).toEqual([]);
  expect(controlRefused).toMatch(/just after one with another audience/);
});

test('a bad token that was accepted stays a violation when the next control is refused', async () => {
  const { control, attempt } = series(accepted, accepted, refused(400));
  const { seen, controlRefused } = await seeRefusals(control, [attempt('another audience')]);
  expect(seen[0]?.violation).toBe('accepted a token with another audience (200 with an access token)');
  expect(controlRefused).toBeDefined();
});

test.for<[TokenResponse, RegExp | undefined]>([
  [refused(400), undefined],
  [refused(401, 'Invalid client or Invalid client credentials'), undefined],
  [refused(400, 'Token is not active'), /for another reason/],
  [refused(500), /a refusal is 4xx/],
  [refused(302), /a refusal is 4xx/],
  [{ status: 200, headers: {}, text: '', body: {}, repeated: {} }, /accepted/],
  [{ ...refused(200) }, /^answered 200 invalid_grant .* a refusal is 4xx/],
  [{ unanswered: 'it ended the connection', headers: {}, text: '', body: {}, repeated: {} }, /gave no answer .*ended/],
  [refused(400, 'AADSTS700213: No record found. Please check Subject, Audience and Issuer.'), undefined],
  [{ ...refused(400), accessToken: 'x' }, /accepted/],
])('%o is evaluated', async ([answer, violation]) => {
  const { control, attempt } = series(accepted, answer, accepted);
  const { seen } = await seeRefusals(control, [attempt('another audience')]);
  if (violation === undefined) {
    expect(seen[0]?.violation).toBeUndefined();
  } else {
    expect(seen[0]?.violation).toMatch(violation);
  }
});

test('a provider that a bad token brings down stays a finding', async () => {
  const answers: (() => TokenResponse)[] = [
    () => accepted,
    () => ({ unanswered: 'it ended the connection', headers: {}, text: '', body: {}, repeated: {} }),
    () => {
      throw new Unreachable('https://idp.test/token cannot be reached (ECONNREFUSED)');
    },
  ];
  const next = async (): Promise<TokenResponse> => (answers.shift() ?? (() => accepted))();
  const { seen, controlRefused } = await seeRefusals(next, [
    { fault: 'a crit', reasons: ['signature'], attempt: next },
  ]);
  expect(seen[0]?.violation).toMatch(/gave no answer to a token with a crit/);
  expect(controlRefused).toMatch(/cannot be reached any more just after one with a crit/);
});

test('a limit of the rate is no refusal of a token', async () => {
  const { control, attempt } = series(accepted, refused(429), accepted);
  const { seen } = await seeRefusals(control, [attempt('another audience')]);
  expect(seen[0]).toMatchObject({ undecided: expect.stringMatching(/limits the rate .*429/) });
  expect(seen[0]?.violation).toBeUndefined();
});

test('a provider that does not answer bad tokens is not waited for again and again', async () => {
  const silent: TokenResponse = {
    unanswered: 'there was none within 30 s',
    headers: {},
    text: '',
    body: {},
    repeated: {},
  };
  let sent = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => sent * 30_000);
  const attempt = async (): Promise<TokenResponse> => {
    sent += 1;
    return silent;
  };
  const refusals = Array.from({ length: 9 }, (_, index) => ({ fault: `fault ${index}`, reasons: [], attempt }));
  const { seen, controlRefused, stopped } = await seeRefusals(async () => accepted, refusals);
  clock.mockRestore();
  expect([sent, seen.length]).toEqual([3, 3]);
  expect(seen.every(({ violation }) => violation !== undefined)).toBe(true);
  expect(controlRefused).toBeUndefined();
  expect(stopped).toBe('3 bad tokens were not answered for 90 s, and not all of the others were sent');
});

const timedOut: TokenResponse = {
  unanswered: 'none in time',
  timedOut: true,
  headers: {},
  text: '',
  body: {},
  repeated: {},
};
const cut: TokenResponse = { unanswered: 'it ended the connection', headers: {}, text: '', body: {}, repeated: {} };

test('an answer that does not come in time is told from one that is cut', async () => {
  const { control, attempt } = series(accepted, timedOut, accepted, cut, accepted);
  const { seen } = await seeRefusals(control, [attempt('another audience'), attempt('no audience')]);
  expect(seen.map(({ late }) => late)).toEqual([true, undefined]);
});

test.for<[TokenResponse[], boolean]>([
  [[timedOut], true],
  [[timedOut, timedOut], true],
  [[timedOut, cut], false],
  [[timedOut, accepted], false],
])('%# may be the machine where all of it is late: %o', ([responses, mayBeTheMachine]) => {
  const violations: ProviderFinding[] = [];
  for (const response of responses) {
    addUnlessRefused({ sent: 'a bad token', where: 'jwt-bearer' }, response, { violations, untestable: [] });
  }
  let thrown: unknown;
  try {
    conclude(violations, []);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(Violation);
  expect(thrown).toMatchObject({ mayBeTheMachine });
  expect(() => conclude([], violations)).toThrow(NotTestable);
});

test('what was never reached is no finding about the provider', async () => {
  const next = async (): Promise<TokenResponse> => {
    throw new Unreachable('https://idp.test/token cannot be reached (ECONNREFUSED)');
  };
  await expect(seeRefusals(next, [])).rejects.toThrow(Unreachable);
});

test('a token that a provider echoes is not kept', async () => {
  const echoed = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';
  const { control, attempt } = series(accepted, refused(400, `bad audience: ${echoed}`), accepted);
  const { seen } = await seeRefusals(control, [attempt('another audience')]);
  expect(seen[0]?.answer).toContain('SIGNATURE-CUT');
});

test('findings are grouped by what was found, with the first places by name', () => {
  const found = ['1', '2', '3', '4', '5'].map((where) => ({ finding: 'a', where }));
  expect(groupFindings([...found, { finding: 'b', where: '1' }])).toBe('a: 1; 2; 3; 2 more\nb: 1');
});
