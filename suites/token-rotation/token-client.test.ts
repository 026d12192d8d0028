import { requirement } from '../../harness/run/requirement.ts';
import {
  missingFileErrorNamesThePath,
  neverPresentsAnExpiredToken,
  readsItsTokenFile,
  rereadsAtEveryExchange,
  reusesAccessTokens,
  survivesAMissingTokenFile,
  writesNoToken,
} from '../../harness/target/client-judgements.ts';
import { expectNone } from '../../harness/target/findings.ts';
import { observeClient, observeRotatingClient } from '../../harness/target/token-client.ts';

requirement('TR-20', async (t) => {
  const session = await observeRotatingClient(t);
  if (session.providers.every(({ pathConfigured }) => pathConfigured)) {
    t.notApplicable('the target declares no default token path, so that the path of every provider is configured');
  }
  expectNone(readsItsTokenFile(session, { pathConfigured: false }), session.stalls);
});

requirement('TR-21', async (t) => {
  const session = await observeRotatingClient(t);
  expectNone(readsItsTokenFile(session, { pathConfigured: true }), session.stalls);
});

requirement('TR-22', async (t) => {
  const session = await observeRotatingClient(t);
  expectNone(rereadsAtEveryExchange(session), session.stalls);
});

requirement('TR-23', async (t) => {
  const session = await observeRotatingClient(t);
  expectNone(neverPresentsAnExpiredToken(session), session.stalls);
});

requirement('TR-24', async (t) => {
  const session = await observeRotatingClient(t);
  expectNone(reusesAccessTokens(session), session.stalls);
});

requirement('TR-28', async (t) => {
  const session = await observeRotatingClient(t);
  t.evidence('the error names the path (SHOULD)', missingFileErrorNamesThePath(session) ?? 'the calls did not fail');
  expectNone(survivesAMissingTokenFile(session), session.stalls);
});

requirement('TR-30', async (t) => {
  const session = await observeClient(t);
  expectNone(writesNoToken(session), session.stalls);
});
