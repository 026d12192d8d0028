import { expect, test } from 'vitest';
import { invocationOf } from './invocation.ts';

test('values of --set are repeated as they were given, but for what may be a secret', () => {
  const { options } = invocationOf({
    target: ['agent.yaml'],
    cluster: 'k3s',
    set: {
      backend: '/src/backend',
      url: 'https://idp.test/realms/a',
      clientSecret: 'of a test',
      database: 'postgres://me:password@db/x',
      jwt: `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.c2lnbmF0dXJlLW9mLWEtdGVzdA`,
    },
  });
  expect(options.filter((option) => option !== '--set')).toEqual([
    '--target',
    'agent.yaml',
    'backend=/src/backend',
    'url=https://idp.test/realms/a',
    'clientSecret=…',
    'database=…',
    'jwt=…',
  ]);
});
