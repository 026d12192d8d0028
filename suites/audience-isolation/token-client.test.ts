import { expect } from 'vitest';
import { requirement } from '../../harness/run/requirement.ts';
import {
  presentsEachTokenToItsProvider,
  sendsEachAccessTokenToItsResourceServer,
} from '../../harness/target/client-judgements.ts';
import { observeClient } from '../../harness/target/token-client.ts';

requirement('AI-30', async (t) => {
  const session = await observeClient(t);
  expect(presentsEachTokenToItsProvider(session)).toEqual([]);
});

requirement('AI-31', async (t) => {
  const session = await observeClient(t);
  expect(sendsEachAccessTokenToItsResourceServer(session)).toEqual([]);
});
