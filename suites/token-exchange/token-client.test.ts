import { observeClient } from '../../harness/roles/token-client/observe.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import {
  authenticatesByAssertionAlone,
  exchangesByOneForm,
  exchangesBySubjectToken,
  findsAnIssuerWithAPath,
  neverForwardsTheSubjectToken,
  refusesMetadataOfAnotherIssuer,
  sendsNoClientSecret,
  sendsNoTokenToStrangers,
} from './token-client.checks.ts';

requirement('TX-01', check(observeClient, exchangesByOneForm));
requirement('TX-02', check(observeClient, exchangesBySubjectToken));
requirement('TX-03', check(observeClient, sendsNoClientSecret));
requirement('TX-04', check(observeClient, findsAnIssuerWithAPath));
requirement('TX-05', check(observeClient, neverForwardsTheSubjectToken));
requirement('TX-06', check(observeClient, refusesMetadataOfAnotherIssuer));
requirement('TX-07', check(observeClient, sendsNoTokenToStrangers));
requirement('TX-08', check(observeClient, authenticatesByAssertionAlone));
