import { KubeConfig, type KubernetesObject, type V1Pod, type V1Volume } from '@kubernetes/client-node';
import { describeError, HarnessError } from '../../core/errors.ts';
import { IDENTITY_PROVIDER_PORT } from '../../core/names.ts';
import type { ClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { type ForwardedPort, forwardPort } from '../../kubernetes/port-forward.ts';
import { refusedToHarness } from '../../kubernetes/refused-objects.ts';

/** What the identity providers that run as a pod of a live cluster have in common. */

/** Where such a pod has its configuration. */
export const CONFIG_FOLDER = '/etc/conformance';

/** Where such a pod has a token for the API server, and its CA. */
export const CLUSTER_FOLDER = '/var/run/conformance/cluster';

/** Where pods find the API server, by the names in its certificate (Kubernetes, "Accessing the API from a Pod"). */
export const KEYS_URL = 'https://kubernetes.default.svc/openid/v1/jwks';

/** Of the token that is shown to the API server; the kubelet replaces it in time. */
const TOKEN_SECONDS = 3600;
const ANSWER_MS = 30_000;

/** The volume for {@link CLUSTER_FOLDER}. */
export const CLUSTER_VOLUME: V1Volume = {
  name: 'cluster',
  projected: {
    sources: [
      { serviceAccountToken: { path: 'token', expirationSeconds: TOKEN_SECONDS } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    ],
  },
};

/**
 * ServiceAccount, Secret and Service of an identity provider's pod, all of its name.
 *
 * @param files of the Secret
 */
export function objectsAround(
  metadata: { namespace: string; name: string },
  files: Record<string, string>,
): KubernetesObject[] {
  const service = {
    selector: { app: metadata.name },
    ports: [{ name: 'https', port: IDENTITY_PROVIDER_PORT, targetPort: IDENTITY_PROVIDER_PORT }],
  };
  const objects = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata, automountServiceAccountToken: false },
    { apiVersion: 'v1', kind: 'Secret', metadata, stringData: files },
    { apiVersion: 'v1', kind: 'Service', metadata, spec: service },
  ];
  return objects;
}

/**
 * Makes the objects of an identity provider's pod, each with these labels, and waits until the pod is Ready.
 *
 * @throws HarnessError when it is not in time, or something is refused
 */
export async function deploy(
  cluster: ClusterHandle,
  { objects, pod, labels }: { objects: KubernetesObject[]; pod: V1Pod; labels: Record<string, string> },
  deadlineSeconds: number,
): Promise<void> {
  const labelled = <T extends KubernetesObject>({ metadata, ...rest }: T): T =>
    ({ ...rest, metadata: { ...metadata, labels: { ...metadata?.labels, ...labels } } }) as T;
  const refused = (kind: string) => (error: unknown) => {
    throw refusedToHarness(`the ${kind} of the identity provider`, error);
  };
  for (const object of objects) {
    await cluster.create([labelled(object)]).catch(refused(object.kind ?? ''));
  }
  const { namespace = '', name = '' } = pod.metadata ?? {};
  // Not with the others: here a cluster that assigns uids is heeded.
  await cluster.core.createNamespacedPod({ namespace, body: labelled(pod) }).catch(refused('Pod'));
  await cluster.podReady(namespace, name, deadlineSeconds).catch((error: unknown) => {
    throw new HarnessError(
      `the identity provider of the harness (pod ${namespace}/${name}) does not get ready: ${describeError(error)}`,
      { cause: error },
    );
  });
}

/** Leads ports of loopback to those of a pod, in their order. */
export async function forwardPorts<Name extends string>(
  kubeConfigText: string,
  { namespace, pod }: { namespace: string; pod: string },
  ports: Record<Name, number>,
): Promise<Record<Name, ForwardedPort>> {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(kubeConfigText);
  const forwarded = await Promise.all(
    Object.entries<number>(ports).map(async ([name, port]) => [
      name,
      await forwardPort(kubeConfig, { namespace, pod, port }),
    ]),
  );
  return Object.fromEntries(forwarded) as Record<Name, ForwardedPort>;
}

/** One request to the control port of such a pod. @throws HarnessError that says what became of it */
export async function askControl(
  control: ForwardedPort,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<unknown> {
  const what = `${method} ${path} of the identity provider of the harness`;
  let response: Response;
  try {
    response = await fetch(`http://${control.host}:${control.port}${path}`, {
      method,
      headers: { connection: 'close' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
  } catch (error) {
    throw new HarnessError(`${what}: ${control.trouble ?? describeError(error)}`, { cause: error });
  }
  if (!response.ok) {
    throw new HarnessError(`${what} was answered with ${response.status}: ${await response.text()}`);
  }
  return response.json();
}
