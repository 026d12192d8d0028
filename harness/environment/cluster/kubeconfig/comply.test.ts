import type { V1CronJob, V1Job, V1Namespace, V1PersistentVolumeClaim, V1Pod } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { podSpec } from '../../../probes/pods.ts';
import { type Settings, settingsSchema } from '../../../targets/settings.ts';
import { complying, mergePatch } from './comply.ts';

const settings = (given: unknown): Settings => settingsSchema.parse(given);
const post = <T>(given: unknown, path: string, body: T): T =>
  complying(settings(given))({ method: 'POST', path }, body) as T;

const PODS = '/api/v1/namespaces/n/pods';

test('every object gets the labels and annotations, and one that it has already stays', () => {
  const given = {
    labels: { team: 'a', owner: 'x' },
    annotations: { 'example.org/cost': '1' },
    namespaces: { labels: { tier: 'test' } },
  };
  expect(post<V1Namespace>(given, '/api/v1/namespaces', { metadata: { name: 'n', labels: { owner: 'y' } } })).toEqual({
    metadata: { name: 'n', labels: { team: 'a', owner: 'y', tier: 'test' }, annotations: { 'example.org/cost': '1' } },
  });
  expect(
    post(given, '/apis/rbac.authorization.k8s.io/v1/namespaces/n/roles', { metadata: { name: 'r' }, rules: [] }),
  ).toMatchObject({
    metadata: { labels: { team: 'a', owner: 'x' } },
  });
  expect(post(given, '/apis/example.org/v1/namespaces/n/things', { kind: 'Thing', metadata: {} })).toMatchObject({
    metadata: { labels: { team: 'a' } },
  });
});

test('what is no object to be made passes as it is', () => {
  const change = complying(settings({ labels: { team: 'a' } }));
  const body = { metadata: {}, spec: {} };
  for (const [method, path] of [
    ['POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'],
    ['POST', '/apis/authentication.k8s.io/v1/tokenreviews'],
    ['POST', '/api/v1/namespaces/n/serviceaccounts/default/token'],
    ['POST', '/api/v1/namespaces/n/pods/p/eviction'],
    ['PUT', '/api/v1/namespaces/n/pods/p'],
    ['POST', '/version'],
  ] as const) {
    expect(change({ method, path }, body)).toBe(body);
  }
});

test('pods get what pods have, and a pod that names its node no selector', () => {
  const given = {
    pods: {
      labels: { team: 'a' },
      nodeSelector: { pool: 'ci' },
      tolerations: [{ key: 'ci', operator: 'Exists' }],
      runtimeClassName: 'gvisor',
      priorityClassName: 'low',
      imagePullSecrets: [{ name: 'pull', fromNamespace: 'default' }],
    },
  };
  const pod: V1Pod = { metadata: { name: 'p' }, spec: podSpec('image', 'default', { name: 'c' }) };
  const { metadata, spec } = post<V1Pod>(given, PODS, pod);
  expect(metadata?.labels).toEqual({ team: 'a' });
  expect(spec).toMatchObject({
    nodeSelector: { pool: 'ci' },
    tolerations: [{ key: 'ci', operator: 'Exists' }],
    runtimeClassName: 'gvisor',
    priorityClassName: 'low',
    imagePullSecrets: [{ name: 'pull' }],
  });
  const bound = { ...pod, spec: { containers: [], nodeName: 'x' } };
  expect(post<V1Pod>(given, PODS, bound).spec?.nodeSelector).toBeUndefined();
});

test('the settings come before the harness’s own requests and limits, and after those that a requirement is about', () => {
  const given = { pods: { resources: { requests: { cpu: '100m' }, limits: { cpu: '1', memory: '128Mi' } } } };
  const own: V1Pod = { spec: podSpec('image', 'default', { name: 'c' }) };
  expect(post<V1Pod>(given, PODS, own).spec?.containers[0]?.resources).toEqual({
    requests: { cpu: '100m', memory: '32Mi' },
    limits: { cpu: '1', memory: '128Mi' },
  });
  const resources = { requests: { memory: '256Mi' }, limits: { cpu: '50m' } };
  const chosen: V1Pod = { spec: { containers: [{ name: 'c', image: 'i', resources }] } };
  expect(post<V1Pod>(given, PODS, chosen).spec?.containers[0]?.resources).toEqual({
    requests: { cpu: '50m', memory: '256Mi' },
    limits: { cpu: '50m', memory: '256Mi' },
  });
});

test('so do the templates of Jobs and CronJobs', () => {
  const given = { labels: { team: 'a' }, pods: { resources: { limits: { cpu: '1' } } } };
  const template = { spec: { containers: [{ name: 'c', image: 'i' }], initContainers: [{ name: 'i', image: 'i' }] } };
  const expected = {
    metadata: { labels: { team: 'a' } },
    spec: {
      containers: [{ resources: { limits: { cpu: '1' } } }],
      initContainers: [{ resources: { limits: { cpu: '1' } } }],
    },
  };
  const job = post<V1Job>(given, '/apis/batch/v1/namespaces/n/jobs', { spec: { template } });
  expect(job).toMatchObject({ metadata: { labels: { team: 'a' } }, spec: { template: expected } });
  const cron: V1CronJob = { spec: { schedule: '* * * * *', jobTemplate: { spec: { template } } } };
  expect(post<V1CronJob>(given, '/apis/batch/v1/namespaces/n/cronjobs', cron)).toMatchObject({
    metadata: { labels: { team: 'a' } },
    spec: { jobTemplate: { metadata: { labels: { team: 'a' } }, spec: { template: expected } } },
  });
});

test('a claim without a class gets the one that is named', () => {
  const path = '/api/v1/namespaces/n/persistentvolumeclaims';
  expect(post<V1PersistentVolumeClaim>({ storageClassName: 'gp3' }, path, { spec: {} }).spec?.storageClassName).toBe(
    'gp3',
  );
  const own = { spec: { storageClassName: 'own' } };
  expect(post<V1PersistentVolumeClaim>({ storageClassName: 'gp3' }, path, own).spec?.storageClassName).toBe('own');
});

test('what has no setting of its own is patched, in pod templates, too', () => {
  const patches = [{ kinds: ['Pod'], merge: { spec: { hostUsers: false }, metadata: { labels: { drop: null } } } }];
  const template = { metadata: { labels: { drop: 'x', keep: 'y' } }, spec: { containers: [] } };
  const job = post<V1Job>({ patches }, '/apis/batch/v1/namespaces/n/jobs', { spec: { template } });
  expect(job.spec?.template).toEqual({
    metadata: { labels: { keep: 'y' } },
    spec: { containers: [], hostUsers: false },
  });
  expect(mergePatch({ a: [1], b: { c: 1 } }, { a: [2], b: { d: 2 } })).toEqual({ a: [2], b: { c: 1, d: 2 } });
});
