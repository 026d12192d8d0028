import type { RequirementContext } from '../../../rpc/context.ts';
import { type OperatorBench, startHealthy, withSessionOperator } from '../launch.ts';
import { type OperatorRecord, summarise } from '../record.ts';
import { EVENTUALLY_SECONDS } from './sessions.ts';

/** A few failures cost a few pauses, which grow. */
const THROUGH_FAILURES_SECONDS = 45;
const AFTERMATH_SECONDS = 3;
const OUTAGE_SECONDS = 4;

/** The DNS and tunnel API limits, fails and is slow: a session comes and goes meanwhile, and one goes as soon as it has come. */
export async function observeEdgeFailures(t: RequirementContext): Promise<OperatorRecord> {
  const { record } = await withSessionOperator(t, { purpose: 'edge-failures' }, async (bench) => {
    await startHealthy(bench);
    bench.edge.setFaults([
      { kind: 'too-many-requests', methods: ['POST'], of: ['records'], times: 2, seconds: 1 },
      { kind: 'server-error', methods: ['PUT'], of: ['tunnel'], times: 2 },
    ]);
    const session = await bench.begin('comes through failures');
    await bench.until(() => bench.isComplete(session), THROUGH_FAILURES_SECONDS);
    bench.mark('made');
    bench.edge.setFaults([
      { kind: 'bad-gateway', methods: ['DELETE'], of: ['records'], times: 1 },
      { kind: 'too-many-requests', methods: ['PUT'], of: ['tunnel'], times: 1, seconds: 1 },
    ]);
    await endWhole(bench, session);
    await bench.until(() => bench.isGone(session), THROUGH_FAILURES_SECONDS);

    bench.edge.setFaults([{ kind: 'latency', seconds: 0.7 }]);
    const short = await bench.begin('goes as soon as it has come');
    await endWhole(bench, short);
    const control = await bench.begin('control');
    await bench.until(() => bench.isComplete(control) && bench.isGone(short), THROUGH_FAILURES_SECONDS);
    await bench.watchFor(AFTERMATH_SECONDS);
  });
  t.evidence('failures of the edge', summarise(record));
  return record;
}

/** The watch breaks off, expires and ends: sessions come and go meanwhile. */
export async function observeWatchFailures(t: RequirementContext): Promise<OperatorRecord> {
  const { record } = await withSessionOperator(t, { purpose: 'watch-failures' }, async (bench) => {
    await startHealthy(bench);
    let before = await bench.begin('before');
    await bench.until(() => bench.isComplete(before), EVENTUALLY_SECONDS);
    const failures = [
      ['the API server was away', { kind: 'outage', forSeconds: OUTAGE_SECONDS }],
      ['the watch expired', { kind: 'expired', forSeconds: OUTAGE_SECONDS }],
      ['the watch was cut', { kind: 'cut-watch', verbs: ['watch'], forSeconds: OUTAGE_SECONDS }],
    ] as const;
    for (const [label, { ...fault }] of failures) {
      bench.mark(label);
      await bench.access.setFaults([fault.kind === 'cut-watch' ? { ...fault, verbs: [...fault.verbs] } : fault]);
      const ended = before;
      await endWhole(bench, ended);
      before = await bench.begin(`came while ${label}`);
      const recovered = await bench.until(
        () => bench.isComplete(before) && bench.isGone(ended),
        THROUGH_FAILURES_SECONDS,
      );
      await bench.access.setFaults([]);
      if (!recovered) {
        // One failure that it does not recover from says enough.
        break;
      }
    }
  });
  t.evidence('failures of the watch', summarise(record));
  return record;
}

/** Ends a session with its claim, where it has one. */
async function endWhole(bench: OperatorBench, session: Parameters<OperatorBench['end']>[0]): Promise<void> {
  await bench.end(session);
  if (bench.target.sessions.claimLabels !== undefined) {
    await bench.endClaim(session);
  }
}
