import { expect, test } from 'vitest';
import { ACCEPTED, type Evaluated, expectRefused, REFUSED } from './evaluated-tokens.ts';

const seen = ({ call, review }: typeof ACCEPTED): Evaluated => ({ call, review: { ...review, audiences: [] } });

test('TR-07, TR-08, TR-14: a token that is accepted yet may be so on a server that learnt of its end late', () => {
  expect(() => expectRefused(seen(REFUSED), 'the token')).not.toThrow();
  expect(() => expectRefused(seen(ACCEPTED), 'the token')).toThrow(
    expect.objectContaining({ message: expect.stringContaining('the token is accepted'), mayBeTheMachine: true }),
  );
  expect(() => expectRefused({ ...seen(REFUSED), call: 403 }, 'the token')).toThrow(
    expect.objectContaining({ name: 'AssertionError' }),
  );
});
