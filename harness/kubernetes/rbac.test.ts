import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PolicyRule } from '../core/policy-rule.ts';
import {
  beyondRules,
  describeRight,
  type MadeRequest,
  neededActions,
  rightsOf,
  roleYaml,
  ruleAllows,
  rulesWithout,
  sensitiveRights,
  smallestRules,
  surplusRights,
  unknownVerbs,
} from './rbac.ts';

const rule = (apiGroup: string, resource: string, verbs: string, resourceNames?: string[]): PolicyRule => ({
  apiGroups: [apiGroup],
  resources: resource.split(' '),
  verbs: verbs.split(' '),
  ...(resourceNames === undefined ? {} : { resourceNames }),
});

const made = (
  verb: string,
  group: string,
  spelled: string,
  code = 200,
  more: Partial<MadeRequest> = {},
): MadeRequest => {
  const [resource = '', subresource] = spelled.split('/');
  return {
    verb,
    group,
    resource,
    ...(subresource === undefined ? {} : { subresource }),
    namespace: 'a',
    code,
    ...more,
  };
};

describe('a rule', () => {
  it.each([
    ['its own', rule('batch', 'jobs', 'create'), made('create', 'batch', 'jobs'), true],
    ['another verb', rule('batch', 'jobs', 'create'), made('delete', 'batch', 'jobs'), false],
    ['another group', rule('', 'jobs', 'create'), made('create', 'batch', 'jobs'), false],
    ['a subresource by its parent', rule('', 'pods', 'get'), made('get', '', 'pods/log'), false],
    ['a parent by its subresource', rule('', 'pods/log', 'get'), made('get', '', 'pods'), false],
    ['a subresource by *', rule('', '*', 'get'), made('get', '', 'pods/log'), true],
    ['a subresource by */log', rule('', '*/log', 'get'), made('get', '', 'pods/log'), true],
    ['another subresource by */log', rule('', '*/log', 'get'), made('get', '', 'pods/exec'), false],
    ['pods/* is no wildcard', rule('', 'pods/*', 'get'), made('get', '', 'pods/log'), false],
    ['every verb', rule('', 'pods', '*'), made('deletecollection', '', 'pods'), true],
    ['a name', rule('', 'secrets', 'get', ['x']), made('get', '', 'secrets', 200, { name: 'x' }), true],
    ['another name', rule('', 'secrets', 'get', ['x']), made('get', '', 'secrets', 200, { name: 'y' }), false],
    ['no name', rule('', 'secrets', 'list', ['x']), made('list', '', 'secrets'), false],
    ['a path', { nonResourceURLs: ['/version'], verbs: ['get'] }, { verb: 'get', path: '/version' }, true],
    ['paths below', { nonResourceURLs: ['/apis/*'], verbs: ['get'] }, { verb: 'get', path: '/apis/batch/v1' }, true],
    ['other paths', { nonResourceURLs: ['/apis/*'], verbs: ['get'] }, { verb: 'get', path: '/api' }, false],
    ['a path by *', rule('*', '*', '*'), { verb: 'get', path: '/version' }, false],
  ])('for %s', (_, given, action, allowed) => {
    expect(ruleAllows(given, action)).toBe(allowed);
  });
});

const DOCUMENTED = [
  rule('batch', 'jobs', 'create get list delete'),
  rule('', 'pods', 'list watch'),
  rule('', 'pods/log', 'get'),
];
const USED = [
  made('create', 'batch', 'jobs', 201),
  made('create', 'batch', 'jobs', 409),
  made('delete', 'batch', 'jobs', 404),
  made('watch', '', 'pods'),
  made('get', '', 'pods/log'),
  { verb: 'get', path: '/version', code: 200 },
];

it('names what is documented and not used; a refused call is no use', () => {
  const used = [...USED, made('list', '', 'pods', 403)];
  expect(surplusRights(DOCUMENTED, used).map(describeRight)).toEqual([
    'get jobs.batch',
    'list jobs.batch',
    'list pods',
  ]);
});

it('names what was asked for beyond the rules, once, and not what everybody may ask', () => {
  const asked = [
    ...USED,
    made('list', '', 'events', 403),
    made('list', '', 'events', 403),
    made('create', 'authorization.k8s.io', 'selfsubjectaccessreviews', 201),
  ];
  expect(beyondRules(DOCUMENTED, asked).map(({ verb, resource }) => `${verb} ${resource}`)).toEqual(['list events']);
});

it('computes the smallest Role, sorted, with `create` for an upgrade', () => {
  const requests = [
    ...USED,
    made('get', '', 'pods/exec', 101, { upgrade: 'websocket' }),
    made('get', '', 'pods/attach', 403),
  ];
  expect(smallestRules(requests)).toEqual([
    { apiGroups: [''], resources: ['pods'], verbs: ['watch'] },
    { apiGroups: [''], resources: ['pods/exec'], verbs: ['create', 'get'] },
    { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
    { apiGroups: ['batch'], resources: ['jobs'], verbs: ['create', 'delete'] },
  ]);
  expect(smallestRules(requests.reverse())).toEqual(smallestRules(requests.reverse()));
  expect(roleYaml('runner', 'a', smallestRules(requests))).toContain('kind: Role');
});

it('leaves out what every user may do, unless it is documented', () => {
  const review = made('create', 'authorization.k8s.io', 'selfsubjectaccessreviews', 201);
  const documented = rule('authorization.k8s.io', 'selfsubjectaccessreviews', 'create');
  expect(smallestRules([review])).toEqual([]);
  expect(smallestRules([review], [documented])).toEqual([documented]);
});

it('puts resources with the same verbs together, but never the names of different ones', () => {
  const documented = [rule('', 'secrets configmaps', 'get', ['x', 'y'])];
  const requests = [
    made('get', '', 'secrets', 200, { name: 'x' }),
    made('get', '', 'configmaps', 200, { name: 'y' }),
    made('get', '', 'pods'),
    made('get', '', 'pods/log'),
  ];
  expect(smallestRules(requests, documented)).toEqual([
    { apiGroups: [''], resources: ['configmaps'], verbs: ['get'], resourceNames: ['y'] },
    { apiGroups: [''], resources: ['pods', 'pods/log'], verbs: ['get'] },
    { apiGroups: [''], resources: ['secrets'], verbs: ['get'], resourceNames: ['x'] },
  ]);
});

it('takes one right away', () => {
  const [first] = rightsOf(DOCUMENTED);
  const less = rulesWithout(DOCUMENTED, first ?? expect.fail());
  expect(rightsOf(less)).toHaveLength(rightsOf(DOCUMENTED).length - 1);
  expect(less.some((candidate) => ruleAllows(candidate, made('create', 'batch', 'jobs')))).toBe(false);
});

describe('verbs', () => {
  it.each([
    [rule('', 'pods', 'get list exec'), ['exec pods']],
    [rule('', 'pods/exec', 'create'), []],
    [rule('rbac.authorization.k8s.io', 'roles', 'bind escalate'), []],
    [rule('', 'pods', 'bind'), ['bind pods']],
    [rule('', 'serviceaccounts', 'impersonate'), []],
    [rule('certificates.k8s.io', 'signers', 'approve'), []],
    [rule('security.openshift.io', 'securitycontextconstraints', 'use'), []],
    [rule('', 'pods', '*'), []],
    [rule('', 'pods', 'GET'), ['GET pods']],
    [{ nonResourceURLs: ['/version'], verbs: ['get', 'list'] }, ['list /version']],
  ])('%j', (given, unknown) => {
    expect(unknownVerbs([given]).map(describeRight)).toEqual(unknown);
  });
});

describe('rights that reach further', () => {
  it.each([
    [rule('batch', 'jobs', 'create'), []],
    [rule('batch', 'jobs', '*'), ['wildcard']],
    [rule('', 'pods/*', 'get'), ['wildcard']],
    [rule('', 'secrets', 'create delete'), []],
    [rule('', 'secrets', 'get'), ['secrets']],
    [rule('', 'secrets', 'get', ['agent-key']), ['secrets']],
    [rule('', '*', 'list'), ['wildcard', 'secrets']],
    [rule('', 'serviceaccounts/token', 'create'), ['token-minting']],
    [rule('rbac.authorization.k8s.io', 'roles', 'escalate'), ['escalation']],
    [rule('', 'users', 'impersonate'), ['escalation']],
    [rule('*', '*', '*'), ['wildcard', 'secrets', 'escalation', 'token-minting']],
    [{ nonResourceURLs: ['*'], verbs: ['get'] }, ['wildcard']],
  ])('%j', (given, kinds) => {
    expect(sensitiveRights([given]).map(({ kind }) => kind)).toEqual(kinds);
  });

  it('of a ClusterRole are all', () => {
    expect(sensitiveRights([rule('', 'nodes', 'list')], true)).toEqual([{ kind: 'cluster-wide', right: 'list nodes' }]);
  });
});

describe('for any requests', () => {
  const request = fc.record({
    verb: fc.constantFrom('get', 'list', 'watch', 'create', 'delete'),
    group: fc.constantFrom('', 'batch'),
    resource: fc.constantFrom('pods', 'jobs', 'secrets'),
    code: fc.constantFrom(200, 201, 404, 409, 403, 401, 0),
  });
  const requests = fc.array(request, { maxLength: 30 });

  it('the smallest Role allows what was let through, has no surplus, and loses something with each right', () => {
    fc.assert(
      fc.property(requests, (list) => {
        const rules = smallestRules(list);
        const needed = neededActions(list);
        const all = (given: PolicyRule[]): boolean =>
          needed.every((action) => given.some((r) => ruleAllows(r, action)));
        expect(all(rules)).toBe(true);
        expect(surplusRights(rules, list)).toEqual([]);
        for (const right of rightsOf(rules)) {
          expect(all(rulesWithout(rules, right))).toBe(false);
        }
      }),
    );
  });

  it('the order does not matter', () => {
    fc.assert(
      fc.property(requests, (list) => {
        expect(smallestRules([...list].reverse())).toEqual(smallestRules(list));
      }),
    );
  });
});
