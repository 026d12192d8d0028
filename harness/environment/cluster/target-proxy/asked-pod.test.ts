import { expect, test } from 'vitest';
import { podIn } from './asked-pod.ts';

test('a pod is kept as it was asked for, without what may be secret', () => {
  const container = {
    name: 'agent',
    image: 'i',
    command: ['run', '--key=secret'],
    args: ['secret'],
    env: [
      { name: 'KEY', value: 'secret' },
      { name: 'REF', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
    ],
    resources: { limits: { memory: '1Gi' } },
  };
  const kept = podIn(
    JSON.stringify({ metadata: { name: 'a' }, spec: { containers: [container], hostNetwork: false } }),
  );
  expect(JSON.stringify(kept)).not.toContain('secret"');
  expect(kept).toEqual({
    name: 'a',
    spec: {
      hostNetwork: false,
      containers: [
        {
          name: 'agent',
          image: 'i',
          env: [{ name: 'KEY' }, { name: 'REF', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
          resources: { limits: { memory: '1Gi' } },
        },
      ],
    },
  });
});

test.each(['', 'k8s\0', '[]', 'null', '{"spec":{}}', '{"spec":{"containers":[null]}}'])(
  'what is no pod is not kept: %j',
  (text) => {
    expect(podIn(text)).toBeUndefined();
  },
);
