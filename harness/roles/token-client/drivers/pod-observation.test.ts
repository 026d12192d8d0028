import type { V1Pod } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import { DeadlineExceeded } from '../../../core/errors.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { restarts } from '../record.ts';
import { identityAfter, identityOf } from './pod-observation.ts';

const CLIENT = { namespace: 'test', name: 'token-client', container: 'client' };

/** A pod as the kubelet reports it; without an id its container does not run. */
function podWith(restartCount: number, containerID?: string): V1Pod {
  const state = containerID === undefined ? { terminated: { exitCode: 70 } } : { running: { startedAt: new Date(0) } };
  const beside = { name: 'token-probe', restartCount: 7, image: '', imageID: '', ready: true };
  const container = { name: 'client', restartCount, state, image: '', imageID: '', ready: true };
  return {
    metadata: { uid: 'uid' },
    status: {
      containerStatuses: [beside, { ...container, ...(containerID === undefined ? {} : { containerID }) }],
    },
  } as V1Pod;
}

/** Gives these events one after another, and nothing more until the deadline. */
function watching(...events: { type: string; object: V1Pod }[]): Pick<ClusterHandle, 'watchPod'> {
  return {
    async watchPod(_namespace, _name, accept, { what, deadlineSeconds }) {
      for (const event of events) {
        const accepted = accept(event as Parameters<typeof accept>[0]);
        if (accepted !== undefined) {
          return accepted;
        }
      }
      throw new DeadlineExceeded(what, deadlineSeconds, 'nothing new');
    },
  };
}

const running = { type: 'ADDED', object: podWith(0, 'containerd://one') };
const known = identityOf(running.object, 'client');

describe('a restart that the kubelet reports late', () => {
  test.each([
    ['a container that ended', { type: 'MODIFIED', object: podWith(0) }],
    ['a restart count', { type: 'MODIFIED', object: podWith(1, 'containerd://two') }],
    ['another container without a restart count yet', { type: 'MODIFIED', object: podWith(0, 'containerd://two') }],
    ['a pod that is gone', { type: 'DELETED', object: podWith(0, 'containerd://one') }],
  ])('is seen: %s', async (_, later) => {
    const after = await identityAfter(watching(running, later), CLIENT, known);
    expect(restarts(known, after)).toEqual([expect.stringMatching(/^the client's process was replaced: /)]);
  });

  test('is waited for in vain where there was none', async () => {
    const after = await identityAfter(watching(running, running), CLIENT, known);
    expect(restarts(known, after)).toEqual([]);
  });

  test('of another container of the pod is none', () => {
    expect(known).toMatchObject({ restarts: 0, instance: 'containerd://one' });
  });
});
