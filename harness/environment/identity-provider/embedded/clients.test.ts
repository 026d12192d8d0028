import { UnsecuredJWT } from 'jose';
import { expect, test } from 'vitest';
import { ClientRegistry } from './clients.ts';

const SUBJECT = 'system:serviceaccount:agents:runner';

test('a client is found by its id, and by the ServiceAccount that an assertion names', () => {
  const clients = new ClientRegistry();
  clients.register({ clientId: 'agents.runner', subject: SUBJECT });
  expect(clients.has('agents.runner')).toBe(true);
  expect(clients.subjectOf('agents.runner')).toBe(SUBJECT);
  expect(clients.isRegistered(SUBJECT)).toBe(true);
  expect(clients.clientNamedBy(new UnsecuredJWT({ sub: SUBJECT }).encode())).toBe('agents.runner');
});

test('what nobody has registered, or cannot be read, is unknown', () => {
  const clients = new ClientRegistry();
  expect(clients.has('agents.runner')).toBe(false);
  expect(clients.isRegistered(SUBJECT)).toBe(false);
  expect(clients.clientNamedBy(new UnsecuredJWT({ sub: SUBJECT }).encode())).toBe('unknown');
  expect(clients.clientNamedBy('no JWT')).toBe('unknown');
});
