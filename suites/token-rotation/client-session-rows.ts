import type { Finding } from '../../harness/core/findings.ts';
import type { ClientSession } from '../../harness/roles/token-client/record.ts';
import * as isolation from '../audience-isolation/token-client.checks.ts';
import * as exchange from '../token-exchange/token-client.checks.ts';
import * as rotation from './token-client.checks.ts';
import * as exchanges from './token-client-exchanges.checks.ts';
import * as failures from './token-client-failures.checks.ts';
import * as secrets from './token-client-secrets.checks.ts';

/** The requirements that one recorded session of a client answers, with their checks. */
export const ROWS: Record<string, (session: ClientSession) => Finding[]> = {
  'TR-20': rotation.readsDefaultTokenFile,
  'TR-21': rotation.readsConfiguredTokenFile,
  'TR-22': rotation.rereadsAtEveryExchange,
  'TR-23': rotation.neverPresentsAnExpiredToken,
  'TR-24': exchanges.reusesAccessTokens,
  'TR-28': (session) => [...rotation.survivesAMissingTokenFile(session), ...rotation.sendsNoWhiteSpace(session)],
  'TR-28a': rotation.namesTheMissingFile,
  'TR-30': secrets.writesNoToken,
  'TX-01': exchange.exchangesByOneForm,
  'TX-03': exchange.sendsNoClientSecret,
  'TX-05': exchange.neverForwardsTheSubjectToken,
  'AI-30': isolation.presentsEachTokenToItsProvider,
  'AI-31': isolation.sendsEachAccessTokenToItsResourceServer,
  'AI-32': isolation.keepsOthersWorking,
  'AI-33': isolation.neverFallsBack,
  'TR-25': exchanges.exchangesOnceForManyCalls,
  'TR-26': exchanges.exchangesOnceMoreWhenRefused,
  'TR-27': exchanges.doesNotGuessALife,
  'TR-29': failures.survivesAnOutage,
  'TR-31': secrets.persistsAccessTokensPrivately,
  'TR-35': failures.neverTurnsToAPerson,
  'TR-36': rotation.followsTheSymlinkSwap,
  'TR-37': rotation.rereadsOnSchedule,
  'TR-38': failures.goesOnWithAGoodToken,
  'TR-39': failures.boundsItsExchanges,
  'TR-40': failures.survivesAHangingRequest,
  'TX-02': exchange.exchangesBySubjectToken,
  'TX-04': exchange.findsAnIssuerWithAPath,
  'TX-06': exchange.refusesMetadataOfAnotherIssuer,
  'TX-07': exchange.sendsNoTokenToStrangers,
  'TX-08': exchange.authenticatesByAssertionAlone,
};
