import type { RequirementContext } from '../../../rpc/context.ts';
import { type OperatorFixture, patience, startHealthy, withSessionOperator } from '../launch.ts';
import { type OperatorRecord, summarise } from '../record.ts';
import { EVENTUALLY_SECONDS } from './sessions.ts';

/** How long it is looked on with another replica. */
const TOGETHER_SECONDS = 3;
const DOWN_SECONDS = 1;
/** A process that does not exit on SIGTERM is killed after that, beyond its documented time. */
const SLACK_SECONDS = 5;

/**
 * An operator ends by SIGTERM; while it is away one session goes and another one comes; it starts again, and a second
 * replica beside it, where several may run.
 */
export async function observeRestarts(t: RequirementContext): Promise<OperatorRecord> {
  const record = await t.sharedByAllFiles('session operator: restarts', async () => {
    const launched = await withSessionOperator(t, { purpose: 'restarts' }, restart);
    return launched.record;
  });
  t.evidence('restarts', summarise(record));
  return record;
}

async function restart(fixture: OperatorFixture): Promise<void> {
  const { documented, capabilities, sessions } = fixture.target;
  const eventually = patience(fixture, EVENTUALLY_SECONDS);
  await startHealthy(fixture);
  const gone = await fixture.begin('goes meanwhile');
  await eventually(() => fixture.isComplete(gone));
  const stays = await fixture.begin('stays');
  await eventually(() => fixture.isComplete(stays));
  if ((await fixture.signal('SIGTERM', documented.sigtermSeconds + SLACK_SECONDS)) === undefined) {
    await fixture.signal('SIGKILL', SLACK_SECONDS);
  }
  await fixture.watchFor(DOWN_SECONDS);
  fixture.mark('down');
  await fixture.end(gone);
  if (sessions.claimLabels !== undefined) {
    await fixture.endClaim(gone);
  }
  const comes = await fixture.begin('comes meanwhile');
  fixture.mark('starts again');
  await startHealthy(fixture);
  await eventually(() => fixture.isComplete(comes) && fixture.isComplete(stays));
  if (capabilities.includes('replicas')) {
    fixture.mark('second replica');
    await startHealthy(fixture, 'b');
    await fixture.watchFor(TOGETHER_SECONDS);
  }
  fixture.mark('settled');
  // What has no pod any more is another requirement's, and may take its time.
  await eventually(() => fixture.isGone(gone));
}
