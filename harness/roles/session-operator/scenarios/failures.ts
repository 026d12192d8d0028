import type { RequirementContext } from '../../../rpc/context.ts';
import type { ApiFault } from '../../../rpc/target-access.ts';
import { type OperatorFixture, patience, startHealthy, withSessionOperator } from '../launch.ts';
import { type OperatorRecord, type Session, summarise } from '../record.ts';
import { EVENTUALLY_SECONDS } from './sessions.ts';

/** A few failures cost a few pauses, which grow. */
const THROUGH_FAILURES_SECONDS = 45;
const AFTERMATH_SECONDS = 3;
const OUTAGE_SECONDS = 4;
const QUIET_SECONDS = 1;
/** Until something of a session is there. */
const BEGUN_SECONDS = 5;

/** Sessions that go before they are complete. */
export const GOES_AT_ONCE = 'goes as soon as it has come';
export const GOES_AMID = 'goes while it is being made';

/**
 * The DNS and tunnel API limits, fails and is slow: a session comes and goes meanwhile, one goes as soon as it has
 * come, and one as soon as something of it is there.
 */
export async function observeEdgeFailures(t: RequirementContext): Promise<OperatorRecord> {
  const { record } = await withSessionOperator(t, { purpose: 'edge-failures' }, async (fixture) => {
    const eventually = patience(fixture, THROUGH_FAILURES_SECONDS);
    await startHealthy(fixture);
    fixture.edge.setFaults([
      { kind: 'too-many-requests', methods: ['POST'], of: ['records'], times: 2, seconds: 1 },
      { kind: 'server-error', methods: ['PUT'], of: ['tunnel'], times: 2 },
    ]);
    const session = await fixture.begin('comes through failures');
    await eventually(() => fixture.isComplete(session));
    fixture.mark('made');
    fixture.edge.setFaults([
      { kind: 'bad-gateway', methods: ['DELETE'], of: ['records'], times: 1 },
      { kind: 'too-many-requests', methods: ['PUT'], of: ['tunnel'], times: 1, seconds: 1 },
    ]);
    await endWhole(fixture, session);
    await eventually(() => fixture.isGone(session));

    // What it may still be doing would put off what comes now.
    await fixture.watchFor(QUIET_SECONDS);
    fixture.edge.setFaults([{ kind: 'latency', seconds: 0.7 }]);
    const short = await fixture.begin(GOES_AT_ONCE);
    await endWhole(fixture, short);
    await fixture.watchFor(AFTERMATH_SECONDS);
    const amid = await fixture.begin(GOES_AMID);
    await fixture.until(() => !fixture.isGone(amid), BEGUN_SECONDS);
    await endWhole(fixture, amid);
    await fixture.watchFor(AFTERMATH_SECONDS);
    const control = await fixture.begin('control');
    await eventually(() => fixture.isComplete(control) && fixture.isGone(short) && fixture.isGone(amid));
    // What is made of a session that is over may come later than what ended it.
    await fixture.watchFor(AFTERMATH_SECONDS);
  });
  t.evidence('failures of the edge', summarise(record));
  return record;
}

/**
 * The watch breaks off, expires and ends: each time one session goes and another one comes meanwhile. In the end one
 * goes while all is well.
 */
export function observeWatchFailures(t: RequirementContext): Promise<OperatorRecord> {
  return t.shared('session operator: failures of the watch', async () => {
    const { record } = await withSessionOperator(t, { purpose: 'watch-failures' }, breakWatches);
    t.evidence('failures of the watch', summarise(record));
    return record;
  });
}

async function breakWatches(fixture: OperatorFixture): Promise<void> {
  const eventually = patience(fixture, THROUGH_FAILURES_SECONDS);
  await startHealthy(fixture);
  let latest = await fixture.begin('before');
  await eventually(() => fixture.isComplete(latest));
  const failures: [string, ApiFault][] = [
    ['the API server was away', { kind: 'outage', forSeconds: OUTAGE_SECONDS }],
    ['the watch expired', { kind: 'expired', forSeconds: OUTAGE_SECONDS }],
    ['the watch was cut', { kind: 'cut-watch', verbs: ['watch'], forSeconds: OUTAGE_SECONDS }],
  ];
  const ended: Session[] = [];
  for (const [label, fault] of failures) {
    fixture.mark(label);
    await fixture.access.setFaults([fault]);
    await endWhole(fixture, latest);
    ended.push(latest);
    latest = await fixture.begin(`came while ${label}`);
    await eventually(() => fixture.isComplete(latest));
    await fixture.access.setFaults([]);
  }
  await fixture.until(() => ended.every((session) => fixture.isGone(session)), EVENTUALLY_SECONDS);
  // What it may still be doing for the last one is another requirement's (SR-11).
  await fixture.watchFor(QUIET_SECONDS);
  fixture.mark('recovered');
  await endWhole(fixture, latest);
  await fixture.until(() => fixture.isGone(latest), EVENTUALLY_SECONDS);
  await fixture.watchFor(AFTERMATH_SECONDS);
}

/** Ends a session with its claim, where it has one. */
async function endWhole(fixture: OperatorFixture, session: Session): Promise<void> {
  await fixture.end(session);
  if (fixture.target.sessions.claimLabels !== undefined) {
    await fixture.endClaim(session);
  }
}
