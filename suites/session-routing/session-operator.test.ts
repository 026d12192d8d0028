import { expectNone } from '../../harness/core/findings.ts';
import { observeCrowd } from '../../harness/roles/session-operator/scenarios/crowd.ts';
import { observeEdgeFailures, observeWatchFailures } from '../../harness/roles/session-operator/scenarios/failures.ts';
import { observeRestarts } from '../../harness/roles/session-operator/scenarios/restarts.ts';
import { observeSessions } from '../../harness/roles/session-operator/scenarios/sessions.ts';
import { observeStarts } from '../../harness/roles/session-operator/scenarios/starts.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import {
  guardsTheSession,
  ignoresWhatIsNoSession,
  isNotShadowed,
  leavesTheTunnelAsItWas,
  losesNothing,
  makesItSoon,
  makesWhatIsDocumented,
  removesWhatItMade,
  repeatsNothing,
  staysAtTheFirstLevel,
} from './session-operator.checks.ts';
import {
  catchesUpWithWhatWent,
  endsInPeace,
  getsOverFailures,
  leavesForeignRecordsAlone,
  makesUpAtItsStart,
  recoversItsWatch,
  removesOrphansAtItsStart,
  startsHonestly,
} from './session-operator-restarts.checks.ts';

requirement('SR-01', check(observeSessions, makesWhatIsDocumented));

requirement('SR-01a', check(observeSessions, makesItSoon));

requirement('SR-02', check(observeSessions, removesWhatItMade));

requirement('SR-03', check(observeSessions, leavesTheTunnelAsItWas));

requirement('SR-03a', check(observeSessions, isNotShadowed));

requirement('SR-04', check(observeSessions, guardsTheSession));

requirement('SR-05', check(observeSessions, staysAtTheFirstLevel));

requirement('SR-06', check(observeSessions, ignoresWhatIsNoSession));

requirement('SR-07', check(observeRestarts, repeatsNothing));

requirement('SR-08', check(observeCrowd, losesNothing));

requirement('SR-09', check(observeRestarts, makesUpAtItsStart));

requirement('SR-09a', check(observeRestarts, removesOrphansAtItsStart));

requirement('SR-10', check(observeSessions, leavesForeignRecordsAlone));

requirement('SR-11', check(observeEdgeFailures, getsOverFailures));

requirement('SR-12', async (t) => {
  const [restarts, starts] = [await observeRestarts(t), await observeStarts(t)];
  expectNone([...endsInPeace(restarts), ...startsHonestly(starts)], [...restarts.stalls, ...starts.stalls]);
});

requirement('SR-13', check(observeWatchFailures, recoversItsWatch));

requirement('SR-13a', check(observeWatchFailures, catchesUpWithWhatWent));
