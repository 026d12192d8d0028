import { requirement } from '../../harness/run/requirement.ts';
import {
  expectNone,
  keepsOthersWorking,
  neverFallsBack,
  presentsEachTokenToItsProvider,
  sendsEachAccessTokenToItsResourceServer,
} from '../../harness/target/client-judgements.ts';
import { observeClient, observeRotatingClient } from '../../harness/target/token-client.ts';

requirement('AI-30', async (t) => {
  const session = await observeClient(t);
  expectNone(presentsEachTokenToItsProvider(session));
});

requirement('AI-31', async (t) => {
  const session = await observeClient(t);
  expectNone(sendsEachAccessTokenToItsResourceServer(session));
});

requirement('AI-32', async (t) => {
  const session = await observeRotatingClient(t);
  expectNone(keepsOthersWorking(session));
});

requirement('AI-33', async (t) => {
  const session = await observeClient(t);
  expectNone(neverFallsBack(session));
});
