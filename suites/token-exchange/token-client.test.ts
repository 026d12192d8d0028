import { requirement } from '../../harness/run/requirement.ts';
import {
  exchangesByOneForm,
  neverForwardsTheSubjectToken,
  sendsNoClientSecret,
} from '../../harness/target/client-judgements.ts';
import { expectNone } from '../../harness/target/findings.ts';
import { observeClient } from '../../harness/target/token-client.ts';

requirement('TX-01', async (t) => {
  const session = await observeClient(t);
  t.evidence('token requests', session.exchanges);
  expectNone(exchangesByOneForm(session), session.stalls);
});

requirement('TX-03', async (t) => {
  const session = await observeClient(t);
  expectNone(sendsNoClientSecret(session), session.stalls);
});

requirement('TX-05', async (t) => {
  const session = await observeClient(t);
  expectNone(neverForwardsTheSubjectToken(session), session.stalls);
});
