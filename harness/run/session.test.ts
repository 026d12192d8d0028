import { expect, test } from 'vitest';
import type { Outcome } from '../core/outcome.ts';
import type { RequirementResult } from '../rpc/protocol.ts';
import { DEFAULT_OPTIONS, Session } from './session.ts';

const result = (id: string, outcome: Outcome, reason?: string): RequirementResult => ({
  id,
  candidate: 'references',
  outcome,
  ...(reason === undefined ? {} : { reason }),
  startedAt: '2026-01-01T00:00:00.000Z',
  durationMs: 1,
  evidence: [],
});

const row = (id: string) => ({ candidate: 'references', id });

function sessionOf(requirements: string[]): Session {
  return new Session({ ...DEFAULT_OPTIONS, requirements }, () => undefined);
}

test('what the harness could not evaluate, or never came to, is unevaluated; a verdict is not, whatever it is', () => {
  const session = sessionOf(['TR-01', 'TR-02', 'TR-03', 'TR-07']);
  session.results.push(result('TR-01', 'passed'), result('TR-02', 'failed'), result('TR-03', 'harness error'));
  expect(session.unevaluated).toEqual([row('TR-03'), row('TR-07')]);
  expect(session.rerun(session.unevaluated, 'anew').planned).toEqual([row('TR-03'), row('TR-07')]);
});

test('a second result takes the place of the first and says why that was none', () => {
  const session = sessionOf(['TR-01', 'TR-03', 'TR-07']);
  session.results.push(result('TR-01', 'passed'), result('TR-03', 'harness error', 'the machine stalled'));
  session.mergeRerun([result('TR-07', 'passed'), result('TR-03', 'failed', 'it never rotates')]);
  expect(session.results.map(({ id, outcome, disturbedBefore }) => ({ id, outcome, disturbedBefore }))).toEqual([
    { id: 'TR-01', outcome: 'passed', disturbedBefore: undefined },
    { id: 'TR-03', outcome: 'failed', disturbedBefore: 'the machine stalled' },
    { id: 'TR-07', outcome: 'passed', disturbedBefore: 'it was not executed' },
  ]);
});

test('what is red is in doubt where the machine stalled, unless a twin must fail it', () => {
  const session = sessionOf(['TR-01', 'TR-02', 'TR-03', 'TR-07']);
  const stalled = { doubt: 'while the machine stalled for 2.5 s' };
  session.results.push(
    { ...result('TR-01', 'passed'), ...stalled },
    { ...result('TR-02', 'failed', 'it is late'), ...stalled },
    result('TR-03', 'failed'),
    { ...result('TR-07', 'harness error'), ...stalled },
  );
  expect(session.suspect).toEqual([row('TR-02')]);
  session.mergeRerun([result('TR-02', 'passed')]);
  expect(session.results[1]).toMatchObject({
    outcome: 'passed',
    disturbedBefore: 'failed while the machine stalled for 2.5 s: it is late',
  });

  const twins = new Session({ ...DEFAULT_OPTIONS, mode: 'prove', twins: ['never-rotates'] }, () => undefined);
  const [mustFail = ''] = twins.catalogue.twins.find(({ name }) => name === 'never-rotates')?.mustFail ?? [];
  twins.results.push({ ...result(mustFail, 'failed'), ...stalled, candidate: 'never-rotates' });
  twins.results.push({ ...result('TR-22', 'failed'), ...stalled, candidate: 'never-rotates' });
  expect(twins.suspect).toEqual([{ candidate: 'never-rotates', id: 'TR-22' }]);
});

test('rows in doubt are evaluated again by observation, and show whether the first verdicts were wrong', () => {
  const session = sessionOf(['TR-20', 'TR-22', 'TR-01']);
  const stalled = { doubt: 'while the machine stalled for 2.5 s' };
  for (const id of ['TR-20', 'TR-22', 'TR-01']) {
    session.results.push({ ...result(id, 'failed'), ...stalled });
  }
  const observations = session.suspectByObservation;
  expect(observations.map((rows) => rows.map(({ id }) => id)).toSorted()).toEqual([['TR-01'], ['TR-20', 'TR-22']]);
  const client = observations.find((rows) => rows.length === 2) ?? [];
  expect(session.wasInDoubtForNothing(client)).toBe(false);
  session.mergeRerun([result('TR-20', 'failed'), result('TR-22', 'failed')]);
  expect(session.wasInDoubtForNothing(client)).toBe(false);
  session.mergeRerun([result('TR-22', 'passed')]);
  expect(session.wasInDoubtForNothing(client)).toBe(true);
});
