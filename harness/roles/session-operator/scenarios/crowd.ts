import type { RequirementContext } from '../../../rpc/context.ts';
import { type OperatorBench, patience, startHealthy, withSessionOperator } from '../launch.ts';
import { type OperatorRecord, type Session, summarise } from '../record.ts';

/** Sessions that come at once. */
export const CROWD = 50;
const CROWD_SECONDS = 90;
const KILLED_SECONDS = 5;

/**
 * Fifty sessions come at once; half of them go at once while others come, and meanwhile one replica is killed. Where
 * one replica alone may run, it is started again.
 */
export async function observeCrowd(t: RequirementContext): Promise<OperatorRecord> {
  const { record } = await withSessionOperator(t, { purpose: 'crowd' }, async (bench) => {
    const hasReplicas = bench.target.capabilities.includes('replicas');
    const eventually = patience(bench, CROWD_SECONDS);
    await startHealthy(bench);
    if (hasReplicas) {
      await startHealthy(bench, 'b');
    }
    const crowd = await beginAll(bench, 'one', CROWD);
    await eventually(() => crowd.every((session) => bench.isComplete(session)));
    bench.mark('crowd is there');

    const ended = crowd.slice(0, CROWD / 2);
    const [others] = await Promise.all([
      beginAll(bench, 'two', CROWD / 2),
      ...ended.map((session) => endWhole(bench, session)),
      bench.signal('SIGKILL', KILLED_SECONDS),
    ]);
    if (!hasReplicas) {
      await startHealthy(bench);
    }
    bench.mark('killed');
    const alive = [...crowd.slice(CROWD / 2), ...others];
    await eventually(
      () => alive.every((session) => bench.isComplete(session)) && ended.every((session) => bench.isGone(session)),
    );
    bench.mark('settled');
  });
  t.evidence('a crowd', summarise(record));
  return record;
}

function beginAll(bench: OperatorBench, label: string, count: number): Promise<Session[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => bench.begin(`${label} ${index + 1}`)));
}

async function endWhole(bench: OperatorBench, session: Session): Promise<void> {
  await bench.end(session);
  if (bench.target.sessions.claimLabels !== undefined) {
    await bench.endClaim(session);
  }
}
