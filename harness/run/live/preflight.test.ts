import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadCatalogue } from '../../catalogue/catalogue.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import { endsRun, type Lack, lackingOf, renderLacks } from './lacks.ts';
import { type Needs, needsOf } from './needs.ts';
import { preflight } from './preflight.ts';
import { pathLacks } from './preflight-pods.ts';
import { describeNeed } from './rights.ts';

/** A cluster of one node that allows and admits everything, but for what a test says. */
interface Cluster {
  /** Rights that the harness does not have, as `create pods/exec`, `get /version` or `get pods in a`. */
  forbidden: string[];
  /** The same on the second cluster, which is asked for nothing but rights, a namespace and the time. */
  forbiddenOnSecond: string[];
  /** Answers to objects that are to be made, by resource. */
  refused: Record<string, { code: number; message: string }>;
  /** Answers to objects of a resource that do not have some text in them. */
  refusedUnless?: { resource: string; has: string; code: number; message: string };
  nodes: object[] | 'forbidden';
  classes: object[] | 'forbidden';
  date: Date;
  /** What the scheduler says of a pod that mounts a claim; undefined where it gets a volume. */
  unscheduled?: string;
  /** The StorageClass of a claim that names none. */
  assigned?: string;
  /** APIs that are not served, as `traefik.io/v1alpha1`. */
  notServed?: string[];
  /** What a pod tells, where it is not that all is well. */
  seenByPods?: { dns?: string; api?: string };
  /** What each namespace enforces, whatever its maker asks for. */
  enforces?: string;
}

const node = (change: object = {}): object => ({
  metadata: { name: 'n' },
  spec: {},
  status: {
    conditions: [{ type: 'Ready', status: 'True' }],
    nodeInfo: { operatingSystem: 'linux', architecture: 'amd64', kubeletVersion: 'v1' },
  },
  ...change,
});

const DEFAULT = { 'storageclass.kubernetes.io/is-default-class': 'true' };

let server: Server;
let cluster: Cluster;
let made: string[];

interface Review {
  spec: {
    resourceAttributes?: { verb: string; resource: string; subresource?: string; namespace?: string };
    nonResourceAttributes?: { verb: string; path: string };
  };
}

/** The right that a request takes, as an authorizer reads it, where it is about an object. */
function rightOf(method: string, { pathname, searchParams }: URL): string | undefined {
  const [, resource, name, subresource] =
    /^\/(?:api|apis\/[^/]+)\/v1\/(?:namespaces\/n\/)?([a-z]+)(?:\/([^/]+))?(?:\/([a-z]+))?/.exec(pathname) ?? [];
  if (resource === undefined) {
    return undefined;
  }
  const read = searchParams.get('watch') === 'true' ? 'watch' : name === undefined ? 'list' : 'get';
  const verb = { POST: 'create', DELETE: 'delete' }[method] ?? read;
  return `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`;
}

/** A pod of the preflight, as it is seen once it has started: all run, and the one that asks another has ended. */
function started(name: string, unscheduled: string | undefined): object {
  if (name === 'preflight-claim' && unscheduled !== undefined) {
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: unscheduled };
    return { metadata: { name }, spec: {}, status: { conditions: [condition] } };
  }
  const startedAt = new Date().toISOString();
  const state = name === 'preflight-reach' ? { terminated: { exitCode: 0 } } : { running: { startedAt } };
  return {
    metadata: { name, namespace: 'n' },
    spec: { nodeName: 'n' },
    status: {
      podIP: '10.0.0.1',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [{ name: 'probe', state }],
    },
  };
}

beforeEach(async () => {
  cluster = {
    forbidden: [],
    forbiddenOnSecond: [],
    refused: {},
    nodes: [node()],
    classes: [{ metadata: { name: 'only', annotations: DEFAULT } }],
    date: new Date(),
  };
  made = [];
  server = createServer(async (request, response) => {
    const isSecond = request.url?.startsWith('/second/') === true;
    const url = new URL(request.url?.replace(/^\/second/, '') ?? '/', 'http://api');
    const { [isSecond ? 'forbiddenOnSecond' : 'forbidden']: forbidden } = cluster;
    const answer = (code: number, body: object): void => {
      response.writeHead(code, { 'content-type': 'application/json', date: cluster.date.toUTCString() });
      response.end(JSON.stringify(body));
    };
    const resource = url.pathname.split('/').at(-1) ?? '';
    const needed = rightOf(request.method ?? '', url);
    if (needed !== undefined && forbidden.includes(needed)) {
      return answer(403, {
        message: `pods is forbidden: User "x" cannot ${needed.split(' ')[0]} resource "${resource}"`,
      });
    }
    if (url.searchParams.get('watch') === 'true') {
      const [, name = ''] = /^metadata.name=(.*)$/.exec(url.searchParams.get('fieldSelector') ?? '') ?? [];
      response.end(`${JSON.stringify({ type: 'ADDED', object: started(name, cluster.unscheduled) })}\n`);
      return;
    }
    if (url.pathname.endsWith('/proxy/')) {
      return answer(200, { arch: 'x64', at: Date.now(), dns: 'yes', api: 'yes', ...cluster.seenByPods });
    }
    if (resource === 'log') {
      response.end(url.pathname.includes('-reach') ? 'reached 200' : JSON.stringify({ at: Date.now(), dns: 'yes' }));
      return;
    }
    if (request.method === 'DELETE') {
      return answer(200, {});
    }
    if (cluster.notServed?.some((api) => url.pathname === `/apis/${api}`) === true) {
      return answer(404, { message: 'the server could not find the requested resource' });
    }
    const labels = { 'pod-security.kubernetes.io/enforce': cluster.enforces ?? 'privileged' };
    if (request.method === 'GET' && /^\/api\/v1\/namespaces\/[a-z]+$/.test(url.pathname)) {
      return answer(200, { metadata: { labels } });
    }
    if (request.method !== 'POST') {
      if (resource === 'nodes' && cluster.nodes === 'forbidden') {
        return answer(403, { message: 'no' });
      }
      if (resource === 'storageclasses' && cluster.classes === 'forbidden') {
        return answer(403, { message: 'no' });
      }
      const items = resource === 'nodes' ? cluster.nodes : resource === 'storageclasses' ? cluster.classes : [];
      return answer(200, { items });
    }
    const body = await json(request);
    if (resource === 'selfsubjectaccessreviews') {
      const { resourceAttributes, nonResourceAttributes } = (body as Review).spec;
      const { verb, resource: of = '', subresource } = resourceAttributes ?? { verb: '' };
      const right =
        nonResourceAttributes === undefined
          ? `${verb} ${of}${subresource === undefined ? '' : `/${subresource}`}`
          : `${nonResourceAttributes.verb} ${nonResourceAttributes.path}`;
      const isForbidden =
        forbidden.includes(right) || forbidden.includes(`${right} in ${resourceAttributes?.namespace}`);
      return answer(201, { status: { allowed: !isForbidden } });
    }
    const refused = cluster.refused[resource];
    if (refused !== undefined) {
      return answer(refused.code, { message: refused.message });
    }
    const { refusedUnless } = cluster;
    if (refusedUnless?.resource === resource && !JSON.stringify(body).includes(refusedUnless.has)) {
      return answer(refusedUnless.code, { message: refusedUnless.message });
    }
    if (!url.searchParams.has('dryRun')) {
      made.push(resource);
    }
    if (resource === 'namespaces' && cluster.enforces !== undefined) {
      return answer(201, { metadata: { labels } });
    }
    if (resource === 'persistentvolumeclaims') {
      const { spec } = body as { spec: object };
      const assigned = cluster.assigned === undefined ? {} : { storageClassName: cluster.assigned };
      return answer(201, { ...(body as object), spec: { ...assigned, ...spec } });
    }
    return answer(201, body as object);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
});

const { requirements } = loadCatalogue();
const rowsOf = (...ids: string[]): typeof requirements => requirements.filter(({ id }) => ids.includes(id));
const needs = (...ids: string[]): Needs => ({
  ...needsOf(rowsOf(...ids)),
  // What is pulled is seen on a real node alone.
  images: [],
});

function look(
  options: Needs,
  more: { given?: string[]; misreadsTokens?: string; storageClass?: string } = {},
): Promise<Lack[]> {
  const { given, ...data } = more;
  return preflight({
    needs: options,
    namespace: async () => 'n',
    onProgress: () => undefined,
    ...(given === undefined ? {} : { given }),
    data: { ...clusterData(), ...data },
    ...(options.peer === undefined ? {} : { peer: { context: 'b', cluster: clusterData('/second') } }),
  });
}

/** @param path of the server at which the cluster is: `/second` for the second one */
function clusterData(path = ''): ClusterData {
  return {
    kind: 'kubeconfig',
    kubeConfig: JSON.stringify({
      'current-context': 'x',
      clusters: [
        {
          name: 'x',
          cluster: {
            server: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
            'insecure-skip-tls-verify': true,
          },
        },
      ],
      users: [{ name: 'x', user: { token: 't' } }],
      contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
    }),
    issuer: '',
    apiAudiences: [],
    owned: false,
    workloadImage: 'image',
    resolver: { routes: {}, ca: '' },
  };
}

test('a cluster that has everything lacks nothing, and nothing is made on it', async () => {
  expect(await look(needs('RB-01', 'JL-01'))).toEqual([]);
  expect(made).toEqual([]);
});

test('a right that is missing is told with the requirements that need it, and with what grants it', async () => {
  cluster.forbidden = ['create networkpolicies'];
  const lacks = await look(needs('RB-01', 'WH-08'));
  expect(lacks).toEqual([
    expect.objectContaining({ missing: 'right: create networkpolicies.networking.k8s.io', requirements: ['WH-08'] }),
  ]);
  expect(renderLacks(lacks).join('\n')).toMatch(
    /create networkpolicies[\s\S]*needed by: WH-08[\s\S]*plan --output rbac/,
  );
  expect(lackingOf(lacks)).toEqual({
    'WH-08': expect.stringMatching(/lacks for the harness: right: create networkpolicies.* fix: .*plan --output rbac/),
  });
});

/** What a selection needs, with one image, so that pods are started. */
function withPods(isSelected: (row: (typeof requirements)[number]) => boolean, namespaces: string[] = []): Needs {
  const selected = needsOf(requirements.filter(isSelected), { namespaces });
  const ids = selected.requirements.map(({ id }) => id);
  const image = { name: 'node', reference: 'image', variable: 'V', why: 'pods', requirements: ids } as const;
  return { ...selected, images: [image] };
}

describe.each([
  ['RB-01 to RB-09', withPods(({ id }) => /^RB-0/.test(id)), undefined],
  ['a job runner', withPods(({ id }) => /^JL-0[1-9]$/.test(id)), undefined],
  ['job runners', withPods(({ role }) => role === 'job-runner'), undefined],
  ['session managers', withPods(({ role }) => role === 'session-manager'), undefined],
  ['session operators', withPods(({ role }) => role === 'session-operator'), undefined],
  ['a job runner in one namespace', withPods(({ id }) => id === 'JL-21', ['n']), 'n'],
])('of the rights that %s needs', (_, selected, given) => {
  const kept = given === undefined ? {} : { given: [given] };

  test('none is missing: nothing is told', async () => {
    expect(await look(selected, kept)).toEqual([]);
    expect(made).toContain('pods');
  });

  test.each(selected.rights.map((right) => [describeNeed(right), right] as const))(
    '%s is missing: that alone is told, with whom it is for and how to fix it',
    async (name, { verb, resource, requirements: ids }) => {
      cluster.forbidden = [`${verb} ${resource}`];
      expect(await look(selected, kept)).toEqual([
        {
          missing: `right: ${name}`,
          found: `SelfSubjectAccessReview: not allowed${given === undefined ? '' : ' in n'}`,
          fix: expect.stringContaining(`plan ${given === undefined ? '' : '--namespace n '}--output rbac`),
          requirements: ids,
        },
      ]);
    },
  );
});

test('a right that is missing in one of several namespaces is told with which', async () => {
  cluster.forbidden = ['create pods in b'];
  const selected = { ...needsOf(rowsOf('JL-21'), { namespaces: ['a', 'b'] }), images: [] };
  expect(await look(selected, { given: ['a', 'b'] })).toEqual([
    expect.objectContaining({
      missing: 'right: create pods',
      found: 'SelfSubjectAccessReview: not allowed in b',
      fix: expect.stringContaining('plan --namespace a --namespace b --output rbac'),
    }),
  ]);
});

describe('rights that are given to what is evaluated', () => {
  const kept = (...ids: string[]): Needs => ({ ...needsOf(rowsOf(...ids), { namespaces: ['a'] }), images: [] });

  test('end a run where a target documents them', async () => {
    cluster.forbidden = ['patch jobs', 'escalate roles'];
    const needed = kept('RB-20', 'RB-06');
    const lacks = await look(needed, { given: ['a'] });
    expect(lacks).toEqual([
      expect.objectContaining({
        missing: 'right: patch jobs.batch (to give it to what is evaluated)',
        requirements: ['RB-20'],
      }),
    ]);
    expect(endsRun(lacks, needed)).toBe(true);
  });

  test('are left out where a requirement gives them to accounts of its own', async () => {
    cluster.forbidden = ['escalate roles', 'bind roles', 'get secrets'];
    const needed = kept('RB-04', 'RB-06');
    const lacks = await look(needed, { given: ['a'] });
    expect(lacks.map(({ missing, requirements: ids }) => [missing.split(' (')[0], ids])).toEqual([
      ['right: get secrets', ['RB-04']],
      ['right: bind roles.rbac.authorization.k8s.io', ['RB-04']],
      ['right: escalate roles.rbac.authorization.k8s.io', ['RB-04']],
    ]);
    expect(lacks.at(-1)?.fix).toMatch(/reaches too far for the Role/);
    expect(endsRun(lacks, needed)).toBe(false);
  });

  test('need not be held by whoever may escalate', async () => {
    cluster.forbidden = ['patch jobs', 'get secrets'];
    expect(await look(kept('RB-20', 'RB-04'), { given: ['a'] })).toEqual([]);
  });
});

test('a right beyond the namespaces that a run is kept to is left out', async () => {
  cluster.forbidden = ['create customresourcedefinitions'];
  const needed = { ...needsOf(rowsOf('RB-20s', 'RB-20m'), { namespaces: ['a'] }), images: [] };
  const lacks = await look(needed, { given: ['a'] });
  expect(lacks).toEqual([
    expect.objectContaining({
      missing: 'right: create customresourcedefinitions.apiextensions.k8s.io',
      fix: expect.stringContaining('the ClusterRole'),
      requirements: ['RB-20s'],
      leavesOut: true,
    }),
  ]);
  expect(endsRun(lacks, needed)).toBe(false);
  expect(endsRun(lacks, needs('RB-20s'))).toBe(true);
});

test('an API that only the reference needs is left out; a target of the role has to have it', async () => {
  cluster.notServed = ['traefik.io/v1alpha1'];
  // Of WH-07o there are dry runs of manifests alone.
  const lacks = await look(needs('RB-20o', 'RB-01', 'WH-07o'));
  expect(lacks).toEqual([
    expect.objectContaining({ missing: 'the API traefik.io/v1alpha1', requirements: ['RB-20o'], leavesOut: true }),
  ]);
  expect(endsRun(lacks, needs('RB-20o', 'RB-01'))).toBe(false);
  const ofTarget: Needs = { ...needs('RB-20o', 'RB-01'), targetRoles: ['session-operator'] };
  expect(endsRun(await look(ofTarget), ofTarget)).toBe(true);
});

test('what else is missing for what is left out anyway does not end a run', () => {
  const lack = { missing: 'm', found: 'f', fix: 'x' };
  const all = needs('RB-01', 'RB-20o');
  const leftOut: Lack = { ...lack, requirements: ['RB-20o'], leavesOut: true };
  expect(endsRun([leftOut, { ...lack, requirements: ['RB-20o'] }], all)).toBe(false);
  expect(endsRun([leftOut, { ...lack, requirements: ['RB-20o', 'RB-01'] }], all)).toBe(true);
});

test('what is missing for the same reason and the same requirements is told together', () => {
  const lack = { found: 'not allowed', fix: 'x', requirements: ['RB-01'] };
  expect(
    renderLacks([
      { ...lack, missing: 'right: get pods' },
      { ...lack, missing: 'right: list pods' },
      { ...lack, missing: 'right: get jobs', requirements: ['RB-02'] },
    ]).filter((line) => line.includes('right')),
  ).toEqual(['  right: get pods, list pods', '  right: get jobs']);
});

describe('Pod Security below restricted', () => {
  const found = (lacks: Lack[]): unknown[] =>
    lacks.map(({ missing, found: words, requirements: ids, leavesOut }) => [missing, words, ids, leavesOut]);

  test('is not there where the cluster makes every namespace enforce restricted', async () => {
    cluster.enforces = 'restricted';
    expect(found(await look(needs('JL-09', 'WH-07o', 'RB-01')))).toEqual([
      ['a namespace of Pod Security baseline', 'the cluster makes it enforce restricted', ['JL-09'], true],
      ['a namespace of Pod Security privileged', 'the cluster makes it enforce restricted', ['WH-07o'], true],
    ]);
  });

  test('is not there where a policy refuses such a namespace, in its words', async () => {
    const message = "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: only restricted";
    cluster.refusedUnless = { resource: 'namespaces', has: '"restricted"', code: 422, message };
    expect(found(await look(needs('WH-07o', 'RB-01')))).toEqual([
      ['a namespace of Pod Security privileged', expect.stringContaining('only restricted'), ['WH-07o'], true],
    ]);
  });

  test('is of no use where a policy refuses the pods themselves', async () => {
    const message = 'admission webhook "w" denied the request: run as non-root';
    cluster.refusedUnless = { resource: 'pods', has: 'runAsNonRoot', code: 403, message };
    expect(found(await look(needs('JL-09', 'WH-07o', 'RB-01')))).toEqual([
      ['a namespace of Pod Security baseline', expect.stringContaining('run as non-root'), ['JL-09'], true],
    ]);
  });

  test('is looked for in the namespaces that a run is kept to', async () => {
    const kept = { ...needsOf(rowsOf('JL-09', 'JL-01'), { namespaces: ['a', 'b'] }), images: [] };
    expect(await look(kept, { given: ['a', 'b'] })).toEqual([]);
    cluster.enforces = 'restricted';
    expect(found(await look(kept, { given: ['a', 'b'] }))).toEqual([
      ['a namespace of Pod Security baseline', 'a enforces restricted, b enforces restricted', ['JL-09'], true],
    ]);
  });
});

test('rights that the preflight alone would use are not asked of anybody', async () => {
  cluster.forbidden = ['get pods/proxy', 'get pods/log'];
  const selected = withPods(({ id }) => id === 'RB-05');
  expect(selected.rights.map(describeNeed)).not.toContain('get pods/log');
  expect(await look(selected)).toEqual([]);
});

test('without the rights to remove what it makes, it makes nothing', async () => {
  cluster.forbidden = ['delete namespaces'];
  await look(withPods(({ id }) => id === 'RB-01'));
  expect(made).toEqual([]);
});

test.each([
  ['a Namespace', 'namespaces', 422, 'ValidatingAdmissionPolicy denied request: a Namespace needs the label team'],
  ['a Pod', 'pods', 403, 'exceeded quota: q, requested: pods=1'],
  ['a Job', 'jobs', 403, 'admission webhook "w" denied the request: no Jobs on Sundays'],
])('what a policy says to %s is told in its words', async (what, resource, code, message) => {
  cluster.refused = { [resource]: { code, message } };
  expect(await look(needs('JL-01'))).toEqual([
    expect.objectContaining({
      missing: `admission of ${what}`,
      found: expect.stringContaining(message),
      requirements: ['JL-01'],
    }),
  ]);
});

test('a policy about one kind of object is told with the requirements that make one', async () => {
  const message = "ValidatingAdmissionPolicy 'labels' with binding 'labels' denied request: team is required";
  cluster.refused = { networkpolicies: { code: 422, message }, secrets: { code: 422, message } };
  const lacks = await look(needs('RB-05', 'WH-08', 'WH-06'));
  expect(lacks.map(({ missing, requirements: ids }) => [missing, ids])).toEqual([
    ['admission of a Secret', ['WH-06']],
    ['admission of a NetworkPolicy', ['WH-08']],
  ]);
});

test.each([
  ['not Ready', { status: { conditions: [{ type: 'Ready', status: 'False' }] } }],
  ['cordoned', { spec: { unschedulable: true } }],
  [
    'of another architecture',
    {
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        nodeInfo: { operatingSystem: 'linux', architecture: 's390x' },
      },
    },
  ],
])('a node that is %s is none', async (_, change) => {
  cluster.nodes = [node(change)];
  expect(await look(needs('RB-01'))).toEqual([expect.objectContaining({ missing: 'a node' })]);
  cluster.nodes = [node(change), node()];
  expect(await look(needs('RB-01'))).toEqual([]);
});

test('who may not list nodes is not stopped by that', async () => {
  cluster.nodes = 'forbidden';
  expect(await look(needs('RB-01'))).toEqual([]);
});

test('of several StorageClasses none of which is the default one, the owner has to name one', async () => {
  cluster.classes = [{ metadata: { name: 'gp3' } }, { metadata: { name: 'io2' } }];
  const [lack] = await look(needs('PV-08', 'RB-01'));
  expect(lack).toMatchObject({ missing: 'a StorageClass to use', requirements: ['PV-08'] });
  expect(lack?.found).toMatch(/gp3, io2/);
  expect(await look(needs('PV-08'), { storageClass: 'gp3' })).toEqual([]);
});

test('a requirement that can be evaluated in part without a claim does not lack a StorageClass', async () => {
  cluster.classes = [];
  expect(await look(needs('WH-06', 'PV-08'))).toEqual([
    {
      missing: 'a StorageClass to use',
      found: 'none is the default one; there are none at all',
      fix: expect.stringMatching(/^install a provisioner with a StorageClass, or say .* that there is none/),
      requirements: ['PV-08'],
    },
  ]);
  expect(await look(needs('WH-06'))).toEqual([]);
});

test('claims of a target file that name no StorageClass get the default one alone', async () => {
  const lack = {
    missing: 'a StorageClass for claims that name none',
    found: 'none is the default one; there are only',
    fix: expect.stringMatching(/a default StorageClass, or storageClassName in the claims of the target file/),
    requirements: ['JL-43', 'PV-20'],
  };
  cluster.classes = [{ metadata: { name: 'only' } }];
  expect(await look(needs('PV-20', 'JL-43', 'JL-20', 'PV-08'))).toEqual([expect.objectContaining(lack)]);
  expect(await look(needs('PV-20', 'JL-43'), { storageClass: 'only' })).toEqual([]);
  cluster.classes = [{ metadata: { name: 'only', annotations: DEFAULT } }];
  expect(await look(needs('PV-20', 'JL-43'))).toEqual([]);
});

test('a StorageClass that is named has to exist', async () => {
  expect(await look(needs('WH-06', 'PV-08'), { storageClass: 'gp4' })).toEqual([
    {
      missing: 'the StorageClass gp4',
      found: 'there are only',
      fix: expect.stringMatching(/storageClassName in --settings/),
      requirements: ['PV-08', 'WH-06'],
    },
  ]);
});

describe('a claim of a StorageClass', () => {
  test('that gives it a volume lacks nothing', async () => {
    expect(await look(needs('WH-06', 'PV-08'))).toEqual([]);
    expect(made).toEqual(['persistentvolumeclaims', 'pods']);
  });

  test('that nobody makes volumes for is told at once, in the words of the scheduler', async () => {
    cluster.unscheduled = "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.";
    expect(await look(needs('WH-06', 'PV-08', 'RB-01'))).toEqual([
      {
        missing: 'a volume for a claim of the StorageClass only',
        found: cluster.unscheduled,
        fix: expect.stringMatching(/see its provisioner, or use another StorageClass: storageClassName/),
        requirements: ['PV-08', 'WH-06'],
      },
    ]);
  });

  test('that cannot be listed is the one that the API server gives, or none', async () => {
    cluster.classes = 'forbidden';
    cluster.assigned = 'auto';
    expect(await look(needs('WH-06', 'PV-08'))).toEqual([]);
    delete cluster.assigned;
    expect(await look(needs('WH-06', 'PV-08'))).toEqual([
      expect.objectContaining({ missing: 'a StorageClass to use', requirements: ['PV-08'] }),
    ]);
  });

  test('that a policy refuses is told in its words', async () => {
    cluster.refused = { persistentvolumeclaims: { code: 403, message: 'exceeded quota: q, requested: storage=1Gi' } };
    expect(await look(needs('WH-06', 'PV-08'))).toEqual([
      expect.objectContaining({ missing: 'admission of a PersistentVolumeClaim', requirements: ['PV-08', 'WH-06'] }),
    ]);
  });

  test('that the owner says there is none of is not tried', async () => {
    const { storageClass: _, ...selected } = needs('WH-06', 'PV-08');
    expect(await look({ ...selected, storageClass: false })).toEqual([]);
    expect(made).toEqual([]);
  });
});

test('clocks that differ are told', async () => {
  cluster.date = new Date(Date.now() - 60_000);
  expect(await look(needs('RB-01'))).toEqual([
    expect.objectContaining({ missing: 'clocks that agree', found: expect.stringMatching(/differ by (59|60|61) s/) }),
  ]);
});

test('a front that takes no ServiceAccount tokens is in the way of what shows one', async () => {
  expect(await look(needs('AI-20', 'PV-08'), { misreadsTokens: 'is answered with 401' })).toEqual([
    expect.objectContaining({ missing: 'an API server that takes ServiceAccount tokens', requirements: ['AI-20'] }),
  ]);
});

test('a run that is kept to a namespace needs none to be made', async () => {
  cluster.refused = { namespaces: { code: 403, message: 'denied the request' } };
  cluster.forbidden = ['create namespaces'];
  const kept = {
    ...needsOf(
      requirements.filter(({ id }) => id === 'RB-01'),
      { namespaces: ['a'] },
    ),
    images: [],
  };
  expect(await look(kept, { given: ['a'] })).toEqual([]);
});

test('a quota that is full is not told as something that settings could change alone', async () => {
  cluster.refused = {
    pods: { code: 403, message: 'pods "preflight" is forbidden: exceeded quota: q, limited: pods=0' },
  };
  expect(await look(needs('RB-01'))).toMatchObject([{ fix: expect.stringMatching(/make room in the quota/) }]);
});

test('a quota that takes one kind of pod and refuses another is told', async () => {
  const message = 'pods "preflight" is forbidden: failed quota: compute: must specify limits.memory for: server';
  cluster.refusedUnless = { resource: 'pods', has: '"limits"', code: 403, message };
  expect(await look(needs('RB-01'))).toMatchObject([
    { missing: 'admission of a Pod', found: expect.stringContaining(message) },
  ]);
});

test.each([
  ['TimeoutError: The operation was aborted due to timeout', /aborted due to timeout/],
  ['Error: connect ECONNREFUSED 10.42.0.7:8080', /ECONNREFUSED/],
  ['', /it wrote nothing/],
])('pods that do not reach each other are told: %s', (log, found) => {
  const [lack, ...others] = pathLacks(log, ['TR-21']);
  expect(others).toEqual([]);
  expect(lack).toMatchObject({ missing: 'a way from pods to pods', found: expect.stringMatching(found) });
  expect(lack?.fix).toMatch(/NetworkPolicy/);
});

test('what a default-deny NetworkPolicy keeps pods from is told with whom it is for', async () => {
  cluster.seenByPods = { dns: 'EAI_AGAIN', api: 'ECONNREFUSED' };
  const selected = withPods(({ id }) => ['JL-10', 'AI-20', 'TR-21', 'WH-07', 'RB-06'].includes(id));
  const lacks = await look(selected);
  expect(lacks.map(({ missing, found, requirements: ids }) => [missing, found, ids])).toEqual([
    ['DNS in pods', 'kubernetes.default.svc: EAI_AGAIN', ['JL-10', 'TR-21']],
    ['a way from pods to the API server', 'a connection from a pod of the harness: ECONNREFUSED', ['TR-21', 'WH-07']],
  ]);
});

test('whatever a pod is answered, it has reached the other one', () => {
  expect(pathLacks('reached 200\n', ['TR-21'])).toEqual([]);
});

test('of a second cluster the rights, a namespace and the clock are looked at, and told with its context', async () => {
  const two = (...ids: string[]): Needs => ({
    ...needsOf(
      requirements.filter(({ id }) => ids.includes(id)),
      { peer: true },
    ),
    images: [],
  });
  expect(await look(two('AI-06', 'RB-01'))).toEqual([]);
  cluster.forbiddenOnSecond = ['create serviceaccounts/token', 'create pods'];
  const lacks = await look(two('AI-06', 'RB-01'));
  expect(lacks).toEqual([
    expect.objectContaining({
      missing: 'second cluster (context "b"): right: create serviceaccounts/token',
      requirements: ['AI-06'],
      fix: expect.stringMatching(/plan --peer-context b --output rbac/),
    }),
  ]);
  expect(await look(two('RB-01'))).toEqual([]);
});
