import { requirement } from '../../harness/run/requirement.ts';
import {
  keepsOthersWorking,
  neverFallsBack,
  presentsEachTokenToItsProvider,
  sendsEachAccessTokenToItsResourceServer,
} from '../../harness/target/client-judgements.ts';
import { expectNone } from '../../harness/target/findings.ts';
import { observeClient, observeRotatingClient } from '../../harness/target/token-client.ts';

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
