import { expect, test } from 'vitest';
import type { TokenResponse } from './exchange.ts';
import { groupFindings, type Reason, seeRefusals, statedReasons } from './refusal.ts';

const accepted: TokenResponse = { status: 200, headers: {}, text: '', body: {}, accessToken: 'x' };
const refused = (status: number, errorDescription?: string): TokenResponse => ({
  status,
  headers: {},
  text: '',
  body: {},
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
        reason: ['audience'],
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
  [{ status: 200, headers: {}, text: '', body: {} }, /accepted/],
  [{ ...refused(400), accessToken: 'x' }, /accepted/],
])('%o is judged', async ([answer, violation]) => {
  const { control, attempt } = series(accepted, answer, accepted);
  const { seen } = await seeRefusals(control, [attempt('another audience')]);
  if (violation === undefined) expect(seen[0]?.violation).toBeUndefined();
  else expect(seen[0]?.violation).toMatch(violation);
});

test('a token that a provider echoes is not kept', async () => {
  const echoed = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';
  const { control, attempt } = series(accepted, refused(400, `bad audience: ${echoed}`), accepted);
  const { seen } = await seeRefusals(control, [attempt('another audience')]);
  expect(seen[0]?.answer).toContain('SIGNATURE-CUT');
});

test.for<[string, Reason[]]>([
  ['Invalid token audience', ['audience']],
  ['Multiple audiences not allowed', ['audience']],
  ['No Identity Provider for provided issuer', ['issuer']],
  ['Missing claim: iss', ['issuer']],
  ['Invalid signature', ['signature']],
  ['Invalid signature algorithm', ['signature']],
  ['Token is not active', ['time']],
  ['Token exp claim is required', ['time']],
  ['Token was issued in the future', ['time']],
  ['Token was issued too far in the past to be used now', ['time']],
  ['Token reuse detected', ['reuse']],
  ['User not found', ['subject']],
  ['Invalid client or Invalid client credentials', []],
  ['Invalid token type, must be access token', []],
  ['invalid token', []],
])('"%s" states %o', ([text, reasons]) => {
  expect(statedReasons(text)).toEqual(reasons);
});

test('findings are grouped by what was found, and say where, the first places by name', () => {
  const found = ['1', '2', '3', '4', '5'].map((where) => ({ finding: 'a', where }));
  expect(groupFindings([...found, { finding: 'b', where: '1' }])).toBe('a: 1; 2; 3; 2 more\nb: 1');
});
