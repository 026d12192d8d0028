/** What a job runner puts into the pods of tasks. No check is content with having seen nothing. */

import { type Finding, missing } from '../../harness/core/findings.ts';
import { parseQuantity } from '../../harness/core/quantity.ts';
import {
  aboutOutcome,
  assumes,
  describeOutcome,
  endsOf,
  ofKind,
  type PodSpec,
  type RunnerRecord,
  refusalOf,
  type SubmittedTask,
  specsOfTask,
  taskNamed,
} from '../../harness/roles/job-runner/record.ts';
import {
  type AgentPodSpec,
  agentOf,
  type ParentPodRecord,
} from '../../harness/roles/job-runner/scenarios/parent-pod.ts';
import type { PromptsRecord } from '../../harness/roles/job-runner/scenarios/prompts.ts';
import { type ResourcesRecord, TEMPLATE_SERVICE_ACCOUNT } from '../../harness/roles/job-runner/scenarios/settings.ts';
import { OVERRIDE } from '../../harness/roles/job-runner/scenarios/tasks.ts';

/** JL-38: the same task, its variables in another order, gives the same pod. */
export function writesTheSamePod(record: RunnerRecord): Finding[] {
  const [first, second] = ['first', 'second'].map((label) => {
    const task = taskNamed(record, label);
    const [asked] = task === undefined ? [] : specsOfTask(record, task);
    return task === undefined || asked === undefined ? undefined : neutralSpec(record, task, asked.spec);
  });
  if (first === undefined || second === undefined) {
    return [missing('the two tasks that are the same did not both have a pod')];
  }
  if (first === second) {
    return [];
  }
  const at = [...first].findIndex((character, index) => character !== second[index]);
  const [a, b] = [first, second].map((text) => text.slice(Math.max(0, at - 80), at + 80));
  return [`two tasks that are the same gave different pods: …${a}… and …${b}…`];
}

/** A pod's specification without what names the task: ids, names made of them, hashes. */
function neutralSpec(record: RunnerRecord, { task, marker }: SubmittedTask, spec: PodSpec): string {
  const own = (['Pod', 'Job'] as const).flatMap((kind) => ofKind(record, kind, marker).map(({ name }) => name));
  const volumes = /kube-api-access-[a-z0-9]{5}/g;
  let text = JSON.stringify(spec).replaceAll(volumes, 'TOKEN');
  for (const known of [...own, marker, task.id, task.agent]) {
    text = text.replaceAll(known, 'ID');
  }
  for (const id of [task.id, task.agent]) {
    text = withoutCuts(text, id);
  }
  // Digests have no more in common than that they are long.
  return text.replaceAll(/[0-9a-f]{8,}/g, 'HEX').replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z|\b\d{10,}\b/g, 'TIME');
}

/** Shorter ones say nothing of whose they are. */
const SHORTEST_CUT = 6;

/** A text without an id that was cut off, and put in lower case. */
function withoutCuts(text: string, id: string): string {
  let rest = text;
  for (let length = id.length; length >= SHORTEST_CUT; length -= 1) {
    rest = rest.replaceAll(id.slice(0, length), 'ID').replaceAll(id.slice(0, length).toLowerCase(), 'ID');
  }
  return rest;
}

/** JL-42: the documented resources, and each override alongside the defaults of all else. */
export function appliesResources({ target, tasks, overridden, plain }: ResourcesRecord): Finding[] {
  const { overriddenBy, defaults } = target.documented.resources;
  return [
    ...hasResources(tasks, 'first', {}),
    ...(overriddenBy.includes('task') ? hasResources(tasks, 'fails', OVERRIDE) : []),
    ...(overridden === undefined ? [] : hasResources(overridden, 'overridden', OVERRIDE)),
    ...(plain === undefined ? [] : hasResources(plain, 'plain', {}, defaults)),
  ];
}

interface Resources {
  requests?: object | undefined;
  limits?: object | undefined;
}

function hasResources(
  record: RunnerRecord,
  label: string,
  override: Resources,
  defaults: Resources = record.target.documented.resources,
): Finding[] {
  const { container: agent } = record.target;
  const task = taskNamed(record, label);
  const [asked] = task === undefined ? [] : specsOfTask(record, task);
  if (asked === undefined) {
    return [missing(`the task ${label} had no pod`)];
  }
  const container = asked.spec.containers.find(({ name }) => name === agent);
  if (container === undefined) {
    return [`${asked.who} has no container ${agent}`];
  }
  return (['requests', 'limits'] as const).flatMap((part) =>
    Object.entries({ ...defaults[part], ...override[part] }).flatMap(([name, value]) => {
      const is = container.resources?.[part]?.[name];
      return is !== undefined && parseQuantity(is) === parseQuantity(String(value))
        ? []
        : [`the task ${label}: ${part}.${name} is ${is ?? 'not set'}, not ${value}`];
    }),
  );
}

/** JL-39: everything of the template is in the pod. */
export function mergesTemplate(record: RunnerRecord): Finding[] {
  assumes(record, 'pod-template');
  const [task] = record.tasks;
  const [asked] = task === undefined ? [] : specsOfTask(record, task);
  if (task === undefined || asked === undefined) {
    const text = `the task had no pod${task === undefined ? '' : `: it ${describeOutcome(record, task)}`}`;
    return [task === undefined ? missing(text) : aboutOutcome(record, task, text)];
  }
  const { spec } = asked;
  const agent = spec.containers.find(({ name }) => name === record.target.container);
  const has = (what: string, is: boolean): Finding[] => (is ? [] : [`the template's ${what} is not in the pod`]);
  const tolerations = spec.tolerations ?? [];
  return [
    ...has('serviceAccountName', spec.serviceAccountName === TEMPLATE_SERVICE_ACCOUNT),
    ...has('nodeSelector', spec.nodeSelector?.['kubernetes.io/os'] === 'linux'),
    ...has(
      'toleration',
      tolerations.some(({ key }) => key === 'conformance.test/template'),
    ),
    ...has(
      'imagePullSecrets',
      (spec.imagePullSecrets ?? []).some(({ name }) => name === 'conformance-pull'),
    ),
    ...has(
      'extra container',
      spec.containers.some(({ name }) => name === 'conformance-sidecar'),
    ),
    ...has('variable', agent?.env?.some(({ name, value }) => name === 'FROM_TEMPLATE' && value === 'kept') === true),
    ...has(
      'secretKeyRef',
      agent?.env?.some(({ name, valueFrom }) => name === 'FROM_SECRET' && valueFrom?.secretKeyRef !== undefined) ===
        true,
    ),
    // On a busy machine its pod may start later than the runner waits for.
    ...(endsOf(record, task)[0]?.outcome === 'succeeded' ? [] : [missing(`the task ${describeOutcome(record, task)}`)]),
  ];
}

/** JL-40: prompts up to nearly 128 KiB arrive byte for byte. */
export function deliversPrompts(record: PromptsRecord): Finding[] {
  return record.prompts
    .filter(({ bytes }) => bytes < 131_072)
    .flatMap(({ label, bytes, sha256, seen, change }) => {
      if (seen === sha256) {
        return [];
      }
      const task = taskNamed(record, label);
      const outcome = task === undefined ? '' : `; the task ${describeOutcome(record, task)}`;
      const what = seen === undefined ? 'did not arrive' : `arrived changed${change === undefined ? '' : ` ${change}`}`;
      const text = `the prompt ${label} of ${bytes} bytes ${what}${outcome}`;
      return [task === undefined || seen !== undefined ? text : aboutOutcome(record, task, text)];
    });
}

const SIZE_WORDS = /\b(long|large|big|size|bytes|limit|length|exceeds?|most|maximum)\b/i;

/** JL-40a: larger prompts arrive as they are, or the task is refused, and the reason says that it is too large. */
export function deliversOrRefusesLargePrompts(record: PromptsRecord): Finding[] {
  return record.prompts
    .filter(({ bytes }) => bytes >= 131_072)
    .flatMap(({ label, bytes, sha256, seen }) => {
      if (seen === sha256) {
        return [];
      }
      const task = record.tasks.find((submitted) => submitted.label === label);
      if (task === undefined) {
        return [];
      }
      if (seen !== undefined) {
        return [`the prompt ${label} of ${bytes} bytes arrived changed`];
      }
      const reason = refusalOf(record, task) ?? endsOf(record, task)[0]?.reason ?? '';
      return SIZE_WORDS.test(reason)
        ? []
        : [
            aboutOutcome(
              record,
              task,
              `the prompt ${label} of ${bytes} bytes did not arrive, and the task ${describeOutcome(record, task)}`,
            ),
          ];
    });
}

/** JL-43: everything that is documented to be inherited is in the agent's pod. */
export function inherits(record: ParentPodRecord): Finding[] {
  assumes(record, 'inherit');
  const { deployment } = record.target;
  const { spec, agent } = agentOf(record, 'first');
  if (deployment === undefined || spec === undefined || agent === undefined) {
    return [missing('the task had no pod')];
  }
  if (deployment.inherits.length === 0) {
    return ['the target file names nothing in `deployment.inherits`'];
  }
  const parent = (record.pod as { spec?: unknown }).spec as AgentPodSpec;
  const container = parent.containers.find(({ name }) => name === deployment.container);
  const envOf = (kind: 'value' | 'valueFrom') => (container?.env ?? []).filter((entry) => entry[kind] !== undefined);
  const secretsOf = (volumes: AgentPodSpec['volumes'] = []) =>
    volumes.flatMap(({ secret }) => (secret?.secretName === undefined ? [] : [{ name: secret.secretName }]));
  const isThere = {
    image: () => agent.image === container?.image,
    imagePullSecrets: () => hasEach(parent.imagePullSecrets, spec.imagePullSecrets),
    dns: () => JSON.stringify(parent.dnsConfig) === JSON.stringify(spec.dnsConfig),
    secretVolumes: () => hasEach(secretsOf(parent.volumes), secretsOf(spec.volumes)),
    value: () => hasEach(envOf('value'), agent.env),
    valueFrom: () => hasEach(envOf('valueFrom'), agent.env),
    envFrom: () => hasEach(container?.envFrom, agent.envFrom),
  };
  return deployment.inherits.flatMap((what) =>
    isThere[what]() ? [] : [`${what} of the parent pod is not in the agent's pod`],
  );
}

/** True when there are parts, and each of them is among the others. */
function hasEach(parts: object[] = [], others: object[] = []): boolean {
  const texts = others.map((other) => JSON.stringify(other));
  return parts.length > 0 && parts.every((part) => texts.includes(JSON.stringify(part)));
}
