import { CoreV1Api, type KubeConfig, type KubernetesObject, KubernetesObjectApi } from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import { limitSeconds } from '../../../core/time-limits.ts';

/**
 * A change that a faulty cluster makes to what it is given, as data: a MutatingAdmissionPolicy bound to one namespace
 * (Kubernetes, "Mutating Admission Policy"). It rewrites the stored object: a check must observe what happens, never
 * read `spec` back.
 */
export interface Mutation {
  /** API group; absent: core. */
  group?: string | undefined;
  /** Resource in the plural, perhaps with a subresource: `pods/status`. */
  resource: string;
  operations?: ('CREATE' | 'UPDATE')[] | undefined;
  /** CEL: which objects; absent: all. */
  when?: string | undefined;
  /** CEL: what is set (ApplyConfiguration). */
  set?: string | undefined;
  /** CEL: a list of JSONPatch. */
  patch?: string | undefined;
}

/** Arguments of a server that knows MutatingAdmissionPolicy: beta and off by default up to Kubernetes 1.35. */
export const ADMISSION_POLICY_ARGUMENTS = [
  'feature-gates=MutatingAdmissionPolicy=true',
  'runtime-config=admissionregistration.k8s.io/v1beta1=true',
];

const API_VERSION = 'admissionregistration.k8s.io/v1beta1';

/** The API server looks for new policies once a second. */
const EFFECT_SECONDS = limitSeconds('policyEffect');
const LOOK_EVERY_MS = 250;

function policy(name: string, namespace: string, mutation: Mutation): KubernetesObject[] {
  const { group = '', resource, operations = ['CREATE'], when, set, patch } = mutation;
  return [
    {
      apiVersion: API_VERSION,
      kind: 'MutatingAdmissionPolicy',
      metadata: { name },
      spec: {
        matchConstraints: {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
          resourceRules: [{ apiGroups: [group], apiVersions: ['v1'], operations, resources: [resource] }],
        },
        ...(when === undefined ? {} : { matchConditions: [{ name: 'when', expression: when }] }),
        failurePolicy: 'Fail',
        reinvocationPolicy: 'Never',
        mutations: [
          patch === undefined
            ? { patchType: 'ApplyConfiguration', applyConfiguration: { expression: set } }
            : { patchType: 'JSONPatch', jsonPatch: { expression: patch } },
        ],
      },
    } as KubernetesObject,
    {
      apiVersion: API_VERSION,
      kind: 'MutatingAdmissionPolicyBinding',
      metadata: { name },
      spec: { policyName: name },
    } as KubernetesObject,
  ];
}

/**
 * Binds mutations to a namespace, and waits until they are at work.
 *
 * @throws HarnessError when the API server does not take them up in time
 */
export async function applyMutations(config: KubeConfig, namespace: string, mutations: Mutation[]): Promise<void> {
  const objects = KubernetesObjectApi.makeApiClient(config);
  const policies = mutations.flatMap((mutation, index) => policy(`${namespace}-${index}`, namespace, mutation));
  // Created last and seen at work: then so are those before it, which the API server takes up in one go.
  const last = policy(`${namespace}-last`, namespace, { resource: 'configmaps', set: 'Object{immutable: true}' });
  for (const object of [...policies, ...last]) {
    await objects.create(object);
  }
  const core = config.makeApiClient(CoreV1Api);
  const deadline = Date.now() + EFFECT_SECONDS * 1000;
  for (;;) {
    const tried = await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: 'policy-at-work' } },
      dryRun: 'All',
    });
    if (tried.immutable === true) {
      return;
    }
    if (Date.now() > deadline) {
      throw new HarnessError(`the API server did not take up the policies of ${namespace} in ${EFFECT_SECONDS} s`);
    }
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_EVERY_MS);
    });
  }
}
