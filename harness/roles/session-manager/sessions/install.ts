/** How a controller of sessions is installed: what the target brings, and what of it runs in the cluster. */
import type { KubernetesObject, V1Deployment, V1Pod, V1PodSpec } from '@kubernetes/client-node';
import { NotTestable } from '../../../core/errors.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { describePod } from '../../../kubernetes/pod-status.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { readObjects } from '../../manifest-files.ts';
import type { ResourceTarget } from '../target.ts';

const ESTABLISHED_SECONDS = 30;
const LOOK_EVERY_MS = 200;

/** Applies what the target brings, once for a cluster, and sees that its custom resource is served. */
export async function install(t: RequirementContext, cluster: ClusterHandle, target: ResourceTarget): Promise<void> {
  const { deployment } = target.install;
  await t.shared(`install ${target.name}`, async () => {
    const objects = readInstalled(target);
    for (const image of new Set(objects.flatMap(imagesOf))) {
      await t.provideImage(image);
    }
    for (const object of objects) {
      const { status, text } = await post(cluster, object);
      // 409: it is there already, from another candidate of the same run or by its owner's hand.
      if (status >= 300 && status !== 409) {
        throw new NotTestable(
          `install.files of ${target.file}: ${object.kind} ${object.metadata?.name}: ${status} ${text.slice(0, 300)}`,
        );
      }
    }
    await waitFor(ESTABLISHED_SECONDS, () => whatIsNotServed(cluster, target));
    if (deployment !== undefined) {
      await untilAvailable(cluster, target, deployment);
    }
  });
}

/** What the cluster lacks of the custom resource, and what it serves instead; undefined: nothing. */
export async function whatIsNotServed(
  cluster: Pick<ClusterHandle, 'request'>,
  { resource: { apiVersion, kind, plural }, file }: Pick<ResourceTarget, 'resource' | 'file'>,
): Promise<string | undefined> {
  const read = async <T>(path: string): Promise<Partial<T>> => {
    const response = await cluster.request(path);
    return response.status === 200 ? ((await response.json()) as T) : {};
  };
  const { resources } = await read<{ resources: { name: string; kind: string }[] }>(`/apis/${apiVersion}`);
  const served = resources?.find(({ name }) => name === plural);
  if (served?.kind === kind) {
    return undefined;
  }
  const what = `the cluster serves no ${plural} of ${apiVersion}`;
  if (served !== undefined) {
    return `${plural} of ${apiVersion} are of the kind ${served.kind}, and \`resource.kind\` of ${file} says ${kind}`;
  }
  if (resources !== undefined) {
    const names = resources.map(({ name }) => name).filter((name) => !name.includes('/'));
    return `${what}, but ${names.join(', ') || 'nothing'}: is \`resource.plural\` of ${file} right?`;
  }
  const [group] = apiVersion.split('/');
  const { versions = [] } = await read<{ versions: { version: string }[] }>(`/apis/${group}`);
  return versions.length === 0
    ? `${what}: install its CRD, or name the file with it in \`install.files\` of ${file}`
    : `${what}, but ${group} in ${versions.map(({ version }) => version).join(', ')}: is \`resource.apiVersion\` of ${file} right?`;
}

export type Deployment = NonNullable<ResourceTarget['install']['deployment']>;

export const deploymentPath = ({ namespace, name, kind }: Deployment): string =>
  `/apis/apps/v1/namespaces/${namespace}/${kind.toLowerCase()}s/${name}`;

/** @throws NotTestable with what its pods lack */
export async function untilAvailable(
  cluster: ClusterHandle,
  target: ResourceTarget,
  deployment: Deployment,
): Promise<void> {
  await waitFor(target.install.seconds, async () => {
    const response = await cluster.request(deploymentPath(deployment));
    const { status, spec } = (await response.json()) as V1Deployment;
    if ((status?.availableReplicas ?? 0) > 0) {
      return undefined;
    }
    const pods =
      response.status === 200
        ? await podsOf(cluster, deployment.namespace, spec?.selector.matchLabels ?? {})
        : `there is none (${response.status})`;
    return `the ${deployment.kind} ${deployment.name} in ${deployment.namespace} is not available (install.deployment of ${target.file}): ${pods}`;
  });
}

/**
 * Creates an object as it is written. The Kubernetes client knows the kinds of the API by its own types, and leaves out
 * what these spell in another way: `x-kubernetes-preserve-unknown-fields` in the schema of a CRD, without which every
 * session would lose its fields.
 */
async function post(cluster: ClusterHandle, object: KubernetesObject): Promise<{ status: number; text: string }> {
  const { apiVersion = 'v1', kind = '', metadata = {} } = object;
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const discovery = await cluster.request(base);
  const { resources = [] } = (await discovery.json().catch(() => ({}))) as {
    resources?: { name: string; kind: string; namespaced: boolean }[];
  };
  const resource = resources.find((one) => one.kind === kind && !one.name.includes('/'));
  if (resource === undefined) {
    return { status: 404, text: `the cluster knows no ${kind} of ${apiVersion}` };
  }
  const scope = resource.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
  const response = await cluster.request(`${base}${scope}/${resource.name}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(object),
  });
  return { status: response.status, text: await response.text() };
}

/** The images of the pods that an object describes. */
export function imagesOf(object: KubernetesObject): string[] {
  const { template } = ((object as { spec?: object }).spec ?? {}) as { template?: { spec?: Partial<V1PodSpec> } };
  const { initContainers = [], containers = [] } = template?.spec ?? {};
  return [...initContainers, ...containers].flatMap(({ image }) => image ?? []);
}

export function podsPath(namespace: string, labels: Record<string, string>): string {
  const selector = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector.join(','))}`;
}

/** How the pods of a Deployment are, for a message. */
async function podsOf(cluster: ClusterHandle, namespace: string, labels: Record<string, string>): Promise<string> {
  const response = await cluster.request(podsPath(namespace, labels));
  const { items = [] } = (await response.json()) as { items?: V1Pod[] };
  return items.map((pod) => `${pod.metadata?.name}: ${describePod(pod)}`).join('; ') || 'it has no pods';
}

/** Asks until there is nothing more to say. @throws NotTestable with what was said last */
async function waitFor(seconds: number, problem: () => Promise<string | undefined>): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  for (let said = await problem(); said !== undefined; said = await problem()) {
    if (Date.now() > deadline) {
      throw new NotTestable(said);
    }
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
  }
}

/** The objects in `install.files`. @throws UsageError that names the file and the field */
export function readInstalled(target: ResourceTarget): KubernetesObject[] {
  return readObjects(target, { field: 'install.files', names: target.install.files });
}
