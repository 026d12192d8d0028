import { fileURLToPath } from 'node:url';
import type { V1PodSpec } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import { NotTestable } from '../../harness/core/errors.ts';
import { type Finding, textOf } from '../../harness/core/findings.ts';
import type { SessionEvent } from '../../harness/roles/session-manager/sessions/launch.ts';
import { podSpec } from '../../harness/roles/session-manager/sessions/session-object.ts';
import type { ResourceTarget } from '../../harness/roles/session-manager/target.ts';
import { loadTarget } from '../../harness/targets/load.ts';
import {
  hidesSecrets,
  isAdmittedUnderRestricted,
  sessionsHideSecrets,
  sessionsMountNoApiToken,
  sessionsSetResources,
} from './session-manager.checks.ts';

const target = loadTarget(
  fileURLToPath(new URL('../../fixtures/targets/session-managers/reference/custom-resource.yaml', import.meta.url)),
) as ResourceTarget;

const texts = (findings: Finding[]): string => findings.map(textOf).join('; ');

function pod(name: string, change: Partial<V1PodSpec> = {}): SessionEvent {
  return {
    ...{ at: 0, type: 'ADDED', kind: 'Pod' },
    object: { metadata: { name }, spec: { ...podSpec('image'), ...change } },
  };
}

const record = (events: SessionEvent[], change: Partial<ResourceTarget> = {}) => ({
  target: { ...target, ...change },
  namespace: 'n',
  events,
  secret: 'c4nary',
  output: [] as string[],
  apiAudiences: ['api'],
});

const withToken = (audience?: string): Partial<V1PodSpec> => ({
  volumes: [
    {
      name: 'token',
      projected: {
        sources: [{ serviceAccountToken: { path: 'token', ...(audience === undefined ? {} : { audience }) } }],
      },
    },
  ],
});

test('of sessions that never had a pod nothing can be said', () => {
  const nothing = record([]);
  for (const findings of [
    isAdmittedUnderRestricted({ tried: [] }),
    sessionsMountNoApiToken(nothing),
    sessionsHideSecrets(nothing),
    sessionsSetResources(nothing),
  ]) {
    expect(texts(findings)).toBe('no pod was seen');
  }
});

test('a pod that `restricted` refuses is a finding (WH-02s)', () => {
  expect(isAdmittedUnderRestricted({ tried: [{ who: 'web' }] })).toEqual([]);
  const refused = isAdmittedUnderRestricted({ tried: [{ who: 'web', refused: '403: violates PodSecurity' }] });
  expect(texts(refused)).toMatch(/^1 of 1 pods refused under `restricted`: web\. .*:\n {4}403: violates PodSecurity$/);
});

describe('tokens for the API server (WH-03s)', () => {
  test('are findings, and those for an audience that the session names are not', () => {
    expect(sessionsMountNoApiToken(record([pod('web'), pod('identified', withToken('a provider'))]))).toEqual([]);
    for (const audience of [undefined, 'api']) {
      expect(texts(sessionsMountNoApiToken(record([pod('web', withToken(audience))])))).toMatch(
        /the pod web has a token/,
      );
    }
  });

  test('are none where the target file declares them', () => {
    expect(sessionsMountNoApiToken(record([pod('web', withToken())], { apiTokenInPods: true }))).toEqual([]);
  });
});

test('the value of a Secret is a finding in a pod, in a status and in the log (WH-04s)', () => {
  expect(sessionsHideSecrets(record([pod('keyed')]))).toEqual([]);
  const [agent] = podSpec('image').containers;
  const literal = pod('keyed', { containers: [{ name: 'agent', ...agent, env: [{ name: 'A', value: 'c4nary' }] }] });
  expect(texts(sessionsHideSecrets(record([literal])))).toMatch(
    /`AGENT_KEY` appears in plain text in the pod `keyed` \(field `spec.containers\[0\].env\[0\].value`\)/,
  );
  const session: SessionEvent = {
    ...{ at: 0, type: 'MODIFIED', kind: 'Session' },
    object: {
      metadata: { name: 'keyed' },
      status: { conditions: [{ type: 'Ready', status: 'True', message: 'c4nary' }] },
    },
  };
  expect(texts(sessionsHideSecrets(record([pod('keyed'), session])))).toMatch(/in the session `keyed` \(field `status/);
  const said = { ...record([pod('keyed')]), output: ['ready', 'AGENT_KEY=c4nary'] };
  expect(texts(sessionsHideSecrets(said))).toMatch(/in 1 lines of its own output/);
});

test('a container without requests or limits is a finding, one that is added too (WH-05s)', () => {
  expect(sessionsSetResources(record([pod('web')]))).toEqual([]);
  const added = pod('web', { containers: [...podSpec('image').containers, { name: 'proxy' }] });
  expect(texts(sessionsSetResources(record([added])))).toBe(
    'container `proxy` sets no requests.cpu, requests.memory, limits.memory, in 1 of 1 pods: web',
  );
});

test('a secret is looked for in all that was written, and nothing is said where some of it is gone (WH-04m)', () => {
  const agent = {
    at: 0,
    type: 'ADDED',
    kind: 'Pod',
    object: { metadata: { name: 'agent' }, spec: { containers: [] } },
  };
  const work = { asked: { agent: {} }, objects: [agent], output: ['ready'], outputLost: 0, secret: 'the-value' };
  const hides = (more: object): unknown => hidesSecrets({ ...work, ...more } as never);
  expect(hides({})).toEqual([]);
  expect(hides({ output: ['ready', 'AGENT_KEY=the-value'] })).toEqual([expect.stringContaining('1 lines')]);
  expect(() => hides({ outputLost: 3 })).toThrow(NotTestable);
  expect(hides({ outputLost: 3, output: ['the-value'] })).toEqual([expect.stringContaining('1 lines')]);
});
