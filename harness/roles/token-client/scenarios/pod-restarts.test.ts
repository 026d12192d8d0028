import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import { DeadlineExceeded, HarnessError, NotTestable } from '../../../core/errors.ts';
import { startedOrEnded, withCacheFor } from './pod-restarts.ts';

const mounts = [{ name: 'cache', mountPath: '/cache' }];
const POD: V1Pod = {
  metadata: { name: 'client' },
  spec: {
    initContainers: [{ name: 'first', volumeMounts: mounts }],
    containers: [
      {
        name: 'client',
        securityContext: { runAsUser: 7 },
        volumeMounts: [{ name: 'home', mountPath: '/' }, ...mounts],
      },
      { name: 'beside', volumeMounts: mounts },
    ],
    volumes: [
      { name: 'home', emptyDir: {} },
      { name: 'cache', emptyDir: {} },
    ],
  },
};
const CLAIM = { name: 'cache', persistentVolumeClaim: { claimName: 'token-client-cache' } };
const podOf = (start: Parameters<typeof withCacheFor>[0]): V1Pod['spec'] =>
  withCacheFor(start, POD, { container: 'client', volume: 'cache' }, 'some/image').spec;

test('a start has the claim in the place of its emptyDir, and nothing else is changed', () => {
  for (const start of ['kept', 'replaced'] as const) {
    expect(podOf(start)).toEqual({ ...POD.spec, volumes: [{ name: 'home', emptyDir: {} }, CLAIM] });
  }
  expect(podOf('emptied')).toEqual(POD.spec);
});

test('what makes the cache corrupt comes before all else, as the user of the client', () => {
  expect(podOf('corrupt')).toEqual({
    ...POD.spec,
    volumes: [{ name: 'home', emptyDir: {} }, CLAIM],
    initContainers: [
      expect.objectContaining({
        image: 'some/image',
        securityContext: expect.objectContaining({ runAsUser: 7, allowPrivilegeEscalation: false }),
        volumeMounts: [expect.objectContaining({ name: 'cache' })],
      }),
      ...(POD.spec?.initContainers ?? []),
    ],
  });
});

test('only the client cannot write to it, and to nothing else', () => {
  const { volumes, containers } = podOf('unwritable') ?? {};
  expect(volumes).toContainEqual(CLAIM);
  expect(containers).toEqual([
    {
      ...POD.spec?.containers[0],
      volumeMounts: [
        { name: 'home', mountPath: '/' },
        { name: 'cache', mountPath: '/cache', readOnly: true },
      ],
    },
    POD.spec?.containers[1],
  ]);
});

describe('a start', () => {
  /** What comes of a pod whose status was this until the deadline. */
  const outcomeOf = (status: V1Pod['status']): ReturnType<typeof startedOrEnded> =>
    startedOrEnded(
      {
        async watchPod(_namespace, _name, accept, { what, deadlineSeconds }) {
          const seen = accept({ type: 'MODIFIED', object: { ...POD, ...(status === undefined ? {} : { status }) } });
          if (seen === undefined) {
            throw new DeadlineExceeded(what, deadlineSeconds, 'this');
          }
          return seen;
        },
      },
      'namespace',
      'client',
      { container: 'client', startSeconds: 5 },
    );
  const container = (name: string, state: V1ContainerStatus['state'], restartCount = 0): V1ContainerStatus =>
    ({ name, state, restartCount }) as V1ContainerStatus;
  const waiting = { waiting: { reason: 'PodInitializing' } };
  const ended = (exitCode: number, message?: string): V1ContainerStatus['state'] => ({
    terminated: { exitCode, reason: 'Error', ...(message === undefined ? {} : { message }) },
  });

  test('has come to where the client can be called when the pod is Ready', async () => {
    expect(await outcomeOf({ conditions: [{ type: 'Ready', status: 'True' }] })).not.toHaveProperty('why');
  });

  test.each([
    ['the client ended', { containerStatuses: [container('client', ended(1))] }, /client Error \(1\)/],
    ['it was started again', { containerStatuses: [container('client', { running: {} }, 1)] }, /1 restarts/],
    ['what comes before it ended', { initContainerStatuses: [container('first', ended(3))] }, /first Error \(3\)/],
    ['it is never ready', { containerStatuses: [container('client', { running: {} })] }, /5\.0 s.*to be Ready/],
  ])('has failed, and says why, when %s', async (_, status, told) => {
    expect(await outcomeOf(status)).toMatchObject({ why: expect.stringMatching(told) });
  });

  test('says nothing of the client where nothing of it was ever run', async () => {
    const beside = container('beside', { running: {} });
    await expect(outcomeOf({ containerStatuses: [container('client', waiting), beside] })).rejects.toThrow(NotTestable);
    await expect(outcomeOf({})).rejects.toThrow(NotTestable);
  });

  test('is a fault of the harness where the cache could not be made corrupt', async () => {
    const status = { initContainerStatuses: [container('kube-agent-conformance-corrupt', ended(1, 'EACCES'))] };
    await expect(outcomeOf(status)).rejects.toThrow(HarnessError);
    await expect(outcomeOf(status)).rejects.toThrow(/EACCES/);
  });
});
