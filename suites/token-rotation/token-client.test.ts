import { expect } from 'vitest';
import { requirement } from '../../harness/run/requirement.ts';
import {
  missingFileErrorNamesThePath,
  neverPresentsAnExpiredToken,
  readsItsTokenFile,
  rereadsAtEveryExchange,
  reusesAccessTokens,
  survivesAMissingTokenFile,
} from '../../harness/target/client-judgements.ts';
import { observeRotatingClient } from '../../harness/target/token-client.ts';

requirement('TR-20', async (t) => {
  const session = await observeRotatingClient(t);
  expect(readsItsTokenFile(session, { pathConfigured: false })).toEqual([]);
});

requirement('TR-21', async (t) => {
  const session = await observeRotatingClient(t);
  expect(readsItsTokenFile(session, { pathConfigured: true })).toEqual([]);
});

requirement('TR-22', async (t) => {
  const session = await observeRotatingClient(t);
  expect(rereadsAtEveryExchange(session)).toEqual([]);
});

requirement('TR-23', async (t) => {
  const session = await observeRotatingClient(t);
  expect(neverPresentsAnExpiredToken(session)).toEqual([]);
});

requirement('TR-24', async (t) => {
  const session = await observeRotatingClient(t);
  expect(reusesAccessTokens(session)).toEqual([]);
});

requirement('TR-28', async (t) => {
  const session = await observeRotatingClient(t);
  t.evidence('the error names the path (SHOULD)', missingFileErrorNamesThePath(session) ?? 'the calls did not fail');
  expect(survivesAMissingTokenFile(session)).toEqual([]);
});
