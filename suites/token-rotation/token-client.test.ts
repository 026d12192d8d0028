import { observeClient } from '../../harness/roles/token-client/observe.ts';
import { observeRestartedClient } from '../../harness/roles/token-client/observe-cache.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import {
  followsTheSymlinkSwap,
  namesTheMissingFile,
  neverPresentsAnExpiredToken,
  readsConfiguredTokenFile,
  readsDefaultTokenFile,
  rereadsAtEveryExchange,
  rereadsOnSchedule,
  sendsNoWhiteSpace,
  survivesAMissingTokenFile,
} from './token-client.checks.ts';
import { keepsConfigurationsApart, reusesTheKeptCache, survivesABadCache } from './token-client-cache.checks.ts';
import {
  doesNotGuessALife,
  exchangesOnceForManyCalls,
  exchangesOnceMoreWhenRefused,
  reusesAccessTokens,
} from './token-client-exchanges.checks.ts';
import {
  boundsItsExchanges,
  goesOnWithAGoodToken,
  neverTurnsToAPerson,
  survivesAHangingRequest,
  survivesAnOutage,
} from './token-client-failures.checks.ts';
import { persistsAccessTokensPrivately, writesNoToken } from './token-client-secrets.checks.ts';

requirement('TR-20', check(observeClient, readsDefaultTokenFile));
requirement('TR-21', check(observeClient, readsConfiguredTokenFile));
requirement('TR-22', check(observeClient, rereadsAtEveryExchange));
requirement('TR-23', check(observeClient, neverPresentsAnExpiredToken));
requirement('TR-24', check(observeClient, reusesAccessTokens));
requirement('TR-25', check(observeClient, exchangesOnceForManyCalls));
requirement('TR-26', check(observeClient, exchangesOnceMoreWhenRefused));
requirement('TR-27', check(observeClient, doesNotGuessALife));
requirement('TR-28', check(observeClient, survivesAMissingTokenFile, sendsNoWhiteSpace));
requirement('TR-28a', check(observeClient, namesTheMissingFile));
requirement('TR-29', check(observeClient, survivesAnOutage));
requirement('TR-30', check(observeClient, writesNoToken));
requirement('TR-31', check(observeClient, persistsAccessTokensPrivately));
requirement('TR-32', check(observeRestartedClient, reusesTheKeptCache));
requirement('TR-33', check(observeRestartedClient, keepsConfigurationsApart));
requirement('TR-34', check(observeRestartedClient, survivesABadCache));
requirement('TR-35', check(observeClient, neverTurnsToAPerson));
requirement('TR-36', check(observeClient, followsTheSymlinkSwap));
requirement('TR-37', check(observeClient, rereadsOnSchedule));
requirement('TR-38', check(observeClient, goesOnWithAGoodToken));
requirement('TR-39', check(observeClient, boundsItsExchanges));
requirement('TR-40', check(observeClient, survivesAHangingRequest));
