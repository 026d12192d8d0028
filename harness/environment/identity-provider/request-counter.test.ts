import { expect, test } from 'vitest';
import { RequestCounter } from './request-counter.ts';

test('requests are counted by the endpoint that they go to, as Keycloak and the embedded provider name them', () => {
  const counter = new RequestCounter();
  for (const url of [
    '/realms/production/protocol/openid-connect/token',
    '/production/token',
    '/realms/production/protocol/openid-connect/token/introspect',
    '/production/introspect',
    '/realms/production/.well-known/openid-configuration',
    '/realms/production/protocol/openid-connect/certs',
    '/production/jwks',
    '/admin/realms?brief=true',
    '/realms/master/protocol/openid-connect/token',
    '/production/unknown',
  ]) {
    counter.count(url);
  }
  expect(counter.counts).toEqual({
    'admin API': 2,
    discovery: 1,
    introspection: 2,
    'key set': 2,
    other: 1,
    'token endpoint': 2,
  });
});
