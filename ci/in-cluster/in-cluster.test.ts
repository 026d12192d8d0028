/** What installs a run inside a cluster: each of its forms makes the Job that `conformance submit` makes. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { V1Job } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadCatalogue } from '../../harness/catalogue/catalogue.ts';
import { type JobOptions, jobOf } from '../../harness/cli/in-cluster/job.ts';
import { documentedRules } from '../../harness/kubernetes/harness-rights.ts';
import { ruleAllows } from '../../harness/kubernetes/rbac.ts';
import { needsOf } from '../../harness/run/live/needs.ts';
import { select } from '../../harness/run/plan.ts';
import { loadTarget } from '../../harness/targets/load.ts';

const read = (file: string): string => readFileSync(fileURLToPath(new URL(file, import.meta.url)), 'utf8');

/** What is evaluated by default: the cluster itself, by a target file that is in the image. */
const SUITES = ['rbac-minimal', 'job-lifecycle'];
const PACKAGE = '/conformance/node_modules/kube-agent-conformance/';
const TARGET = 'fixtures/targets/templates/cluster.yaml';

const OPTIONS: JobOptions = {
  name: 'conformance',
  namespace: 'kube-agent-conformance',
  image: `registry.example/kube-agent-conformance@sha256:${'0'.repeat(64)}`,
  serviceAccount: 'conformance',
  shards: 1,
  words: [...SUITES, '--target', `${PACKAGE}${TARGET}`],
  env: {},
};

/** What Helm makes of the few kinds of actions that the chart has. @throws Error for any other */
function render(template: string, values: Record<string, unknown>): string {
  const of = (expression: string): unknown => {
    const path = /(?:^|\s)(\.[\w.]+)/.exec(expression)?.[1] ?? '';
    if (!Object.hasOwn(values, path)) {
      throw new Error(`the template asks for ${expression}, which this test does not know`);
    }
    return values[path];
  };
  return template
    .replaceAll(/ *\{\{- range (\S+) \}\}\n(.*\n) *\{\{- end \}\}\n/g, (_, list: string, line: string) =>
      (of(list) as unknown[]).map((item) => line.replace(/\{\{ \. \| \w+ \}\}/, JSON.stringify(item))).join(''),
    )
    .replaceAll(/\{\{- (if \S+|end) \}\}\n/g, '')
    .replaceAll(/\{\{ (.+?) \}\}/g, (_, expression: string) => {
      const value = of(expression);
      return expression.endsWith('quote') ? JSON.stringify(value) : String(value);
    });
}

test('the manifest is the Job that `submit` makes', () => {
  expect(parse(read('job.yaml'))).toEqual(jobOf(OPTIONS));
});

test.each([1, 3])('the chart makes the same Job, of %i shards', (shards) => {
  const env = [{ name: 'KUBE_AGENT_CONFORMANCE_WORKLOAD_IMAGE', value: 'registry.example/workload:1' }];
  const values = {
    '.Release.Name': 'conformance',
    '.Release.Namespace': 'kube-agent-conformance',
    '.Values.image': OPTIONS.image,
    '.Values.shards': shards,
    '.Values.args': (parse(read('../chart/values.yaml')) as { args: string[] }).args,
    '.Values.env': env,
  };
  const made = parse(render(read('../chart/templates/job.yaml'), values)) as V1Job;
  const variables = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  expect(made).toEqual(jobOf({ ...OPTIONS, shards, env: variables }));
});

test('a second cluster comes with a kubeconfig of a Secret, beside that of the pod', () => {
  const words = ['audience-isolation', '--peer-context', 'staging'];
  const { spec } = jobOf({ ...OPTIONS, words, kubeconfigSecret: 'peers' }).spec?.template ?? {};
  const [container] = spec?.containers ?? [];
  expect(container?.args?.slice(0, 5)).toEqual([...words, '--context', 'in-cluster']);
  const { value: file = '' } = container?.env?.find(({ name }) => name === 'KUBECONFIG') ?? {};
  const mount = container?.volumeMounts?.find(({ mountPath }) => file === `${mountPath}/config`);
  expect(spec?.volumes).toContainEqual({ name: mount?.name, secret: { secretName: 'peers' } });
});

test('the chart grants the documented rights and no others', () => {
  const text = render(read('../chart/templates/rbac.yaml'), { '.Release.Namespace': 'n' });
  const objects = parseAllDocuments(text).map((document) => document.toJS() as { kind: string; rules?: object[] });
  expect(objects.map(({ kind }) => kind)).toEqual(['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding']);
  expect(objects[1]?.rules).toEqual(documentedRules('kube-agent-conformance'));
});

test('what it evaluates by default needs no more than the documented rights, and its own image', () => {
  const target = loadTarget(fileURLToPath(new URL(`../../${TARGET}`, import.meta.url)));
  const rows = select(loadCatalogue(), { suites: SUITES }).filter(({ role }) => role === target.role);
  const { requirements, rights, images } = needsOf(rows, { targets: [target] });
  expect(requirements.length).toBeGreaterThan(10);
  const granted = documentedRules('kube-agent-conformance');
  expect(rights.filter((right) => !granted.some((rule) => ruleAllows(rule, right)))).toEqual([]);
  expect(images.map(({ variable }) => variable)).toEqual(['KUBE_AGENT_CONFORMANCE_NODE_IMAGE']);
});

test('the image has the harness where the Job starts it', () => {
  const [, folder = ''] = /ENTRYPOINT \["node", "(.+)conformance\.mjs"\]/.exec(read('Dockerfile')) ?? [];
  expect(folder).not.toBe('');
  expect(folder.startsWith(PACKAGE)).toBe(true);
  expect(jobOf(OPTIONS).spec?.template.spec?.containers[0]?.command?.[2]).toContain(`exec node ${folder}`);
});
