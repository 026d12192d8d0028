import { CoreV1Api, KubeConfig, type KubernetesObject, KubernetesObjectApi, type V1Pod } from '@kubernetes/client-node';
import { describeError, HarnessError } from '../../core/errors.ts';
import { RUN_OBJECT_LABEL } from '../../core/names.ts';
import { limitSeconds } from '../../core/time-limits.ts';
import { ENFORCED_LEVEL } from '../../kubernetes/pod-security.ts';
import { UID_RANGE_ANNOTATION } from '../../kubernetes/uid-range.ts';

/*
 * What OpenShift's security context constraint restricted-v2 does to a pod, as admission policies: it gets a uid and an
 * fsGroup of the range that its namespace is annotated with, unless it names them itself, and is refused where it
 * insists on a uid out of that range or has a volume of another type. It holds where Pod Security is `restricted`: what
 * others wrote and runs under `baseline` is left alone.
 */

const NAME = 'conformance-assigned-uids';

/** Ranges as OpenShift gives them: 10 000 uids a namespace. */
const FIRST_UID = 1_000_600_000;
const UIDS = 10_000;

const VOLUME_TYPES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

const EFFECT_SECONDS = limitSeconds('policyEffect');
const LOOK_EVERY_MS = 250;

/** The annotation of the `number`th namespace. */
export function uidRange(number: number): Record<string, string> {
  return { [UID_RANGE_ANNOTATION]: `${FIRST_UID + number * UIDS}/${UIDS}` };
}

const RANGE = `namespaceObject.metadata.annotations['${UID_RANGE_ANNOTATION}'].split('/')`;
const variables = [
  { name: 'first', expression: `int(${RANGE}[0])` },
  { name: 'count', expression: `int(${RANGE}[1])` },
];
const matchConstraints = {
  namespaceSelector: {
    matchLabels: { [ENFORCED_LEVEL]: 'restricted' },
    matchExpressions: [{ key: RUN_OBJECT_LABEL, operator: 'Exists' }],
  },
  resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
};

/** CEL: a field of the pod's security context, or the first of the range. */
function orFirst(field: string): string {
  return `has(object.spec.securityContext) && has(object.spec.securityContext.${field}) ? object.spec.securityContext.${field} : variables.first`;
}

const IN_RANGE = (of: string): string =>
  `!has(${of}.securityContext) || !has(${of}.securityContext.runAsUser) || (${of}.securityContext.runAsUser >= variables.first && ${of}.securityContext.runAsUser < variables.first + variables.count)`;

const objects: (KubernetesObject & { spec: object })[] = [
  {
    apiVersion: 'admissionregistration.k8s.io/v1beta1',
    kind: 'MutatingAdmissionPolicy',
    metadata: { name: NAME },
    spec: {
      matchConstraints,
      variables,
      failurePolicy: 'Fail',
      reinvocationPolicy: 'Never',
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression: `Object{spec: Object.spec{securityContext: Object.spec.securityContext{runAsUser: ${orFirst('runAsUser')}, fsGroup: ${orFirst('fsGroup')}}}}`,
          },
        },
      ],
    },
  },
  {
    apiVersion: 'admissionregistration.k8s.io/v1beta1',
    kind: 'MutatingAdmissionPolicyBinding',
    metadata: { name: NAME },
    spec: { policyName: NAME },
  },
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: NAME },
    spec: {
      matchConstraints,
      variables,
      failurePolicy: 'Fail',
      validations: [
        {
          expression: `(${IN_RANGE('object.spec')}) && object.spec.containers.all(c, ${IN_RANGE('c')}) && object.spec.?initContainers.orValue([]).all(c, ${IN_RANGE('c')})`,
          message: 'the pod insists on a uid out of the range of its namespace',
        },
        {
          expression: `object.spec.?volumes.orValue([]).all(v, ${VOLUME_TYPES.map((type) => `has(v.${type})`).join(' || ')})`,
          message: `the pod has a volume of another type than ${VOLUME_TYPES.join(', ')}`,
        },
      ],
    },
  },
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: NAME },
    spec: { policyName: NAME, validationActions: ['Deny'] },
  },
];

/** Installs the policies in a cluster. It must have been started with {@link ADMISSION_POLICY_ARGUMENTS}. */
export async function installAssignedUids(kubeConfig: string): Promise<void> {
  const config = new KubeConfig();
  config.loadFromString(kubeConfig);
  const api = KubernetesObjectApi.makeApiClient(config);
  for (const object of objects) {
    await api.create(object);
  }
}

function pod(securityContext: object): V1Pod {
  return {
    metadata: { name: 'policies-at-work' },
    spec: {
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' }, ...securityContext },
      containers: [
        {
          name: 'none',
          image: 'none.invalid/none:1',
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  };
}

/**
 * Waits until the policies are at work in a namespace, by dry runs: a pod that names no uid gets the first of the
 * range, and one that insists on another is refused.
 *
 * @throws HarnessError when they are not in time
 */
export async function assignedUidsAtWork(config: KubeConfig, namespace: string, range: string): Promise<void> {
  const core = config.makeApiClient(CoreV1Api);
  const first = Number(range.split('/')[0]);
  const deadline = Date.now() + EFFECT_SECONDS * 1000;
  for (;;) {
    const [given, insisting] = await Promise.allSettled(
      [{}, { runAsUser: 1000 }].map((own) =>
        core
          .createNamespacedPod({ namespace, body: pod(own), dryRun: 'All' })
          .then(({ spec }) => spec?.securityContext),
      ),
    );
    const assigned = given?.status === 'fulfilled' ? given.value : undefined;
    const refused = insisting?.status === 'rejected' && describeError(insisting.reason).includes('out of the range');
    if (assigned?.runAsUser === first && assigned.fsGroup === first && refused) {
      return;
    }
    if (Date.now() > deadline) {
      throw new HarnessError(
        `the policies that assign uids are not at work in ${namespace}: a pod that names none gets ${JSON.stringify(given)}, one that insists ${JSON.stringify(insisting)}`,
      );
    }
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_EVERY_MS);
    });
  }
}
