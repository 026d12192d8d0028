import { expect, test } from 'vitest';
import { apiTokenIn } from './api-token.ts';

test.for<[string, object, boolean]>([
  ['no audience', { path: 'token' }, true],
  ['an audience of the API server', { path: 'token', audience: 'https://kubernetes.default.svc' }, true],
  ['a provider’s audience', { path: 'token', audience: 'https://provider.example' }, false],
])('a token with %s', ([, serviceAccountToken, isOne]) => {
  const volume = { name: 'v', projected: { sources: [{ serviceAccountToken }] } };
  expect(apiTokenIn(volume, ['https://kubernetes.default.svc', 'k3s']) !== undefined).toBe(isOne);
});

test('a volume without a token', () => {
  expect(apiTokenIn({ name: 'v' }, [])).toBeUndefined();
  expect(apiTokenIn({ name: 'v', projected: { sources: [{}] } }, [])).toBeUndefined();
});
