import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { missing, textOf } from '../../harness/core/findings.ts';
import type { ManifestChange } from '../../harness/role-data/manifest-change.ts';
import { readManifests } from '../../harness/roles/job-runner/manifests.ts';
import { record, seen, task as taskOf } from '../../harness/roles/job-runner/record-builders.ts';
import type { InstallationRecord } from '../../harness/roles/job-runner/scenarios/installation.ts';
import { loadTarget, type Target } from '../../harness/targets/load.ts';
import {
  isAdmittedUnderRestricted,
  isInstalledSafely,
  mountsNoApiToken,
  runsUnprivileged,
  setsResources,
} from './job-runner.checks.ts';

const FILE = fileURLToPath(new URL('../../fixtures/targets/job-runners/reference/target.yaml', import.meta.url));
const target = loadTarget(FILE) as Target<'job-runner'>;
const values = { config: '{"workerId":"one"}', 'runner.image': 'runner:1' };
const CONTAINER = '/spec/template/spec/containers/0';

/** What is found where the API server stores the changed manifests as they are. */
function found(changes: ManifestChange[], change: Partial<InstallationRecord> = {}, of = target): string[] {
  const { workload } = readManifests(target, values, changes);
  const seen = { workload, pod: workload.spec.template.spec, refused: [] };
  return isInstalledSafely({ target: of, stalls: [], ...seen, ...change }).map(textOf);
}

it('WH-02 names each pod that is refused, and is not content without any', () => {
  const found = (tried: { who: string; refused?: string }[]) =>
    isAdmittedUnderRestricted({
      ...record({}),
      canary: { variable: 'V', value: 'v' },
      bystanders: [],
      requests: [],
      apiAudiences: [],
      tried,
    }).map(textOf);
  expect(found([{ who: 'Job a' }])).toEqual([]);
  expect(found([{ who: 'Job a', refused: '403: violates PodSecurity' }])).toEqual([
    'the pod of Job a is refused (403: violates PodSecurity)',
  ]);
  expect(found([])).toHaveLength(1);
});

describe('what a cluster adds to a pod', () => {
  const task = taskOf('one');
  const resources = { requests: { cpu: '1', memory: '1Gi' }, limits: { memory: '1Gi' } };
  const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  const agent = (change: object = {}) => ({ name: 'agent', resources, securityContext, ...change });
  const pod = { securityContext: { fsGroup: 1000, runAsNonRoot: true } };
  const token = { projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } };
  const seenOf = (asked: object, admitted: object) =>
    record({
      tasks: [task],
      objects: [
        seen(1, 'ADDED', 'Job', task, { spec: { template: { spec: { ...pod, containers: [agent(asked)] } } } }),
        seen(2, 'ADDED', 'Pod', task, { spec: { ...pod, ...admitted } }),
      ],
    });
  const injected = { name: 'proxy', volumeMounts: [{ name: 'proxy-token' }] };
  const withProxy = { containers: [agent(), injected], volumes: [{ name: 'proxy-token', ...token }] };

  it('is not the runner’s: an injected container, and its token (WH-01, WH-03, WH-05)', () => {
    const seenWith = { ...seenOf({}, withProxy), apiAudiences: ['api'] };
    expect([runsUnprivileged(seenWith), mountsNoApiToken(seenWith), setsResources(seenWith)]).toEqual([[], [], []]);
  });

  it('is no excuse: defaults of a LimitRange, a context that is set right, a token in its own container', () => {
    const defaulted = seenOf({ resources: {}, securityContext: {} }, { containers: [agent()] });
    const withSidecar = record({
      tasks: [task],
      objects: [
        seen(1, 'ADDED', 'Job', task, {
          spec: {
            template: {
              spec: {
                ...pod,
                containers: [agent()],
                initContainers: [{ name: 'prepares' }, { name: 'side', restartPolicy: 'Always' }],
              },
            },
          },
        }),
      ],
    });
    expect(setsResources(withSidecar)).toEqual([expect.stringContaining('container side sets no requests.cpu')]);
    expect(setsResources(defaulted)).toEqual([expect.stringContaining('sets no requests.cpu')]);
    expect(runsUnprivileged(defaulted)).toEqual([expect.stringContaining('allows privilege escalation')]);
    const api = 'kube-api-access-x2x4z';
    const mounted = seenOf(
      {},
      { containers: [agent({ volumeMounts: [{ name: api }] })], volumes: [{ name: api, ...token }] },
    );
    const found = (of: ReturnType<typeof seenOf>) => mountsNoApiToken({ ...of, apiAudiences: ['api'] });
    expect(found(mounted)).toEqual([expect.stringContaining('has a ServiceAccount token')]);
    const ofAudience = (audience: string) =>
      seenOf(
        {},
        {
          containers: [agent({ volumeMounts: [{ name: 'v' }] })],
          volumes: [{ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 'token', audience } }] } }],
        },
      );
    expect(found(ofAudience('api'))).toHaveLength(1);
    // An agent's workload identity is no token for the API server.
    expect(found(ofAudience('https://provider.example'))).toEqual([]);
  });
});

describe('WH-07', () => {
  const ran = { ready: true, state: 'Running', uid: '65532', wroteToRoot: false };

  it('finds nothing wrong with the reference', () => {
    expect(found([], { ran })).toEqual([]);
  });

  it('names containers that run as root, or may', () => {
    const user = (value: unknown): ManifestChange => ({
      op: 'replace',
      path: '/spec/template/spec/securityContext',
      value,
    });
    expect(found([user({ runAsUser: 0 })])).toEqual(['its container runner runs as root']);
    expect(found([user({})])).toEqual(['its container runner may run as root']);
    expect(found([user({ runAsUser: 10_001 })])).toEqual([]);
    expect(found([], { ran: { ...ran, uid: '0' } })).toEqual(['its pod runs as uid 0']);
  });

  it('wants a read-only root file system, or why not', () => {
    const writable: ManifestChange = { op: 'remove', path: `${CONTAINER}/securityContext/readOnlyRootFilesystem` };
    expect(found([writable])).toEqual([
      expect.stringContaining('root file system of its container runner is writable'),
    ]);
    const declared = {
      ...target,
      manifests: { ...target.manifests, writableRootFilesystem: 'it logs there' },
    } as typeof target;
    expect(found([writable], { ran: { ...ran, wroteToRoot: true } }, declared)).toEqual([]);
    expect(found([], { ran: { ...ran, wroteToRoot: true } })).toEqual([expect.stringContaining('could write')]);
  });

  it('wants a probe, credentials by reference and the documented replicas', () => {
    const one: ManifestChange = { op: 'remove', path: `${CONTAINER}/readinessProbe` };
    expect(found([one])).toEqual([]);
    expect(found([one, { op: 'remove', path: `${CONTAINER}/livenessProbe` }])).toEqual([
      expect.stringContaining('neither'),
    ]);
    const literal = { op: 'replace', path: `${CONTAINER}/env/2`, value: { name: 'RUNNER_TOKEN', value: 'x' } } as const;
    expect(found([literal])).toEqual([expect.stringContaining('does not come by `secretKeyRef`')]);
    const further = { op: 'add', path: `${CONTAINER}/env/-`, value: { name: 'OTHER_API_KEY', value: 'x' } } as const;
    expect(found([further])).toEqual([expect.stringContaining('OTHER_API_KEY')]);
    const harmless = { op: 'add', path: `${CONTAINER}/env/-`, value: { name: 'TOKEN_SECONDS', value: '60' } } as const;
    expect(found([harmless])).toEqual([]);
    expect(found([{ op: 'replace', path: '/spec/replicas', value: 2 }])).toEqual(['it has 2 replicas; documented: 1']);
  });

  it('reports what the API server refuses, and a pod that does not come up', () => {
    expect(isInstalledSafely({ target, stalls: [], refused: ['no'] })).toEqual([
      'the API server does not take its manifests: no',
    ]);
    expect(found([], { ran: { ready: false, state: 'CrashLoopBackOff' } })).toEqual([
      expect.stringContaining('CrashLoopBackOff'),
    ]);
  });
});

it('WH-07 knows what the chart of the Oz worker leaves open', () => {
  const file = fileURLToPath(
    new URL('../../fixtures/targets/job-runners/oz-agent-worker/preserving.yaml', import.meta.url),
  );
  const worker = loadTarget(file, { binary: 'worker' }) as Target<'job-runner'>;
  const { workload } = readManifests(worker, {});
  const seen = { workload, pod: workload.spec.template.spec, refused: [] };
  expect(isInstalledSafely({ target: worker, stalls: [], ...seen }).map(textOf)).toEqual([
    'the root file system of its container oz-agent-worker is writable, and nothing declares why',
  ]);
});

it('that no pod came, or that it is not Ready, may be the machine’s fault (WH-01, WH-05, WH-07)', () => {
  const none = [missing('no pod of a task was seen')];
  expect([runsUnprivileged(record({})), setsResources(record({}))]).toEqual([none, none]);
  const { workload } = readManifests(target, values, []);
  const ran = { ready: false, state: 'Pending' };
  const installed = { workload, pod: workload.spec.template.spec, refused: [], ran };
  expect(isInstalledSafely({ target, stalls: [], ...installed } as Parameters<typeof isInstalledSafely>[0])).toEqual([
    missing('its pod does not become Ready: Pending'),
  ]);
});
