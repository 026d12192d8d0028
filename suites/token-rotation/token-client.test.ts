import { expectNone } from '../../harness/core/findings.ts';
import { SHORT_LIFE_SECONDS } from '../../harness/fakes/simulated-providers.ts';
import {
  namesTheMissingFile,
  neverPresentsAnExpiredToken,
  readsItsTokenFile,
  rereadsAtEveryExchange,
  reusesAccessTokens,
  survivesAMissingTokenFile,
  writesNoToken,
} from '../../harness/roles/token-client/checks/session.ts';
import {
  doesNotGuessALife,
  exchangesOnceForManyCalls,
  exchangesOnceMoreWhenRefused,
  followsTheSymlinkSwap,
  neverTurnsToAPerson,
  persistsAccessTokensPrivately,
  survivesAnOutage,
} from '../../harness/roles/token-client/checks/simulated.ts';
import {
  observeClient,
  observePlayedProviders,
  observeRotatingClient,
} from '../../harness/roles/token-client/observe.ts';
import { observeRestartedClient } from '../../harness/roles/token-client/observe-cache.ts';
import {
  keepsConfigurationsApart,
  reusesTheKeptCache,
  survivesABadCache,
} from '../../harness/roles/token-client/scenarios/restarts.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';

requirement('TR-20', async (t) => {
  const session = await observeClient(t);
  if (session.providers.every(({ pathConfigured }) => pathConfigured)) {
    t.notApplicable('the target declares no default token path, so that the path of every provider is configured');
  }
  expectNone(readsItsTokenFile(session, { pathConfigured: false }), session.stalls);
});

requirement('TR-21', async (t) => {
  const session = await observeClient(t);
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
  const session = await observeClient(t);
  expectNone(survivesAMissingTokenFile(session), session.stalls);
});

requirement('TR-28a', async (t) => {
  const session = await observeClient(t);
  expectNone(namesTheMissingFile(session), session.stalls);
});

requirement('TR-30', async (t) => {
  const session = await observeClient(t);
  expectNone(writesNoToken(session), session.stalls);
});

requirement('TR-25', async (t) => {
  const session = await observePlayedProviders(t, 'slow', ['resident']);
  expectNone(exchangesOnceForManyCalls(session), session.stalls);
});

requirement('TR-26', async (t) => {
  const session = await observePlayedProviders(t, 'revoking');
  expectNone(exchangesOnceMoreWhenRefused(session), session.stalls);
});

requirement('TR-27', async (t) => {
  const session = await observePlayedProviders(t, 'no-expiry');
  const findings = doesNotGuessALife(session);
  const { defaultLifeSeconds = 0 } = session;
  if (findings.length > 0 && defaultLifeSeconds > SHORT_LIFE_SECONDS) {
    t.notApplicable(
      `the client declares a default life of ${defaultLifeSeconds} s (defaultLifeSeconds); the token lived ${SHORT_LIFE_SECONDS} s`,
    );
  }
  expectNone(findings, session.stalls);
});

requirement('TR-29', async (t) => {
  const session = await observePlayedProviders(t, 'outage');
  expectNone(survivesAnOutage(session), session.stalls);
});

requirement('TR-31', async (t) => {
  const session = await observeClient(t);
  const { remaining } = session;
  if (remaining === undefined) return t.notApplicable('nobody can look into the folders that the client may write to');
  t.evidence(
    'files that the client left',
    remaining.map(({ path, mode, uid, unreadable }) => ({ path, mode, uid, unreadable })),
  );
  expectNone(persistsAccessTokensPrivately(session), session.stalls);
});

requirement('TR-35', async (t) => {
  const session = await observePlayedProviders(t, 'refusing');
  expectNone(neverTurnsToAPerson(session), session.stalls);
});

requirement('TR-36', async (t) => {
  const session = await observePlayedProviders(t, 'swapped');
  expectNone(followsTheSymlinkSwap(session), session.stalls);
});

requirement('TR-32', async (t) => {
  const session = await observeRestartedClient(t);
  expectNone(reusesTheKeptCache(session), session.stalls);
});

requirement('TR-33', async (t) => {
  const session = await observeRestartedClient(t);
  expectNone(keepsConfigurationsApart(session), session.stalls);
});

requirement('TR-34', async (t) => {
  const session = await observeRestartedClient(t);
  expectNone(survivesABadCache(session), session.stalls);
});
