/**
 * The scenarios and their checks on the reference and on a few twins, in this process: an API server without a cluster,
 * and no engine.
 */
import { expect, test } from 'vitest';
import { type Finding, textOf } from '../../harness/core/findings.ts';
import type { OperatorRecord } from '../../harness/roles/session-operator/record.ts';
import { observeCrowd } from '../../harness/roles/session-operator/scenarios/crowd.ts';
import {
  GOES_AMID,
  observeEdgeFailures,
  observeWatchFailures,
} from '../../harness/roles/session-operator/scenarios/failures.ts';
import { observeRestarts } from '../../harness/roles/session-operator/scenarios/restarts.ts';
import { observeSessions } from '../../harness/roles/session-operator/scenarios/sessions.ts';
import { observeStarts } from '../../harness/roles/session-operator/scenarios/starts.ts';
import type { Candidate } from '../../harness/rpc/candidate.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { loadTarget } from '../../harness/targets/load.ts';
import { inProcess, REFERENCES, twinCandidate } from './in-process.ts';
import * as checks from './session-operator.checks.ts';
import * as restarts from './session-operator-restarts.checks.ts';

type Observe<R extends OperatorRecord> = (t: RequirementContext) => Promise<R>;
type Check<R extends OperatorRecord> = (record: R) => Finding[];

const SESSIONS = {
  'SR-01': checks.makesWhatIsDocumented,
  'SR-02': checks.removesWhatItMade,
  'SR-03': checks.leavesTheTunnelAsItWas,
  'SR-03a': checks.isNotShadowed,
  'SR-04': checks.guardsTheSession,
  'SR-05': checks.staysAtTheFirstLevel,
  'SR-06': checks.ignoresWhatIsNoSession,
  'SR-10': restarts.leavesForeignRecordsAlone,
};
const RESTARTS = {
  'SR-07': checks.repeatsNothing,
  'SR-09': restarts.makesUpAtItsStart,
  'SR-09a': restarts.removesOrphansAtItsStart,
  'SR-12 end': restarts.endsInPeace,
};

/** The names of the checks that find something, and what they find. */
async function findings<R extends OperatorRecord>(
  candidate: Candidate,
  observe: Observe<R>,
  all: Record<string, Check<R>>,
): Promise<Record<string, string[]>> {
  const record = await inProcess(candidate, observe);
  const found = Object.entries(all).map(([id, evaluate]) => [id, evaluate(record).map(textOf)] as const);
  return Object.fromEntries(found.filter(([, texts]) => texts.length > 0));
}

/** The longest scenario takes 85 s, and twice as long beside others: only what hangs is ended. */
const IN_TIME = { timeout: 240_000 };

// What waits longest begins first.
test.concurrent('the twin finishes-what-is-over fails SR-11', IN_TIME, async () => {
  const found = await findings(twinCandidate('finishes-what-is-over'), observeEdgeFailures, {
    'SR-11': restarts.getsOverFailures,
  });
  expect(found['SR-11']?.join()).toContain(`${GOES_AMID} is left`);
});

test.concurrent('the twin writes-an-old-tunnel fails SR-08, though all was right for a moment', IN_TIME, async () => {
  const found = await findings(twinCandidate('writes-an-old-tunnel'), observeCrowd, { 'SR-08': checks.losesNothing });
  expect(Object.keys(found)).toEqual(['SR-08']);
});

test.concurrent('the reference passes in a crowd, and through failures', IN_TIME, async () => {
  expect(await findings(REFERENCES, observeCrowd, { 'SR-08': checks.losesNothing })).toEqual({});
  expect(await findings(REFERENCES, observeEdgeFailures, { 'SR-11': restarts.getsOverFailures })).toEqual({});
  expect(
    await findings(REFERENCES, observeWatchFailures, {
      'SR-13': restarts.recoversItsWatch,
      'SR-13a': restarts.catchesUpWithWhatWent,
    }),
  ).toEqual({});
});

test.concurrent('the reference passes', IN_TIME, async () => {
  expect(await findings(REFERENCES, observeSessions, { ...SESSIONS, 'SR-01a': checks.makesItSoon })).toEqual({});
  expect(await findings(REFERENCES, observeRestarts, RESTARTS)).toEqual({});
  expect(await findings(REFERENCES, observeStarts, { 'SR-12 start': restarts.startsHonestly })).toEqual({});
});

test.concurrent.each([
  ['wipes-other-keys', ['SR-03']],
  ['bypasses-the-ingress', ['SR-01', 'SR-04']],
  ['deletes-by-name', ['SR-10']],
  ['watches-all-namespaces', ['SR-06']],
])('the twin %s fails %j', IN_TIME, async (name, ids) => {
  expect(Object.keys(await findings(twinCandidate(name), observeSessions, SESSIONS))).toEqual(ids);
});

const OPENCODE = '../../fixtures/targets/session-operators/opencode-cloudflare-operator/';

test.concurrent.each(['target.yaml', 'claim.yaml'])(
  'the target file %s fits its stand-in, which leads past the ingress as documented',
  IN_TIME,
  async (file) => {
    const program = `${OPENCODE}stand-in/${file === 'claim.yaml' ? 'claim' : 'main'}.ts`;
    const main = new URL(program, import.meta.url).pathname;
    const target = loadTarget(new URL(`${OPENCODE}${file}`, import.meta.url).pathname, { main });
    const candidate: Candidate = { kind: 'targets', name: target.name, planned: [], targets: [target] };
    expect(Object.keys(await findings(candidate, observeSessions, SESSIONS))).toEqual(['SR-04']);
    expect(await findings(candidate, observeRestarts, RESTARTS)).toEqual({});
  },
);
