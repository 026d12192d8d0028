import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { textOf } from '../../../core/findings.ts';
import { loadTarget, type Target } from '../../../targets/load.ts';
import type { ManifestChange } from '../../../targets/manifest-change.ts';
import { forNamespace, OWN_LABEL, readManifests } from '../manifests.ts';
import { isDeployedWell, type OwnDeploymentRecord } from './installation.ts';

const FILE = fileURLToPath(new URL('../../../../fixtures/targets/job-runners/reference/target.yaml', import.meta.url));
const target = loadTarget(FILE) as Target<'job-runner'>;
const values = { config: '{"workerId":"one"}', 'runner.image': 'runner:1' };

const read = (...changes: ManifestChange[]) => readManifests(target, values, changes);
const CONTAINER = '/spec/template/spec/containers/0';

/** What is found where the API server stores the changed manifests as they are. */
function found(changes: ManifestChange[], change: Partial<OwnDeploymentRecord> = {}, of = target): string[] {
  const { workload } = read(...changes);
  return isDeployedWell({ workload, pod: workload.spec.template.spec, refused: [], ...change }, of).map(textOf);
}

describe('manifests', () => {
  it('are filled in, and hold the workload that is named', () => {
    const { objects, workload } = read();
    expect(objects.find(({ kind }) => kind === 'ConfigMap')).toMatchObject({ data: { 'config.json': values.config } });
    expect(workload.spec.template.spec.containers[0]?.image).toBe('runner:1');
    const other = { ...target, manifests: { files: [], ...target.manifests, workload: 'other', container: 'runner' } };
    expect(() => readManifests(other as Target<'job-runner'>, values)).toThrow(
      /no Deployment or StatefulSet other.*Deployment job-runner/,
    );
  });

  it('go into a namespace without accounts and rights, as the account that is given', () => {
    const env = { KUBERNETES_SERVICE_HOST: '192.0.2.1' };
    const objects = forNamespace(read(), 'ns', { serviceAccount: 'given', container: 'runner', env });
    expect(objects.map(({ kind }) => kind)).toEqual(['ConfigMap', 'Service', 'Deployment']);
    expect(objects.every(({ metadata }) => metadata?.namespace === 'ns')).toBe(true);
    expect(objects.at(-1)).toMatchObject({
      spec: { template: { metadata: { labels: { [OWN_LABEL]: 'true' } }, spec: { serviceAccountName: 'given' } } },
    });
    expect(JSON.stringify(objects.at(-1))).toContain('192.0.2.1');
  });

  it('are changed as twins have it', () => {
    expect(read({ op: 'replace', path: '/spec/replicas', value: 3 }).workload.spec.replicas).toBe(3);
    expect(
      read({ op: 'remove', path: `${CONTAINER}/env/0` }).workload.spec.template.spec.containers[0]?.env,
    ).toHaveLength(2);
    const added = read({ op: 'add', path: `${CONTAINER}/env/-`, value: { name: 'A' } });
    expect(added.workload.spec.template.spec.containers[0]?.env?.at(-1)).toEqual({ name: 'A' });
    expect(() => read({ op: 'add', path: '/nowhere/at/all', value: 1 })).toThrow(/has no place/);
  });
});

describe('WH-07', () => {
  const ran = { ready: true, state: 'Running', uid: '65532', wroteToRoot: false };

  it('finds nothing wrong with the reference', () => {
    expect(found([], { ran })).toEqual([]);
  });

  it('tells who runs as root, or may', () => {
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

  it('tells what the API server refuses, and a pod that does not come up', () => {
    expect(isDeployedWell({ refused: ['no'] }, target)).toEqual(['the API server does not take its deployment: no']);
    expect(found([], { ran: { ready: false, state: 'CrashLoopBackOff' } })).toEqual([
      expect.stringContaining('CrashLoopBackOff'),
    ]);
  });
});
