import { requirement } from '../../harness/run/requirement.ts';
import {
  expectNone,
  presentsEachTokenToItsProvider,
  sendsEachAccessTokenToItsResourceServer,
} from '../../harness/target/client-judgements.ts';
import { observeClient } from '../../harness/target/token-client.ts';

requirement('AI-30', async (t) => {
  const session = await observeClient(t);
  expectNone(presentsEachTokenToItsProvider(session));
});

requirement('AI-31', async (t) => {
  const session = await observeClient(t);
  expectNone(sendsEachAccessTokenToItsResourceServer(session));
});
