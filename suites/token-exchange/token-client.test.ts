import { requirement } from '../../harness/run/requirement.ts';
import {
  exchangesByOneForm,
  expectNone,
  neverForwardsTheSubjectToken,
  sendsNoClientSecret,
} from '../../harness/target/client-judgements.ts';
import { observeClient } from '../../harness/target/token-client.ts';

requirement('TX-01', async (t) => {
  const session = await observeClient(t);
  t.evidence('token requests', session.exchanges);
  expectNone(exchangesByOneForm(session));
});

requirement('TX-03', async (t) => {
  const session = await observeClient(t);
  expectNone(sendsNoClientSecret(session));
});

requirement('TX-05', async (t) => {
  const session = await observeClient(t);
  expectNone(neverForwardsTheSubjectToken(session));
});
