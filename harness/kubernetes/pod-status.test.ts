import type { V1Pod } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { assertRoomFor, containerStatus, describePod, lackedByPod } from './pod-status.ts';

function waiting(image: string, reason: string): V1Pod {
  const container = { name: 'c', image };
  const state = { waiting: { reason, message: 'not found' } };
  const containerStatuses = [{ name: 'c', image, imageID: '', ready: false, restartCount: 0, state }];
  return { spec: { containers: [container], nodeName: 'n' }, status: { containerStatuses } };
}

function unschedulable(message: string): V1Pod {
  return { status: { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }] } };
}

test('an image of the harness that cannot be pulled is what the harness lacks; that of somebody else is not', () => {
  expect(lackedByPod(waiting('own', 'ImagePullBackOff'), ['own'])).toMatch(
    /image own cannot be had by node n .*not found/,
  );
  expect(lackedByPod(waiting('other', 'ImagePullBackOff'), ['own'])).toBeUndefined();
  expect(lackedByPod(waiting('own', 'CreateContainerConfigError'), ['own'])).toBeUndefined();
});

test('so is room on the nodes, and not a volume that keeps a pod away', () => {
  expect(lackedByPod(unschedulable('0/1 nodes are available: 1 Insufficient cpu.'), [])).toMatch(
    /no node takes it: 0\/1/,
  );
  expect(
    lackedByPod(unschedulable('0/3 nodes are available: 3 node(s) had untolerated taint {a: }.'), []),
  ).toBeDefined();
  expect(
    lackedByPod(
      unschedulable('0/1 nodes are available: 1 node(s) had volume node affinity conflict, 1 Insufficient cpu.'),
      [],
    ),
  ).toBeUndefined();
  expect(
    lackedByPod(unschedulable('node has pod using PersistentVolumeClaim with ReadWriteOncePod'), []),
  ).toBeUndefined();
});

test('a container is known by its name, whatever a cluster has put into the pod beside it', () => {
  const own = { name: 'script', state: { terminated: { exitCode: 3 } } };
  const pod = { status: { containerStatuses: [{ name: 'istio-proxy', state: { running: {} } }, own] } } as V1Pod;
  expect(containerStatus(pod, 'script')).toBe(own);
  expect(containerStatus({}, 'script')).toBeUndefined();
});

test('a pod for which its node had no room is a harness error; one that failed or was evicted is none', () => {
  const failed = (status: V1Pod['status']): V1Pod => ({
    metadata: { name: 'p' },
    spec: { containers: [], nodeName: 'n' },
    status: { phase: 'Failed', ...status },
  });
  const message = 'Pod was rejected: Node didn’t have enough resource: cpu';
  expect(() => assertRoomFor(failed({ reason: 'OutOfcpu', message }))).toThrow(
    /node n had no room for pod p \(OutOfcpu\): Pod was rejected/,
  );
  expect(() => assertRoomFor(failed({ reason: 'Evicted' }))).not.toThrow();
  expect(() => assertRoomFor(failed({}))).not.toThrow();
  expect(describePod(failed({ reason: 'OutOfcpu', message }))).toBe(`Failed; OutOfcpu: ${message}`);
});
