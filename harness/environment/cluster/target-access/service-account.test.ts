import { afterEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type FakeAnswer, FakeService } from '../../../fakes/fake-service.ts';
import type { StartedCluster } from '../cluster.ts';
import { BoundServiceAccount } from './service-account.ts';

const RULES = [{ apiGroups: ['batch'], resources: ['jobs'], verbs: ['create', 'list'] }];
const CLUSTER_RULES = [{ apiGroups: [''], resources: ['nodes'], verbs: ['get'] }];

let api: FakeService;
/** `VERB resource` of what the API server's authorizer allows. */
let allowed: Set<string>;

afterEach(() => api.close());

/** An API server that creates everything, except for the paths that have an answer of their own. */
async function start(owned: boolean, answers: Record<string, FakeAnswer> = {}): Promise<StartedCluster> {
  allowed = new Set(['create jobs', 'list jobs', 'get nodes']);
  api = await FakeService.start({
    answer({ path, body }) {
      const object = JSON.parse(body || '{}') as { spec?: { resourceAttributes?: { verb: string; resource: string } } };
      const asked = object.spec?.resourceAttributes;
      const status = path.endsWith('/token')
        ? { token: 'of-this-test', expirationTimestamp: '2030-01-01T00:00:00Z' }
        : { allowed: allowed.has(`${asked?.verb} ${asked?.resource}`) };
      return answers[path] ?? { status: 201, body: { ...object, status } };
    },
  });
  const kubeConfig = stringify({
    'current-context': 'x',
    clusters: [{ name: 'x', cluster: { server: api.url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'x', user: { token: 'harness' } }],
    contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
  });
  return { data: { kubeConfig, owned, apiAudiences: ['api'] } } as StartedCluster;
}

const made = (): string[] =>
  api.requests.flatMap(({ method, path }) =>
    /reviews$/.test(path) ? [] : [`${method} ${path.replace(/^.*\/v1\//, '')}`],
  );
const reviews = (): string[] => [
  ...new Set(api.requests.flatMap(({ path }) => (/reviews$/.test(path) ? [path.replace(/^.*\//, '')] : []))),
];

test('it is bound to its rules, in its namespace, elsewhere and in the cluster, and is ready when they take effect', async () => {
  const cluster = await start(true);
  const options = { namespace: 'agents', rules: RULES, elsewhere: { other: RULES }, clusterRules: CLUSTER_RULES };
  const account = await BoundServiceAccount.create(cluster, options, { id: '1', runId: 'run' });
  expect(account).toMatchObject({
    name: 'target-1',
    user: 'system:serviceaccount:agents:target-1',
    token: 'of-this-test',
  });
  expect(made().toSorted()).toEqual(
    [
      'POST namespaces/agents/serviceaccounts',
      'POST namespaces/agents/serviceaccounts/target-1/token',
      'POST namespaces/other/roles',
      'POST namespaces/other/rolebindings',
      'POST namespaces/agents/roles',
      'POST namespaces/agents/rolebindings',
      'POST clusterroles',
      'POST clusterrolebindings',
    ].toSorted(),
  );
  expect(reviews()).toEqual(['subjectaccessreviews']);
});

test('on a live cluster it asks for itself, and its ClusterRole is removed', async () => {
  const cluster = await start(false);
  const options = { namespace: 'agents', rules: RULES, clusterRules: CLUSTER_RULES };
  const account = await BoundServiceAccount.create(cluster, options, { id: '1', runId: 'run' });
  expect(reviews()).toEqual(['selfsubjectaccessreviews']);
  await account.remove();
  expect(made().slice(-2)).toEqual([
    'DELETE clusterrolebindings/kac-run-target-1-1',
    'DELETE clusterroles/kac-run-target-1-1',
  ]);
});

test('rules are replaced, and a right that is taken away is gone before that is settled', async () => {
  const cluster = await start(true);
  const account = await BoundServiceAccount.create(
    cluster,
    { namespace: 'agents', rules: RULES },
    { id: '1', runId: 'r' },
  );
  const settled = account.setRules([{ ...(RULES[0] ?? { apiGroups: [], resources: [] }), verbs: ['list'] }]);
  let isSettled = false;
  void settled.then(() => {
    isSettled = true;
  });
  await expect.poll(() => made().at(-1)).toBe('PUT namespaces/agents/roles/target-1');
  expect(isSettled).toBe(false);
  allowed.delete('create jobs');
  await settled;
});

test('rules that the harness may not give are a harness error that quotes them', async () => {
  const path = '/apis/rbac.authorization.k8s.io/v1/namespaces/agents/roles';
  const cluster = await start(true, { [path]: { status: 403, body: { kind: 'Status', code: 403 } } });
  const options = { namespace: 'agents', rules: RULES };
  await expect(BoundServiceAccount.create(cluster, options, { id: '1', runId: 'run' })).rejects.toThrow(
    /the harness may not give create jobs\.batch, list jobs\.batch in agents: .*bind and escalate on Roles/,
  );
});
