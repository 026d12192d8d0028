import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { loadCatalogue, type Requirement } from '../../catalogue/catalogue.ts';
import { loadTarget } from '../../targets/load.ts';
import { measuredOf, unmeasured } from './measured.ts';
import { type NeedsOptions, needsOf } from './needs.ts';
import { describeNeed, type NeededRight, rulesOf } from './rights.ts';

const { requirements } = loadCatalogue();
const rows = (...ids: string[]): Requirement[] => requirements.filter(({ id }) => ids.includes(id));

test('what a ledger holds is told by requirement', () => {
  const entry = { requirement: 'RB-01', group: '', namespaced: true, count: 2 };
  expect(
    measuredOf([
      { ...entry, verb: 'create', resource: 'pods' },
      { ...entry, verb: 'list', resource: 'jobs', group: 'batch', namespaced: false },
      { ...entry, verb: 'patch', resource: 'cronjobs/status', group: 'batch' },
      { ...entry, verb: 'get', path: '/version', namespaced: false },
      { ...entry, verb: 'patch', resource: 'jobs', group: 'batch', isGiven: true },
      { verb: 'get', group: '', path: '/version', namespaced: false, count: 1 },
    ]),
  ).toEqual({
    'RB-01': {
      'create pods': 2,
      'cluster list jobs.batch': 2,
      'patch cronjobs.batch/status': 2,
      'get /version': 2,
      'give patch jobs.batch': 2,
    },
  });
});

test('a right that nobody was measured to need is told, once somebody asks for it', () => {
  const entry = { requirement: 'RB-01', group: '', namespaced: true, count: 1 };
  expect(unmeasured([{ ...entry, verb: 'create', resource: 'pods' }], requirements)).toEqual([]);
  expect(unmeasured([{ ...entry, verb: 'create', resource: 'unicorns' }], requirements)).toEqual([
    expect.stringMatching(/RB-01 asks to create unicorns.*measure-rights/),
  ]);
});

test('what needs a cluster of the harness’s own is not applicable and says why', () => {
  const { requirements: applicable, notApplicable } = needsOf(requirements);
  expect(applicable.length).toBeGreaterThan(50);
  for (const { reason } of notApplicable) {
    expect(reason).toMatch(/a live cluster/);
  }
});

test('a run that has no identity provider of a target file runs one of its own in the cluster, which takes rights', () => {
  const reach = 'create pods/portforward';
  const own = needsOf(rows('TR-21')).rights;
  expect(own.map(describeNeed)).toContain(reach);
  // The observation of a client is shared by all suites, and was measured in another one.
  expect(own.map(describeNeed)).toContain('get pods');
  // A client's log is searched for tokens at the end of its session.
  expect(own.map(describeNeed)).toContain('get pods/log');
  expect(own.find((right) => describeNeed(right) === reach)?.why).toMatch(/identity provider/);
  const givenBy = (name: string): string[] => {
    const file = new URL(`../../../fixtures/targets/identity-providers/${name}.yaml`, import.meta.url);
    return needsOf(rows('TR-21'), { targets: [loadTarget(fileURLToPath(file))] }).rights.map(describeNeed);
  };
  expect(givenBy('keycloak-jwt-grant')).not.toContain(reach);
  expect(givenBy('embedded-opaque')).toContain(reach);
});

test('what waits for a token of ten minutes is not told as a matter of seconds', () => {
  expect(needsOf(rows('TX-10')).seconds).toBeLessThan(60);
  expect(needsOf(rows('TX-11')).seconds).toBeGreaterThan(600);
  expect(needsOf(rows('TR-22')).seconds).toBeGreaterThan(600);
});

test('a requirement that was never measured is taken to need what those of its role do', () => {
  const [row] = rows('RB-01');
  if (row === undefined) {
    throw new Error('no RB-01');
  }
  const unknown = { ...row, id: 'ZZ-01', suite: 'another' };
  expect(needsOf([unknown]).rights.map(describeNeed)).toContain('create pods');
});

test('a run needs namespaces of its own, unless it is kept to some', () => {
  const own = needsOf(rows('RB-01'));
  expect(own.rights.filter(({ scope }) => scope === 'cluster').map(describeNeed)).toEqual(
    expect.arrayContaining(['create namespaces', 'delete namespaces']),
  );
  const kept = needsOf(rows('RB-01'), { namespaces: ['a'] });
  expect(kept.rights.filter(({ scope }) => scope === 'cluster')).toEqual([]);
  const providers = needsOf(rows('AI-06'), { namespaces: ['a'] }).rights;
  expect(providers).toContainEqual(
    expect.objectContaining({ scope: 'namespace', verb: 'get', resource: 'namespaces', requirements: ['AI-06'] }),
  );
  expect(kept.objects.map(({ resource }) => resource)).not.toContain('namespaces');
});

test('what is given to what is evaluated has to be held where a run is kept to namespaces, and nowhere else', () => {
  const toGive = (id: string, namespaces: string[]): string[] =>
    needsOf(rows(id), { namespaces }).rightsToGive.map(describeNeed);
  // RB-04 makes a Role with a right that an account lacks; the reference job runner documents its own.
  expect(toGive('RB-04', ['a'])).toEqual(
    expect.arrayContaining(['get secrets', 'escalate roles.rbac.authorization.k8s.io']),
  );
  expect(toGive('RB-20', ['a'])).toContain('patch jobs.batch');
  expect(toGive('RB-20', ['a'])).not.toContain('list pods');
  expect(toGive('RB-20', [])).toEqual([]);
  expect(toGive('WH-07o', ['a'])).toEqual([]);
});

test('rights in the whole cluster that a target documents take the rights to give them', () => {
  const file = new URL('../../../fixtures/targets/session-operators/reference/target.yaml', import.meta.url);
  const target = loadTarget(fileURLToPath(file));
  if (target.role !== 'session-operator') {
    throw new Error(target.role);
  }
  const cluster = [{ apiGroups: [''], resources: ['namespaces'], verbs: ['list'] }];
  const needs = needsOf(rows('SR-01'), { targets: [{ ...target, rules: { ...target.rules, cluster } }] });
  expect(needs.rights.map(describeNeed)).toContain('create clusterroles.rbac.authorization.k8s.io');
  expect(needsOf(rows('SR-01'), { targets: [target] }).rights.map(describeNeed)).not.toContain(
    'create clusterroles.rbac.authorization.k8s.io',
  );
});

test('levels of Pod Security below restricted are those of the rows, and of the target file', () => {
  const runner = loadTarget(
    fileURLToPath(new URL('../../../fixtures/targets/job-runners/reference/target.yaml', import.meta.url)),
  );
  if (runner.role !== 'job-runner') {
    throw new Error(runner.role);
  }
  expect(needsOf(rows('JL-09', 'WH-07', 'JL-21', 'RB-01')).podSecurity).toEqual([
    { level: 'baseline', requirements: ['JL-09'] },
    { level: 'privileged', requirements: ['WH-07'] },
  ]);
  expect(needsOf(rows('JL-21'), { targets: [{ ...runner, podSecurity: 'baseline' }] }).podSecurity).toEqual([
    { level: 'baseline', requirements: ['JL-21'] },
  ]);
});

test('rules hold each right once, those of one group with the same verbs together', () => {
  const right = { group: '', scope: 'namespace' as const, why: 'x', requirements: ['RB-01'] };
  const rights: NeededRight[] = [
    { ...right, verb: 'list', resource: 'pods' },
    { ...right, verb: 'create', resource: 'pods' },
    { ...right, verb: 'create', resource: 'secrets' },
    { ...right, verb: 'list', resource: 'secrets' },
    { ...right, verb: 'create', resource: 'jobs', group: 'batch' },
    { ...right, verb: 'get', resource: '/version', scope: 'path' },
  ];
  expect(rulesOf(rights, 'namespace')).toEqual([
    { apiGroups: [''], resources: ['pods', 'secrets'], verbs: ['create', 'list'] },
    { apiGroups: ['batch'], resources: ['jobs'], verbs: ['create'] },
  ]);
  expect(rulesOf(rights, 'path')).toEqual([{ nonResourceURLs: ['/version'], verbs: ['get'] }]);
});

test('an image that nobody has named is told with the variable that names it', () => {
  const images = needsOf(rows('JL-21'), {
    env: { KUBE_AGENT_CONFORMANCE_NODE_IMAGE: 'registry.example/node@sha256:1' },
  }).images;
  expect(images.map(({ name, reference, variable }) => [name, reference, variable])).toEqual([
    ['node', 'registry.example/node@sha256:1', 'KUBE_AGENT_CONFORMANCE_NODE_IMAGE'],
    ['workload', undefined, 'KUBE_AGENT_CONFORMANCE_WORKLOAD_IMAGE'],
  ]);
});

test('Keycloak is an image of its own where it is asked for and no target file gives a provider', () => {
  const images = (options: NeedsOptions): string[] =>
    needsOf(rows('TR-21', 'RB-01'), { env: {}, ...options }).images.map(({ name }) => name);
  expect(images({})).toEqual(['node']);
  expect(images({ identityProvider: 'keycloak' })).toEqual(['node', 'keycloak']);
  const [, keycloak] = needsOf(rows('TR-21', 'RB-01'), { env: {}, identityProvider: 'keycloak' }).images;
  expect(keycloak).toMatchObject({
    reference: expect.stringMatching(/^quay\.io\/keycloak\/keycloak:/),
    variable: 'KUBE_AGENT_CONFORMANCE_KEYCLOAK_IMAGE',
    requirements: ['TR-21'],
  });
  const file = new URL('../../../fixtures/targets/identity-providers/keycloak-jwt-grant.yaml', import.meta.url);
  const targets = [loadTarget(fileURLToPath(file))];
  expect(images({ identityProvider: 'keycloak', targets })).toEqual(['node']);
});

test('the image of a session manager is needed for SM-12 alone, that of its sessions’ agent for every row', () => {
  const { images } = needsOf(rows('SM-01', 'SM-12'), { env: {} });
  expect(images.map(({ name, requirements }) => [name, requirements])).toEqual([
    ['node', ['SM-01', 'SM-12']],
    ['workload', ['SM-01', 'SM-12']],
    ['session-manager', ['SM-12']],
  ]);
});

test('sessions as custom resources need the rights on their kind, and on what is installed', () => {
  const needed = needsOf(rows('SM-20')).rights.map(
    ({ scope, ...right }) => `${scope} ${describeNeed({ scope, ...right })}`,
  );
  expect(needed).toEqual(
    expect.arrayContaining([
      'namespace create sandboxes.agents.x-k8s.io',
      'namespace watch sandboxes.agents.x-k8s.io',
      'namespace watch persistentvolumeclaims',
      'cluster create customresourcedefinitions.apiextensions.k8s.io',
    ]),
  );
  expect(needsOf(rows('SM-03')).rights.map(describeNeed)).not.toContain('create sandboxes.agents.x-k8s.io');
});

test('who tries manifests by dry runs, or installs a manager, needs to make what they make', () => {
  const needed = (id: string) => needsOf(rows(id)).rights.map(describeNeed);
  for (const id of ['WH-07o', 'WH-07m', 'SM-12']) {
    expect(needed(id)).toContain('create deployments.apps');
  }
  expect(needed('SM-12')).toEqual(expect.arrayContaining(['create services', 'create services/proxy']));
  expect(needed('SM-03')).not.toContain('create deployments.apps');
});

test('a session operator needs claims only where its DNS records go with them', () => {
  const targets = fileURLToPath(new URL('../../../fixtures/targets/session-operators/', import.meta.url));
  const needed = (file: string) =>
    needsOf(rows('SR-02'), { targets: [loadTarget(`${targets}${file}`, { main: '/program.js' })] }).rights.map(
      describeNeed,
    );
  const claims = 'delete persistentvolumeclaims';
  expect(needed('opencode-cloudflare-operator/claim.yaml')).toContain(claims);
  expect(needed('opencode-cloudflare-operator/target.yaml')).not.toContain(claims);
});

test('session operators need the kinds of Traefik', () => {
  const needed = needsOf(rows('SR-01')).rights.map(describeNeed);
  expect(needed).toEqual(expect.arrayContaining(['watch ingressroutes.traefik.io', 'create middlewares.traefik.io']));
});

test('which claims get the default StorageClass hangs on the target file', () => {
  const asked = rows('PV-20', 'JL-20', 'SM-20', 'SM-01', 'WH-06', 'PV-08');
  expect(needsOf(asked)).toMatchObject({
    storage: ['PV-08'],
    storageIfAny: ['WH-06'],
    defaultStorage: ['PV-20', 'SM-20'],
  });
  const file = (path: string): string => fileURLToPath(new URL(`../../../fixtures/targets/${path}`, import.meta.url));
  const oz = loadTarget(file('job-runners/oz-agent-worker/target.yaml'), { binary: '/opt/oz' });
  expect(needsOf(asked, { targets: [oz] }).defaultStorage).toEqual(['SM-20']);
  const pods = loadTarget(file('session-managers/opencode-manager/target.yaml'), { backend: '/opt/manager' });
  expect(needsOf(asked, { targets: [pods] }).defaultStorage).toEqual(['PV-20']);
});

test('a requirement that reads the audit log is not applicable from the start', () => {
  expect(needsOf(rows('RB-30', 'RB-01'))).toMatchObject({
    requirements: [{ id: 'RB-01' }],
    notApplicable: [{ id: 'RB-30', reason: expect.stringMatching(/a cluster that the harness starts/) }],
  });
});
