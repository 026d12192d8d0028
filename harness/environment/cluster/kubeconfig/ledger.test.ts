import { expect, test } from 'vitest';
import { Ledger } from './ledger.ts';

test('requests are counted by what they ask for, and told apart by requirement and scope', () => {
  const ledger = new Ledger();
  ledger.add('POST', '/api/v1/namespaces/a/pods?dryRun=All', 'RB-01');
  ledger.add('POST', '/api/v1/namespaces/b/pods', 'RB-01');
  ledger.add('GET', '/api/v1/namespaces/a/pods/p/log', 'RB-02');
  ledger.add('GET', '/apis/batch/v1/jobs?watch=true', undefined);
  ledger.add('DELETE', '/api/v1/namespaces/a', undefined);
  ledger.add('GET', '/version', undefined);
  expect(ledger.entries()).toEqual([
    { requirement: 'RB-01', verb: 'create', group: '', resource: 'pods', namespaced: true, count: 2 },
    { requirement: 'RB-02', verb: 'get', group: '', resource: 'pods/log', namespaced: true, count: 1 },
    { verb: 'watch', group: 'batch', resource: 'jobs', namespaced: false, count: 1 },
    { verb: 'delete', group: '', resource: 'namespaces', namespaced: false, count: 1 },
    { verb: 'get', group: '', path: '/version', namespaced: false, count: 1 },
  ]);
  expect(ledger.counts()).toEqual({
    'create pods': 2,
    'get pods/log': 1,
    'watch jobs.batch': 1,
    'delete namespaces': 1,
    'get /version': 1,
  });
});

test('what a Role gives is told apart from what is asked', () => {
  const ledger = new Ledger();
  ledger.gives([{ apiGroups: ['batch'], resources: ['jobs'], verbs: ['get', '*'] }], 'RB-01');
  ledger.gives([{ apiGroups: [''], resources: ['secrets'], resourceNames: ['a', 'b'], verbs: ['get'] }], 'RB-01');
  const given = { requirement: 'RB-01', namespaced: true, isGiven: true };
  expect(ledger.entries()).toEqual([
    { ...given, verb: 'get', group: 'batch', resource: 'jobs', count: 1 },
    { ...given, verb: '*', group: 'batch', resource: 'jobs', count: 1 },
    { ...given, verb: 'get', group: '', resource: 'secrets', count: 2 },
  ]);
  expect(ledger.counts()).toEqual({});
});

test('a refusal by rights or by a policy is kept with its words; what is asked on purpose, or is no refusal, is not', () => {
  const ledger = new Ledger();
  const say = (message: string): Buffer => Buffer.from(JSON.stringify({ kind: 'Status', message }));
  const rights = 'pods is forbidden: User "jane" cannot create resource "pods" in API group "" in the namespace "a"';
  ledger.refused('POST', '/api/v1/namespaces/a/pods', 'RB-01', 403, say(rights));
  ledger.refused(
    'POST',
    '/api/v1/namespaces/a/pods',
    'RB-01',
    403,
    say('pods "p" is forbidden: violates PodSecurity "restricted"'),
  );
  ledger.refused('POST', '/api/v1/namespaces/a/pods', 'RB-01', 422, say('Pod "p" is invalid'));
  ledger.refused('POST', '/api/v1/namespaces/a/pods', 'RB-02', 403, Buffer.from('no JSON'));
  expect(ledger.refusals('RB-01')).toEqual([`create pods in a: ${rights}`]);
  expect(ledger.refusals('RB-02')).toEqual([]);
});
