import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../fixtures/workloads/lib/fake-api-server.ts';
import { RUN_OBJECT_LABEL, RUN_POD_ANNOTATION } from '../../core/names.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import { liveClusterOf } from '../../kubernetes/cluster-data-builders.ts';
import { enterRun, newRunId } from '../live-runs.ts';
import { removeLeftovers } from './leftovers.ts';

let api: FakeApiServer;
let data: ClusterData;
let cache: string;

beforeEach(async () => {
  cache = mkdtempSync(join(tmpdir(), 'conformance-leftovers-'));
  vi.stubEnv('XDG_CACHE_HOME', cache);
  api = await FakeApiServer.start();
  data = liveClusterOf(api.kubeconfig);
});
afterEach(async () => {
  await api.close();
  vi.unstubAllEnvs();
  rmSync(cache, { recursive: true });
});

const PODS = '/api/v1/namespaces/given/pods';
const RUNNERS = '/api/v1/namespaces/ci/pods';

/** What a run has left in the given namespace. @param pod where it ran */
function leave(name: string, runId: string, pod?: string): void {
  const annotations = pod === undefined ? {} : { annotations: { [RUN_POD_ANNOTATION]: pod } };
  api.create(PODS, { metadata: { name, labels: { [RUN_OBJECT_LABEL]: runId }, ...annotations } });
}

const left = (): string[] => api.list(PODS).map(({ metadata }) => metadata.name);
const clean = () => removeLeftovers(data, { given: ['given'], deadlineSeconds: 5 });

test('what a pod of the harness left goes when that is gone, has ended, or is another one of its name', async () => {
  const running = api.create(RUNNERS, { metadata: { name: 'running' }, status: { phase: 'Running' } });
  const ended = api.create(RUNNERS, { metadata: { name: 'ended' }, status: { phase: 'Failed' } });
  leave('of-running', 'a', `ci/running/${running.metadata.uid}`);
  leave('of-ended', 'b', `ci/ended/${ended.metadata.uid}`);
  leave('of-gone', 'c', 'ci/gone/uid');
  leave('of-namesake', 'd', 'ci/running/another-uid');
  const { objects, stuck } = await clean();
  expect(stuck).toEqual([]);
  expect(objects.toSorted()).toEqual(['b in given', 'c in given', 'd in given']);
  expect(left()).toEqual(['of-running']);
});

test('of runs without a pod, those go whose process is dead on this host, and of others nobody can say', async () => {
  const alive = newRunId();
  enterRun(alive);
  leave('of-alive', alive);
  leave('of-dead', newRunId());
  leave('of-elsewhere', 'ffffff00000000');
  expect((await clean()).objects).toHaveLength(1);
  expect(left().toSorted()).toEqual(['of-alive', 'of-elsewhere']);
});

test('what may not be deleted is told', async () => {
  leave('of-gone', 'c', 'ci/gone/uid');
  api.refuses = (method) => method === 'DELETE';
  const { objects, stuck } = await clean();
  expect(objects).toEqual([]);
  expect(stuck).toEqual([expect.stringMatching(/^c in given: .*pods\/of-gone is left behind/)]);
});

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const leaveRights = (resource: string, runId: string): void => {
  const labels = { [RUN_OBJECT_LABEL]: runId };
  api.create(`${RBAC}/${resource}`, { metadata: { name: `kac-${runId}-target-1`, labels } });
};

test('rights that a dead run gave to a target in the whole cluster go with its namespaces, and nobody else’s', async () => {
  const alive = newRunId();
  enterRun(alive);
  const dead = newRunId();
  for (const resource of ['clusterroles', 'clusterrolebindings']) {
    leaveRights(resource, alive);
    leaveRights(resource, dead);
    api.create(`${RBAC}/${resource}`, { metadata: { name: 'of-somebody-else' } });
  }
  const { clusterObjects, stuck } = await removeLeftovers(data, { given: [], deadlineSeconds: 5 });
  expect(stuck).toEqual([]);
  expect(clusterObjects).toEqual([`clusterrolebindings kac-${dead}-target-1`, `clusterroles kac-${dead}-target-1`]);
  for (const resource of ['clusterroles', 'clusterrolebindings']) {
    expect(api.list(`${RBAC}/${resource}`).map(({ metadata }) => metadata.name)).toEqual([
      `kac-${alive}-target-1`,
      'of-somebody-else',
    ]);
  }
});
