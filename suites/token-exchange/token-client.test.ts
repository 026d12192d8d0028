import { expectNone } from '../../harness/core/findings.ts';
import {
  exchangesByOneForm,
  neverForwardsTheSubjectToken,
  sendsNoClientSecret,
} from '../../harness/roles/token-client/checks/session.ts';
import {
  exchangesBySubjectToken,
  findsAnIssuerWithAPath,
  refusesMetadataOfAnotherIssuer,
  sendsNoTokenToStrangers,
} from '../../harness/roles/token-client/checks/simulated.ts';
import { observeClient, observePlayedProviders } from '../../harness/roles/token-client/observe.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';

requirement('TX-01', async (t) => {
  const session = await observeClient(t);
  t.evidence('token requests', session.exchanges);
  if (session.providers.every(({ grant }) => grant === 'token-exchange')) {
    t.notApplicable(
      'the client has its access tokens by token exchange, since its provider takes no other grant of those that it declares',
    );
  }
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

requirement('TX-02', async (t) => {
  const session = await observePlayedProviders(t, 'exchange', ['token_exchange']);
  expectNone(exchangesBySubjectToken(session), session.stalls);
});

requirement('TX-04', async (t) => {
  const session = await observePlayedProviders(t, 'tenant', ['discovery']);
  expectNone(findsAnIssuerWithAPath(session), session.stalls);
});

requirement('TX-06', async (t) => {
  const session = await observePlayedProviders(t, 'other-issuer', ['discovery']);
  expectNone(refusesMetadataOfAnotherIssuer(session), session.stalls);
});

requirement('TX-07', async (t) => {
  const session = await observePlayedProviders(t, 'stranger', ['discovery']);
  t.evidence('requests at another origin', session.elsewhere);
  expectNone(sendsNoTokenToStrangers(session), session.stalls);
});
