import { Response } from 'undici';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeApiServer } from '../../../fixtures/workloads/lib/fake-api-server.ts';
import { HarnessError, NotApplicable } from '../../core/errors.ts';
import { LASTS_FOR_THE_RUN, RUN_OBJECT_LABEL, RUN_POD_ANNOTATION } from '../../core/names.ts';
import { liveClusterOf } from '../../kubernetes/cluster-data-builders.ts';
import { type ClusterHandle, createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import type { PodSecurity } from '../../rpc/protocol.ts';
import { GivenNamespaces, type NamespaceRequest, runsSeenIn } from './given-namespaces.ts';
import { describeTerminating } from './namespaces.ts';

let api: FakeApiServer;
/** Pod Security of the namespaces, by their name; one that is not here does not exist. */
let levels: Record<string, string | undefined>;

beforeEach(async () => {
  api = await FakeApiServer.start();
  levels = { one: undefined, two: 'restricted' };
});
afterEach(() => api.close());

function handle(): ClusterHandle {
  const real = createClusterHandle(liveClusterOf(api.kubeconfig));
  return {
    ...real,
    // The fake knows what is in namespaces, and not these themselves.
    request: async (path, init) => {
      if (path.startsWith('/apis/traefik.io/')) {
        // Not served.
        return new Response('404 page not found\n', { status: 404 });
      }
      const name = /^\/api\/v1\/namespaces\/([^/]+)$/.exec(path)?.[1];
      if (name === undefined) {
        return real.request(path, init);
      }
      if (!(name in levels)) {
        return Response.json({}, { status: 404 });
      }
      const labels = levels[name] === undefined ? {} : { 'pod-security.kubernetes.io/enforce': levels[name] };
      return Response.json({ metadata: { name, labels } });
    },
  };
}

const pods = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;
const names = (collection: string): string[] => api.list(collection).map(({ metadata }) => metadata.name);

const asking = (owner: string, purpose = 'main', podSecurity: PodSecurity = 'restricted'): NamespaceRequest => ({
  owner,
  purpose,
  podSecurity,
});

test('whoever asks has a namespace alone; who has them all already is told so', async () => {
  const given = new GivenNamespaces(handle(), 'run', ['one', 'two']);
  expect(await given.take(asking('a'))).toBe('one');
  expect(await given.take(asking('a', 'other'))).toBe('two');
  await expect(given.take(asking('a', 'third'))).rejects.toThrow(NotApplicable);
  await expect(given.take(asking('a', 'third'))).rejects.toThrow(/a further namespace \(third\).*kept to one, two/);
});

test('a namespace that enforces more than is needed will not do; one that does not exist is an error', async () => {
  const given = new GivenNamespaces(handle(), 'run', ['two']);
  await expect(given.take(asking('a', 'main', 'privileged'))).rejects.toThrow(
    /Pod Security privileged \(main\), and two enforces restricted/,
  );
  const open = new GivenNamespaces(handle(), 'run', ['one']);
  await expect(open.take({ ...asking('a'), enforced: true })).rejects.toThrow(
    /restricted \(main\), and one enforces privileged/,
  );
  await expect(new GivenNamespaces(handle(), 'run', ['none']).take(asking('a'))).rejects.toThrow(HarnessError);
});

test('the next one waits until it is given back, and finds nothing of the one before, and everything else as it was', async () => {
  const given = new GivenNamespaces(handle(), 'run', ['one']);
  await given.take(asking('a'));
  api.create(pods('one'), { metadata: { name: 'own', labels: { [RUN_OBJECT_LABEL]: 'run' } } });
  api.create(pods('one'), { metadata: { name: 'of-another-run', labels: { [RUN_OBJECT_LABEL]: 'other' } } });
  api.create(pods('one'), { metadata: { name: 'of-somebody' } });
  const jobs = '/apis/batch/v1/namespaces/one/jobs';
  api.create(jobs, { metadata: { name: 'job', labels: { [RUN_OBJECT_LABEL]: 'run' } } });
  const next = given.take(asking('b')).then((name) => [name, names(pods('one')), names(jobs)]);
  await given.giveBack('nobody');
  expect(names(pods('one'))).toContain('own');
  await given.giveBack('a');
  expect(await next).toEqual(['one', ['of-another-run', 'of-somebody'], []]);
});

test('a quota of the harness does not stay: the next one could start no pod', async () => {
  const quotas = '/api/v1/namespaces/one/resourcequotas';
  const given = new GivenNamespaces(handle(), 'run', ['one']);
  await given.take(asking('a'));
  api.create(quotas, { metadata: { name: 'no-pods', labels: { [RUN_OBJECT_LABEL]: 'run' } } });
  api.create(quotas, { metadata: { name: 'of-the-owner' } });
  await given.giveBack('a');
  expect(names(quotas)).toEqual(['of-the-owner']);
});

test('whoever gives back comes first, and what lasts comes after the others', async () => {
  const given = new GivenNamespaces(handle(), 'run', ['one']);
  await given.take(asking('a'));
  const order: string[] = [];
  const waiting = ['b', 'c', 'd'].map((owner) =>
    given.take({ ...asking(owner), lasts: owner === 'b' }).then(() => order.push(owner)),
  );
  // Each of them has looked at the namespace before it waits.
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (const owner of ['a', 'c', 'd']) {
    await given.giveBack(owner);
  }
  await Promise.all(waiting);
  expect(order).toEqual(['c', 'd', 'b']);
});

/** A file that has a namespace until it is over. */
const file = (owner: string, group = owner): NamespaceRequest => ({ ...asking(owner), group, lasts: true });

test('a file waits for the end of another that has the namespace', async () => {
  const given = new GivenNamespaces(handle(), 'run', ['one']);
  expect(await given.take(file('a'))).toBe('one');
  const next = given.take(file('b'));
  await given.giveBack('a');
  expect(await next).toBe('one');
});

test('nobody waits for what lasts as long as they themselves do', async () => {
  const given = new GivenNamespaces(handle(), 'run', ['one']);
  await given.take(file('a'));
  const part = { ...asking('a part'), group: 'a' };
  await expect(given.take(part)).rejects.toThrow(/a further namespace \(main\)/);
  const shared = new GivenNamespaces(handle(), 'run', ['two']);
  await shared.take(file('a', 'role'));
  await expect(shared.take(file('b', 'role'))).rejects.toThrow(NotApplicable);
});

test('of files that would wait for each other the last one is told so, and the other one is served', async () => {
  const given = new GivenNamespaces(handle(), 'run', ['one', 'two']);
  await given.take(file('a'));
  await given.take(file('b'));
  const first = given.take(file('a'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  await expect(given.take(file('b'))).rejects.toThrow(NotApplicable);
  await given.giveBack('b');
  expect(await first).toBe('two');
});

test('a policy that refuses the claim of a namespace is for the preflight to tell', async () => {
  const real = handle();
  const refusing: ClusterHandle = {
    ...real,
    request: async (path, init) =>
      init?.method === 'POST'
        ? Response.json({ message: 'denied request' }, { status: 422 })
        : real.request(path, init),
  };
  expect(await new GivenNamespaces(refusing, 'run', ['one']).take(asking('a'))).toBe('one');
});

test('what may not be deleted is told, to whoever would have it next, too', async () => {
  const given = new GivenNamespaces(handle(), 'run', ['one']);
  await given.take(asking('a'));
  api.create(pods('one'), { metadata: { name: 'own', labels: { [RUN_OBJECT_LABEL]: 'run' } } });
  api.refuses = (method) => method === 'DELETE';
  const next = expect(given.take(asking('b'))).rejects.toThrow(/pods\/own is left behind/);
  await given.giveBack('a');
  await next;
  await expect(given.clean()).rejects.toThrow(/pods\/own is left behind/);
});

test('what serves the whole run stays when an owner gives back, and goes in the end', async () => {
  const given = new GivenNamespaces(handle(), 'run', ['one']);
  await given.take(asking('a'));
  const labels = { [RUN_OBJECT_LABEL]: 'run' };
  api.create(pods('one'), { metadata: { name: 'own', labels } });
  api.create(pods('one'), { metadata: { name: 'provider', labels: { ...labels, ...LASTS_FOR_THE_RUN } } });
  await given.giveBack('a');
  expect(names(pods('one'))).toEqual(['provider']);
  await given.clean();
  expect(names(pods('one'))).toEqual([]);
});

test('runs are seen by what they left, each with the pod that it ran in', async () => {
  const pod = { [RUN_POD_ANNOTATION]: 'ci/runner/uid' };
  api.create(pods('one'), { metadata: { name: 'a', labels: { [RUN_OBJECT_LABEL]: 'first' }, annotations: pod } });
  api.create('/api/v1/namespaces/one/secrets', { metadata: { name: 'b', labels: { [RUN_OBJECT_LABEL]: 'second' } } });
  api.create(pods('one'), { metadata: { name: 'of-somebody' } });
  expect(await runsSeenIn(handle(), 'one')).toEqual([{ runId: 'first', pod: 'ci/runner/uid' }, { runId: 'second' }]);
});

test('a namespace that does not go says what it waits for', () => {
  const described = describeTerminating({
    metadata: { name: 'kac-1' },
    spec: { finalizers: ['kubernetes'] },
    status: {
      phase: 'Terminating',
      conditions: [
        { type: 'NamespaceDeletionDiscoveryFailure', status: 'False', message: 'all resources discovered' },
        {
          type: 'NamespaceFinalizersRemaining',
          status: 'True',
          message: 'Some content in the namespace has finalizers remaining: example.test/hold in 1 resource instances',
        },
      ],
    },
  });
  expect(described).toBe(
    'namespace kac-1 is Terminating; its finalizers: kubernetes; NamespaceFinalizersRemaining: Some content in the namespace has finalizers remaining: example.test/hold in 1 resource instances',
  );
});

test('a second run in the same namespace is told which one is there, until that has ended', async () => {
  const first = new GivenNamespaces(handle(), 'first', ['one']);
  await first.take(asking('a'));
  await first.giveBack('a');
  const second = new GivenNamespaces(handle(), 'second', ['one']);
  await expect(second.take(asking('b'))).rejects.toThrow(
    /namespace one is in use by the run first .*conformance clean/,
  );
  await first.clean();
  expect(await new GivenNamespaces(handle(), 'third', ['one']).take(asking('c'))).toBe('one');
});
