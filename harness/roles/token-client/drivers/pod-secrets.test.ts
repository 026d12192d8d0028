import { expect, test } from 'vitest';
import { secretsOf } from './pod-secrets.ts';

test('Secrets by every way into a container, and no other', () => {
  expect(
    secretsOf({
      spec: {
        imagePullSecrets: [{ name: 'registry' }],
        initContainers: [
          { name: 'init', envFrom: [{ secretRef: { name: 'a' } }, { configMapRef: { name: 'plain' } }] },
        ],
        containers: [
          {
            name: 'main',
            env: [
              { name: 'CLIENT_SECRET', valueFrom: { secretKeyRef: { name: 'b', key: 'secret' } } },
              { name: 'PORT', value: '8080' },
            ],
          },
        ],
        volumes: [
          { name: 'mounted', secret: { secretName: 'c' } },
          {
            name: 'projected',
            projected: { sources: [{ serviceAccountToken: { path: 'token' } }, { secret: { name: 'd' } }] },
          },
        ],
      },
    }),
  ).toEqual([
    'b (variable CLIENT_SECRET of container main)',
    'a (variables of container init)',
    'c (volume mounted)',
    'd (volume projected)',
  ]);
  expect(secretsOf({})).toEqual([]);
});
