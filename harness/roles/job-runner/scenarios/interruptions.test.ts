import type { KubernetesObject } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { statusAfterShutdown } from './interruptions.ts';

test('after its node’s shutdown a pod has failed, and its agent has ended with 0', () => {
  const startedAt = '2026-01-01T10:00:00Z';
  const running = (name: string) => ({
    name,
    containerID: `c://${name}`,
    ready: true,
    state: { running: { startedAt } },
  });
  const pod = { status: { containerStatuses: [running('agent'), running('other')] } } as KubernetesObject;
  expect(statusAfterShutdown(pod, 'agent', new Date('2026-01-01T10:00:20.500Z'))).toMatchObject({
    phase: 'Failed',
    reason: 'Terminated',
    conditions: [
      { type: 'DisruptionTarget', reason: 'TerminationByKubelet', lastTransitionTime: '2026-01-01T10:00:20Z' },
    ],
    containerStatuses: [
      {
        name: 'agent',
        ready: false,
        state: {
          terminated: { exitCode: 0, startedAt, finishedAt: '2026-01-01T10:00:20Z', containerID: 'c://agent' },
        },
      },
      running('other'),
    ],
  });
});
