import { expect, test } from 'vitest';
import { NotTestable } from '../../core/errors.ts';
import { requireReached } from './reached.ts';
import { type Call, LATE } from './record.ts';
import { aCall, aSession } from './record-builders.ts';
import { exchange } from './simulated-builders.ts';

const unknown = { ok: false, error: 'getaddrinfo ENOTFOUND embedded.conformance.test' };
const missing = aCall('missing', LATE, [0, 0.1], { ok: false, error: 'ENOENT' });
const paced = aCall('paced', 'production', [1, 1.1], unknown);
const seen = (calls: Call[], more = {}) => aSession({ calls, exchanges: [], lookups: [], resources: [], ...more });

test('a client that reaches nobody is told what it needs, once', () => {
  expect(() => requireReached(seen([missing, paced]))).toThrow(NotTestable);
  expect(() => requireReached(seen([missing, paced]))).toThrow(/in 2 calls .* ENOTFOUND .* HTTPS_PROXY/);
});

test('one that was heard of, or says that a call succeeded, is evaluated', () => {
  expect(() => requireReached(seen([missing, paced], { exchanges: [exchange('plain', 1)] }))).not.toThrow();
  expect(() => requireReached(seen([missing, { ...paced, ok: true }]))).not.toThrow();
});

test('nothing is said of a session without a call that had a token', () => {
  expect(() => requireReached(seen([missing]))).not.toThrow();
});
