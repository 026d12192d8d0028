import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { ManifestChange } from '../../role-data/manifest-change.ts';
import { loadTarget, type Target } from '../../targets/load.ts';
import { forNamespace, OWN_LABEL, readManifests } from './manifests.ts';

const FILE = fileURLToPath(new URL('../../../fixtures/targets/job-runners/reference/target.yaml', import.meta.url));
const target = loadTarget(FILE) as Target<'job-runner'>;
const values = { config: '{"workerId":"one"}', 'runner.image': 'runner:1' };
const read = (...changes: ManifestChange[]) => readManifests(target, values, changes);
const CONTAINER = '/spec/template/spec/containers/0';

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
