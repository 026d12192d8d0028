import type { RequirementContext } from '../../../rpc/context.ts';
import { type OperatorFixture, patience, startHealthy, withSessionOperator } from '../launch.ts';
import { type OperatorRecord, type Session, summarise } from '../record.ts';

/** Sessions that come at once. */
export const CROWD = 50;
const CROWD_SECONDS = 90;
const KILLED_SECONDS = 5;
/** A document that was read before, and is written now, brings back what was gone, or takes away what was there. */
const AFTERMATH_SECONDS = 3;

/**
 * Fifty sessions come at once; half of them go at once while others come, and meanwhile one replica is killed. Where
 * one replica alone may run, it is started again.
 */
export async function observeCrowd(t: RequirementContext): Promise<OperatorRecord> {
  const { record } = await withSessionOperator(t, { purpose: 'crowd' }, async (fixture) => {
    const hasReplicas = fixture.target.capabilities.includes('replicas');
    const eventually = patience(fixture, CROWD_SECONDS);
    await startHealthy(fixture);
    if (hasReplicas) {
      await startHealthy(fixture, 'b');
    }
    const crowd = await beginAll(fixture, 'one', CROWD);
    await eventually(() => crowd.every((session) => fixture.isComplete(session)));
    fixture.mark('crowd is there');

    const ended = crowd.slice(0, CROWD / 2);
    const [others] = await Promise.all([
      beginAll(fixture, 'two', CROWD / 2),
      ...ended.map((session) => endWhole(fixture, session)),
      fixture.signal('SIGKILL', KILLED_SECONDS),
    ]);
    if (!hasReplicas) {
      await startHealthy(fixture);
    }
    fixture.mark('killed');
    const alive = [...crowd.slice(CROWD / 2), ...others];
    await eventually(
      () => alive.every((session) => fixture.isComplete(session)) && ended.every((session) => fixture.isGone(session)),
    );
    await fixture.watchFor(AFTERMATH_SECONDS);
    fixture.mark('settled');
  });
  t.evidence('a crowd', summarise(record));
  return record;
}

function beginAll(fixture: OperatorFixture, label: string, count: number): Promise<Session[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => fixture.begin(`${label} ${index + 1}`)));
}

async function endWhole(fixture: OperatorFixture, session: Session): Promise<void> {
  await fixture.end(session);
  if (fixture.target.sessions.claimLabels !== undefined) {
    await fixture.endClaim(session);
  }
}
