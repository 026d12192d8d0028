import type { RequirementContext } from '../../../rpc/context.ts';
import { type OperatorBench, patience, startHealthy, withSessionOperator } from '../launch.ts';
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

async function restart(bench: OperatorBench): Promise<void> {
  const { documented, capabilities, sessions } = bench.target;
  const eventually = patience(bench, EVENTUALLY_SECONDS);
  await startHealthy(bench);
  const gone = await bench.begin('goes meanwhile');
  await eventually(() => bench.isComplete(gone));
  const stays = await bench.begin('stays');
  await eventually(() => bench.isComplete(stays));
  if ((await bench.signal('SIGTERM', documented.sigtermSeconds + SLACK_SECONDS)) === undefined) {
    await bench.signal('SIGKILL', SLACK_SECONDS);
  }
  await bench.watchFor(DOWN_SECONDS);
  bench.mark('down');
  await bench.end(gone);
  if (sessions.claimLabels !== undefined) {
    await bench.endClaim(gone);
  }
  const comes = await bench.begin('comes meanwhile');
  bench.mark('starts again');
  await startHealthy(bench);
  await eventually(() => bench.isComplete(comes) && bench.isComplete(stays));
  if (capabilities.includes('replicas')) {
    bench.mark('second replica');
    await startHealthy(bench, 'b');
    await bench.watchFor(TOGETHER_SECONDS);
  }
  bench.mark('settled');
  // What has no pod any more is another requirement's, and may take its time.
  await eventually(() => bench.isGone(gone));
}
