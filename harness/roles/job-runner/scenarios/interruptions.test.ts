import type { KubernetesObject } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { KUBELET_ENDS, statusByKubelet } from './interruptions.ts';

test.each(KUBELET_ENDS)('after the $by a pod has failed, and its agent has ended with 0', (end) => {
  const startedAt = '2026-01-01T10:00:00Z';
  const running = (name: string) => ({
    name,
    containerID: `c://${name}`,
    ready: true,
    state: { running: { startedAt } },
  });
  const pod = { status: { containerStatuses: [running('agent'), running('other')] } } as KubernetesObject;
  expect(statusByKubelet(pod, 'agent', new Date('2026-01-01T10:00:20.500Z'), end)).toMatchObject({
    phase: 'Failed',
    reason: end.reason,
    message: end.message,
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
