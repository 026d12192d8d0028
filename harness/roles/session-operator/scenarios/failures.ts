import type { RequirementContext } from '../../../rpc/context.ts';
import type { ApiFault } from '../../../rpc/target-access.ts';
import { type OperatorBench, patience, startHealthy, withSessionOperator } from '../launch.ts';
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
  const { record } = await withSessionOperator(t, { purpose: 'edge-failures' }, async (bench) => {
    const eventually = patience(bench, THROUGH_FAILURES_SECONDS);
    await startHealthy(bench);
    bench.edge.setFaults([
      { kind: 'too-many-requests', methods: ['POST'], of: ['records'], times: 2, seconds: 1 },
      { kind: 'server-error', methods: ['PUT'], of: ['tunnel'], times: 2 },
    ]);
    const session = await bench.begin('comes through failures');
    await eventually(() => bench.isComplete(session));
    bench.mark('made');
    bench.edge.setFaults([
      { kind: 'bad-gateway', methods: ['DELETE'], of: ['records'], times: 1 },
      { kind: 'too-many-requests', methods: ['PUT'], of: ['tunnel'], times: 1, seconds: 1 },
    ]);
    await endWhole(bench, session);
    await eventually(() => bench.isGone(session));

    // What it may still be doing would put off what comes now.
    await bench.watchFor(QUIET_SECONDS);
    bench.edge.setFaults([{ kind: 'latency', seconds: 0.7 }]);
    const short = await bench.begin(GOES_AT_ONCE);
    await endWhole(bench, short);
    await bench.watchFor(AFTERMATH_SECONDS);
    const amid = await bench.begin(GOES_AMID);
    await bench.until(() => !bench.isGone(amid), BEGUN_SECONDS);
    await endWhole(bench, amid);
    await bench.watchFor(AFTERMATH_SECONDS);
    const control = await bench.begin('control');
    await eventually(() => bench.isComplete(control) && bench.isGone(short) && bench.isGone(amid));
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

async function breakWatches(bench: OperatorBench): Promise<void> {
  const eventually = patience(bench, THROUGH_FAILURES_SECONDS);
  await startHealthy(bench);
  let latest = await bench.begin('before');
  await eventually(() => bench.isComplete(latest));
  const failures: [string, ApiFault][] = [
    ['the API server was away', { kind: 'outage', forSeconds: OUTAGE_SECONDS }],
    ['the watch expired', { kind: 'expired', forSeconds: OUTAGE_SECONDS }],
    ['the watch was cut', { kind: 'cut-watch', verbs: ['watch'], forSeconds: OUTAGE_SECONDS }],
  ];
  const ended: Session[] = [];
  for (const [label, fault] of failures) {
    bench.mark(label);
    await bench.access.setFaults([fault]);
    await endWhole(bench, latest);
    ended.push(latest);
    latest = await bench.begin(`came while ${label}`);
    await eventually(() => bench.isComplete(latest));
    await bench.access.setFaults([]);
  }
  await bench.until(() => ended.every((session) => bench.isGone(session)), EVENTUALLY_SECONDS);
  // What it may still be doing for the last one is another requirement's (SR-11).
  await bench.watchFor(QUIET_SECONDS);
  bench.mark('recovered');
  await endWhole(bench, latest);
  await bench.until(() => bench.isGone(latest), EVENTUALLY_SECONDS);
}

/** Ends a session with its claim, where it has one. */
async function endWhole(bench: OperatorBench, session: Session): Promise<void> {
  await bench.end(session);
  if (bench.target.sessions.claimLabels !== undefined) {
    await bench.endClaim(session);
  }
}
