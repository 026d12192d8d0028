import { ApiException, KubeConfig, type V1Pod } from '@kubernetes/client-node';
import { describeAnswer } from '../../core/errors.ts';
import { keycloakPod } from '../../environment/identity-provider/keycloak/pod.ts';
import { createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { ENFORCED_LEVEL } from '../../kubernetes/pod-security.ts';
import { refuserOf } from '../../kubernetes/refused-objects.ts';
import { suitedClient, suitedJob } from '../../kubernetes/suited-pods.ts';
import { podSpec } from '../../probes/pods.ts';
import { workloadPod } from '../../probes/workload-pod.ts';
import { admissionLack, idsOf, type Lack, type PreflightOptions } from './lacks.ts';
import type { Needs } from './needs.ts';
import { withGroup } from './rights.ts';

const NAME = 'preflight';

function idle(image: string): V1Pod {
  return { metadata: { name: NAME }, spec: podSpec(image, 'default', { name: 'probe', command: ['true'] }) };
}

/** A pod as those of the harness that serve something: observers, probes, the identity provider. */
function server(image: string, namespace: string): V1Pod {
  const container = { name: 'server', workload: 'token-probe', port: 8080 };
  return workloadPod({ namespace, name: NAME, image, serviceAccount: 'default', containers: [container] });
}

/** The pod of Keycloak, which asks for more than any other. */
function provider(image: string, nodeImage: string, namespace: string): V1Pod {
  const pod = keycloakPod({ namespace, image, nodeImage, startWith: [], serviceAccount: 'default' });
  return { ...pod, metadata: { ...pod.metadata, name: NAME } };
}

/**
 * The smallest object of each kind that the harness makes beside pods, by its resource: a policy is asked about it.
 * Claims are made for real (preflight-storage.ts). A binding takes a Role that exists.
 */
function objectsOf(pod: V1Pod): Record<string, { apiVersion: string; kind: string } & Record<string, unknown>> {
  const labels = { app: NAME };
  const { spec = { containers: [] } } = pod;
  const template = { metadata: { labels }, spec };
  return {
    serviceaccounts: { apiVersion: 'v1', kind: 'ServiceAccount' },
    configmaps: { apiVersion: 'v1', kind: 'ConfigMap' },
    secrets: { apiVersion: 'v1', kind: 'Secret' },
    services: { apiVersion: 'v1', kind: 'Service', spec: { selector: labels, ports: [{ port: 80 }] } },
    'jobs.batch': { apiVersion: 'batch/v1', kind: 'Job', spec: { template: { spec } } },
    'cronjobs.batch': {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      spec: { schedule: '0 0 31 2 *', suspend: true, jobTemplate: { spec: { template: { spec } } } },
    },
    'deployments.apps': {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: { ...template, spec: { ...spec, restartPolicy: 'Always' } },
      },
    },
    'networkpolicies.networking.k8s.io': {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      spec: { podSelector: { matchLabels: labels } },
    },
    'roles.rbac.authorization.k8s.io': { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', rules: [] },
  };
}

/** What a policy, a quota or Pod Security says to a namespace of the harness; none is made. */
export async function refusedNamespace({ data, needs, given }: PreflightOptions): Promise<Lack[]> {
  if (given !== undefined) {
    return [];
  }
  const { core } = createClusterHandle(data);
  const metadata = { name: 'kac-preflight', labels: { [ENFORCED_LEVEL]: 'restricted' } };
  return attempt('a Namespace', idsOf(needs), () => core.createNamespace({ body: { metadata }, dryRun: 'All' }));
}

/** The same of the objects that the harness makes in a namespace: one of each kind, by a dry run. */
export async function refusedObjects({ data, needs }: PreflightOptions, namespace: string): Promise<Lack[]> {
  const config = new KubeConfig();
  config.loadFromString(data.kubeConfig);
  const core = suitedClient(config);
  const { request } = createClusterHandle(data);
  const pod = idle(data.workloadImage);
  const asked = Object.entries(objectsOf(pod)).filter(([resource]) => makersOf(resource, needs).length > 0);
  const keycloak = needs.images.find(({ name }) => name === 'keycloak')?.reference;
  const kinds = [
    pod,
    server(data.workloadImage, namespace),
    ...(keycloak === undefined ? [] : [provider(keycloak, data.workloadImage, namespace)]),
  ];
  const lacks = await Promise.all([
    attempt('a Pod', idsOf(needs), async () => {
      // Its kinds of pods ask for different resources, and a quota may say no to one of them.
      for (const body of kinds) {
        await core.createNamespacedPod({ namespace, body, dryRun: 'All' });
      }
    }),
    ...asked.map(([resource, object]) =>
      attempt(`a ${object.kind}`, makersOf(resource, needs), async () => {
        const whole = { ...object, metadata: { namespace, name: NAME } };
        const body = object.kind === 'Job' ? await suitedJob(core, whole) : whole;
        const answer = await request(`${pathOf(object.apiVersion, namespace, resource)}?dryRun=All`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
        const text = await answer.text();
        if (!answer.ok) {
          throw new ApiException(answer.status, `${object.kind} was refused`, text, {});
        }
      }),
    ),
  ]);
  return lacks.flat();
}

function pathOf(apiVersion: string, namespace: string, resource: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${root}/namespaces/${namespace}/${resource.split('.')[0]}`;
}

/** Requirements that make objects of a resource, as `jobs.batch`. */
function makersOf(resource: string, { rights }: Needs): string[] {
  const making = rights.filter(
    (right) => right.verb === 'create' && withGroup(right.resource, right.group) === resource,
  );
  return [...new Set(making.flatMap(({ requirements }) => requirements))];
}

async function attempt(what: string, requirements: string[], make: () => Promise<unknown>): Promise<Lack[]> {
  try {
    await make();
    return [];
  } catch (error) {
    const answer = describeAnswer(error);
    if (answer === undefined) {
      throw error;
    }
    // What one may not do at all is told as a right already.
    const isPolicy = refuserOf((error as ApiException<unknown>).code, answer) === 'policy';
    return isPolicy ? [admissionLack(what, answer, requirements)] : [];
  }
}
