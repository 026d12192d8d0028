import { observeClient } from '../../harness/roles/token-client/observe.ts';
import { check } from '../../harness/run/worker/check.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import {
  keepsOthersWorking,
  neverFallsBack,
  presentsEachTokenToItsProvider,
  sendsEachAccessTokenToItsResourceServer,
} from './token-client.checks.ts';

requirement('AI-30', check(observeClient, presentsEachTokenToItsProvider));
requirement('AI-31', check(observeClient, sendsEachAccessTokenToItsResourceServer));
requirement('AI-32', check(observeClient, keepsOthersWorking));
requirement('AI-33', check(observeClient, neverFallsBack));
