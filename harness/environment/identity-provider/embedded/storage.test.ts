import { expect, test } from 'vitest';
import { ClientRegistry } from './clients.ts';
import { storageOf } from './storage.ts';

const clients = new ClientRegistry();
clients.register({ clientId: 'agents.runner', subject: 'system:serviceaccount:agents:runner' });
const introspectedBy = { clientId: 'inference', clientSecret: 'of this test' };

test('a client is public and has the grants that are served; the resource server has none', async () => {
  const storage = storageOf({ grants: ['jwt-bearer', 'client-assertion'], introspectedBy }, clients)('Client');
  expect(await storage.find('agents.runner')).toMatchObject({
    token_endpoint_auth_method: 'none',
    grant_types: ['urn:ietf:params:oauth:grant-type:jwt-bearer', 'client_credentials'],
    scope: 'openid inference/.default',
  });
  expect(await storage.find('inference')).toMatchObject({
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: [],
  });
  expect(await storage.find('agents.other')).toBeUndefined();
});

test('opaque access tokens are kept, and nothing else is', async () => {
  const storage = storageOf({ grants: [] }, clients);
  const [tokens, sessions] = [storage('AccessToken'), storage('Session')];
  await tokens.upsert('one', { kind: 'AccessToken' }, 60);
  await sessions.upsert('one', { kind: 'Session' }, 60);
  expect(await tokens.find('one')).toEqual({ kind: 'AccessToken' });
  expect(await sessions.find('one')).toBeUndefined();
});
