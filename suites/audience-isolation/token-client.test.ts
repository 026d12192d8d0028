import { expectNone } from '../../harness/core/findings.ts';
import {
  keepsOthersWorking,
  neverFallsBack,
  presentsEachTokenToItsProvider,
  sendsEachAccessTokenToItsResourceServer,
} from '../../harness/roles/token-client/checks/session.ts';
import { observeClient, observeRotatingClient } from '../../harness/roles/token-client/observe.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';

requirement('AI-30', async (t) => {
  const session = await observeClient(t);
  expectNone(presentsEachTokenToItsProvider(session), session.stalls);
});

requirement('AI-31', async (t) => {
  const session = await observeClient(t);
  expectNone(sendsEachAccessTokenToItsResourceServer(session), session.stalls);
});

requirement('AI-32', async (t) => {
  const session = await observeRotatingClient(t);
  expectNone(keepsOthersWorking(session), session.stalls);
});

requirement('AI-33', async (t) => {
  const session = await observeClient(t);
  expectNone(neverFallsBack(session), session.stalls);
});
