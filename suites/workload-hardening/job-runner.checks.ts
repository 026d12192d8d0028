/** What the requirements of job runners in this suite ask of a record. No check is content with having seen nothing. */

import { type Finding, missing } from '../../harness/core/findings.ts';
import { apiTokenIn } from '../../harness/kubernetes/api-token.ts';
import type { WorkloadContainer, WorkloadPodSpec } from '../../harness/roles/job-runner/manifests.ts';
import {
  type Container,
  eachPod,
  eachSpec,
  ofKind,
  type PodSpec,
  type RunnerRecord,
  specsOf,
} from '../../harness/roles/job-runner/record.ts';
import type { AdmissionRecord } from '../../harness/roles/job-runner/scenarios/admission.ts';
import type { InstallationRecord } from '../../harness/roles/job-runner/scenarios/installation.ts';
import type { TasksRecord } from '../../harness/roles/job-runner/scenarios/tasks.ts';

/**
 * WH-01: non-root, no privilege escalation, no capabilities, fsGroup set; init containers that are declared may differ.
 * What a cluster adds to a pod, or sets right in it, is not the runner's: its Job counts.
 */
export function runsUnprivileged(record: RunnerRecord): Finding[] {
  return eachSpec(record, (who, spec) => [
    ...(spec.securityContext?.fsGroup === undefined ? [`${who} has no fsGroup`] : []),
    ...containersOf(spec, record.target.privilegedInitContainers).flatMap(({ name, securityContext: own = {} }) => {
      const { runAsNonRoot, runAsUser } = { ...spec.securityContext, ...own };
      const wrong = [
        ...(runAsUser === 0 || (runAsNonRoot !== true && runAsUser === undefined) ? ['may run as root'] : []),
        ...(own.allowPrivilegeEscalation === false ? [] : ['allows privilege escalation']),
        ...(own.privileged === true ? ['is privileged'] : []),
        ...(own.capabilities?.drop?.includes('ALL') === true ? [] : ['does not drop all capabilities']),
      ];
      return wrong.length === 0 ? [] : [`${who}: container ${name} ${wrong.join(', ')}`];
    }),
  ]);
}

/** WH-02: every pod is admitted where Pod Security enforces `restricted`. */
export function isAdmittedUnderRestricted({ tried }: AdmissionRecord): Finding[] {
  if (tried.length === 0) {
    return [missing('no pod of a task was seen')];
  }
  return tried.flatMap(({ who, refused }) =>
    refused === undefined ? [] : [`the pod of ${who} is refused (${refused})`],
  );
}

/**
 * WH-03: no API token in agents' pods, but for one that a cluster gives to a container of its own. One for a provider
 * is none: it is what agents with a workload identity have.
 */
export function mountsNoApiToken(record: RunnerRecord & Pick<TasksRecord, 'apiAudiences'>): Finding[] {
  if (record.target.apiTokenInPods) {
    return [];
  }
  const own = new Set(
    specsOf(record).flatMap(({ spec }) => [...spec.containers, ...(spec.initContainers ?? [])].map(({ name }) => name)),
  );
  return eachPod(record, (pod, { volumes = [], containers, initContainers = [] }) => {
    const mounted = new Set(
      [...containers, ...initContainers]
        .filter(({ name }) => own.has(name))
        .flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name)),
    );
    const tokens = volumes.filter(
      (volume) => mounted.has(String(volume.name)) && apiTokenIn(volume, record.apiAudiences) !== undefined,
    );
    return tokens.length === 0
      ? []
      : [`pod ${pod} has a ServiceAccount token: the volumes ${JSON.stringify(tokens).slice(0, 200)}`];
  });
}

/** WH-04: the value of a secret variable stands in no specification and in no line of the runner's own output. */
export function hidesSecrets(record: TasksRecord): Finding[] {
  const { value, variable } = record.canary;
  const inObjects = [...ofKind(record, 'Pod'), ...ofKind(record, 'Job')].filter(({ first, last }) =>
    JSON.stringify([first, last]).includes(value),
  );
  const inLog = record.events.filter((event) => event.type === 'log' && event.text.includes(value));
  const delivered = eachPod(record, () => []);
  return [
    ...delivered,
    ...inObjects.map(
      ({ name }) =>
        `the value of the secret variable \`${variable}\` appears in plain text in the specification of ${name}`,
    ),
    ...(inLog.length === 0
      ? []
      : [`the value of the secret variable \`${variable}\` appears in plain text in ${inLog.length} lines of its log`]),
  ];
}

/**
 * WH-05: requests and limits of CPU and memory, by itself: a LimitRange gives its defaults to every pod. A native
 * sidecar runs as long as the agent does (Kubernetes, Sidecar Containers).
 */
export function setsResources(record: RunnerRecord): Finding[] {
  const runningOf = ({ containers, initContainers = [] }: PodSpec): Container[] => [
    ...initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always'),
    ...containers,
  ];
  return eachSpec(record, (who, spec) =>
    runningOf(spec).flatMap(({ name, resources = {} }) => {
      const lacking = [
        ...(resources.requests?.cpu === undefined ? ['requests.cpu'] : []),
        ...(resources.requests?.memory === undefined ? ['requests.memory'] : []),
        ...(resources.limits?.memory === undefined ? ['limits.memory'] : []),
      ];
      return lacking.length === 0 ? [] : [`${who}: container ${name} sets no ${lacking.join(', ')}`];
    }),
  );
}

/** Volumes that OpenShift's restricted-v2 lets in. */
const VOLUME_TYPES = ['projected', 'configMap', 'emptyDir', 'secret', 'persistentVolumeClaim'];

/**
 * WH-06a: no uid of its own choice, and volumes of the permitted types alone. What a cluster adds to a pod is not the
 * runner's: its Job counts.
 */
export function worksWithAnAssignedUid(record: RunnerRecord): Finding[] {
  return eachSpec(record, (who, spec) => [
    ...[{ name: 'pod', securityContext: spec.securityContext }, ...spec.containers, ...(spec.initContainers ?? [])]
      .filter(({ securityContext }) => securityContext?.runAsUser !== undefined)
      .map(({ name, securityContext }) => `${who}: ${name} insists on uid ${securityContext?.runAsUser}`),
    ...(spec.volumes ?? []).flatMap((volume) => {
      const type = Object.keys(volume).find((key) => key !== 'name') ?? 'emptyDir';
      return VOLUME_TYPES.includes(type) ? [] : [`${who}: the volume ${String(volume.name)} is a ${type}`];
    }),
  ]);
}

function containersOf({ containers, initContainers = [] }: PodSpec, excepted: string[]): Container[] {
  return [...initContainers.filter(({ name }) => !excepted.includes(name)), ...containers];
}

const CREDENTIAL_NAME = /(^|_)(TOKEN|SECRET|PASSWORD|API_?KEY|ACCESS_KEY|PRIVATE_KEY)$/i;

type Manifests = NonNullable<InstallationRecord['target']['manifests']>;

/** What is known of the installation of any role. */
export type Installed = Omit<InstallationRecord, 'target'> & {
  target: {
    manifests?: Pick<Manifests, 'container' | 'replicas' | 'credentials' | 'writableRootFilesystem'> | undefined;
  };
};

/**
 * WH-07: non-root, a read-only root file system where nothing else is declared, probes, credentials by reference, the
 * documented replicas.
 */
export function isInstalledSafely({ target, workload, pod, refused, ran }: Installed): Finding[] {
  const { manifests } = target;
  if (manifests === undefined) {
    return ['there are no manifests'];
  }
  if (workload === undefined || pod === undefined) {
    return refused.map((message) => `the API server does not take its manifests: ${message}`);
  }
  const containers = [...(pod.initContainers ?? []), ...pod.containers];
  const own = pod.containers.find(({ name }) => name === manifests.container);
  const replicas = workload.spec.replicas ?? 1;
  return [
    ...containers.flatMap((each) => mayRunAsRoot(pod, each)),
    ...(manifests.writableRootFilesystem === undefined
      ? containers
          .filter(({ securityContext }) => securityContext?.readOnlyRootFilesystem !== true)
          .map(({ name }) => `the root file system of its container ${name} is writable, and nothing declares why`)
      : []),
    ...(own === undefined
      ? [`its pod has no container ${manifests.container}`]
      : [
          ...(own.livenessProbe === undefined && own.readinessProbe === undefined
            ? [`its container ${own.name} has neither a liveness nor a readiness probe`]
            : []),
          ...manifests.credentials.flatMap((name) => credentialAt(own, name)),
        ]),
    ...containers.flatMap(({ name, env = [] }) =>
      env
        .filter(
          (entry) =>
            CREDENTIAL_NAME.test(entry.name) &&
            (entry.value ?? '') !== '' &&
            !manifests.credentials.includes(entry.name),
        )
        .map(
          (entry) =>
            `the variable ${entry.name} of its container ${name} is written out; its name says that it is a credential`,
        ),
    ),
    ...(replicas === (manifests.replicas ?? replicas)
      ? []
      : [`it has ${replicas} replicas; documented: ${manifests.replicas}`]),
    ...(ran === undefined ? [] : runsAsDeclared(ran, manifests.writableRootFilesystem !== undefined)),
  ];
}

function mayRunAsRoot(pod: WorkloadPodSpec, { name, securityContext = {} }: WorkloadContainer): Finding[] {
  const { runAsNonRoot, runAsUser } = { ...pod.securityContext, ...securityContext };
  if (runAsUser === 0) {
    return [`its container ${name} runs as root`];
  }
  return runAsNonRoot === true || runAsUser !== undefined ? [] : [`its container ${name} may run as root`];
}

function credentialAt({ name: container, env = [], envFrom = [] }: WorkloadContainer, name: string): Finding[] {
  const one = env.find((each) => each.name === name);
  if (one?.valueFrom?.secretKeyRef !== undefined) {
    return [];
  }
  // A whole Secret may bring it.
  if (one === undefined && envFrom.some(({ secretRef }) => secretRef !== undefined)) {
    return [];
  }
  const how = one === undefined ? 'is not there' : 'does not come by `secretKeyRef`';
  return [`the credential ${name} of its container ${container} ${how}`];
}

function runsAsDeclared(ran: NonNullable<InstallationRecord['ran']>, writable: boolean): Finding[] {
  if (!ran.ready) {
    return [missing(`its pod does not become Ready: ${ran.state}`)];
  }
  return [
    ...(ran.uid === '0' ? ['its pod runs as uid 0'] : []),
    ...(ran.wroteToRoot === true && !writable ? ['its pod could write to its root file system'] : []),
  ];
}
