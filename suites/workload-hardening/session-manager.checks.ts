/**
 * The requirements of hardening for the pods of session managers, as functions of what was seen; nothing wrong is an
 * empty list. WH-02m is about pods that a manager was called for, WH-02s about those of sessions that are objects.
 */

import type { V1Container, V1PodSpec } from '@kubernetes/client-node';
import { NotTestable } from '../../harness/core/errors.ts';
import { type Finding, missing } from '../../harness/core/findings.ts';
import { quoting } from '../../harness/core/quotation.ts';
import { apiTokenIn } from '../../harness/kubernetes/api-token.ts';
import { first, ownPodOf } from '../../harness/roles/session-manager/record.ts';
import type { AdmissionRecord } from '../../harness/roles/session-manager/scenarios/admission.ts';
import type { WorkRecord } from '../../harness/roles/session-manager/scenarios/work.ts';
import type { SessionAdmissionRecord } from '../../harness/roles/session-manager/sessions/admission.ts';
import { podsOfSessions } from '../../harness/roles/session-manager/sessions/record.ts';
import { KEY_VARIABLE, LIVING, type LifeRecord } from '../../harness/roles/session-manager/sessions/scenarios.ts';

type Pods = [name: string, spec: V1PodSpec][];
type Asked = Pick<WorkRecord, 'asked' | 'objects' | 'requests'>;
type Sessions = Pick<LifeRecord, 'target' | 'namespace' | 'events'>;

/** The pods that the manager was asked for, as they were admitted. */
function podsAskedFor({ asked, objects }: Omit<Asked, 'requests'>): Pods {
  return Object.keys(asked).flatMap((name) => {
    const spec = first(objects, 'Pod', name)?.spec;
    return spec === undefined ? [] : [[name, spec] as [string, V1PodSpec]];
  });
}

/** The same without what the cluster put into them. */
function ownPods(record: Asked): Pods {
  return Object.keys(record.asked).flatMap((name) => {
    const spec = ownPodOf(record, name);
    return spec === undefined ? [] : [[name, spec] as [string, V1PodSpec]];
  });
}

const podsOfAll = (record: Sessions): Pods => podsOfSessions(record, LIVING);

function eachPod(pods: Pods, evaluate: (name: string, spec: V1PodSpec) => Finding[]): Finding[] {
  return pods.length === 0 ? [missing('no pod was seen')] : pods.flatMap(([name, spec]) => evaluate(name, spec));
}

/** What is wrong in the same way with several pods is one finding with their names. */
function togetherWhere(pods: Pods, evaluate: (name: string, spec: V1PodSpec) => string[]): Finding[] {
  if (pods.length === 0) {
    return [missing('no pod was seen')];
  }
  const wrong = pods.flatMap(([name, spec]) => evaluate(name, spec).map((text) => ({ name, text })));
  return [...Map.groupBy(wrong, ({ text }) => text)].map(
    ([text, group]) =>
      `${text}, in ${group.length} of ${pods.length} pods: ${group.map(({ name }) => name).join(', ')}`,
  );
}

/** Where a text is in an object: `spec.containers[0].env[2].value`. */
function pathTo(value: unknown, text: string, path = ''): string | undefined {
  if (typeof value === 'string') {
    return value.includes(text) ? path : undefined;
  }
  if (typeof value !== 'object' || value === null) {
    return undefined;
  }
  for (const [key, item] of Object.entries(value)) {
    const found = pathTo(item, text, Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`);
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}

/** WH-02m and WH-02s */
export function isAdmittedUnderRestricted({
  tried,
}: Pick<AdmissionRecord | SessionAdmissionRecord, 'tried'>): Finding[] {
  return tried.length === 0
    ? [missing('no pod was seen')]
    : [
        ...Map.groupBy(
          tried.flatMap(({ who, refused }) =>
            refused === undefined ? [] : [{ who, why: refused.replaceAll(`"${who}"`, 'it') }],
          ),
          ({ why }) => why,
        ),
      ].map(([why, group]) =>
        quoting(
          `${group.length} of ${tried.length} pods refused under \`restricted\`: ${group.map(({ who }) => who).join(', ')}`,
          why,
          'The API server answered',
        ),
      );
}

/**
 * WH-03m: a token for a provider is none for the API server, nor is one that a cluster gives to a container of its own.
 */
export function mountsNoApiToken(record: Asked & Pick<WorkRecord, 'target' | 'apiAudiences'>): Finding[] {
  const containersOf = ({ containers, initContainers = [] }: V1PodSpec): V1Container[] => [
    ...containers,
    ...initContainers,
  ];
  return record.target.apiTokenInPods
    ? []
    : togetherWhere(podsAskedFor(record), (name, admitted) => {
        const own = new Set(containersOf(ownPodOf(record, name) ?? admitted).map((container) => container.name));
        const mounted = containersOf(admitted)
          .filter((container) => own.has(container.name))
          .flatMap(({ volumeMounts = [] }) => volumeMounts.map((mount) => mount.name));
        return (admitted.volumes ?? []).flatMap((volume) => {
          const token = mounted.includes(volume.name) ? apiTokenIn(volume, record.apiAudiences) : undefined;
          if (token === undefined) {
            return [];
          }
          const { path = 'token', audience = 'the API server' } = token;
          return [
            `a ServiceAccount token is mounted (volume \`${volume.name.replace(/-[a-z0-9]{5}$/, '-…')}\`, file \`${path}\`, for ${audience})`,
          ];
        });
      });
}

/** WH-03s: a token for an audience that the session names is not the API server's. */
export function sessionsMountNoApiToken(record: Sessions & Pick<LifeRecord, 'apiAudiences'>): Finding[] {
  return record.target.apiTokenInPods
    ? []
    : eachPod(podsOfAll(record), (name, { volumes = [] }) => {
        const tokens = volumes.filter((volume) => apiTokenIn(volume, record.apiAudiences) !== undefined);
        return tokens.map((volume) => `the pod ${name} has a token for the API server, in its volume ${volume.name}`);
      });
}

/** WH-04m: the value of a secret variable stands in no pod and in no line of the manager's own output. */
export function hidesSecrets(
  record: Omit<Asked, 'requests'> & Pick<WorkRecord, 'output' | 'outputLost' | 'secret'>,
): Finding[] {
  const { objects, outputLost } = record;
  const found = whereItStands(objects, 'AGENT_KEY', record);
  if (found.length === 0 && outputLost > 0) {
    throw new NotTestable(
      `the session manager wrote so much that ${outputLost} lines of its output are not kept: nothing can be said of those`,
    );
  }
  return [...eachPod(podsAskedFor(record), () => []), ...found];
}

/** WH-04s: nor in a session's status or any other object that is made for one. */
export function sessionsHideSecrets(record: Sessions & Pick<LifeRecord, 'output' | 'secret'>): Finding[] {
  return [
    ...eachPod(podsOfSessions(record, ['keyed']), () => []),
    ...whereItStands(record.events, KEY_VARIABLE, record),
  ];
}

function whereItStands(
  events: { kind: string; object: { metadata?: { name?: string } } }[],
  variable: string,
  { output, secret }: Pick<WorkRecord, 'output' | 'secret'>,
): Finding[] {
  const objects = new Map(
    events
      .filter(({ object }) => JSON.stringify(object).includes(secret))
      .map(({ kind, object }) => [`${kind.toLowerCase()} \`${object.metadata?.name}\``, pathTo(object, secret)]),
  );
  const lines = output.filter((line) => line.includes(secret)).length;
  const what = `the value of the secret variable \`${variable}\` appears in plain text in`;
  return [
    ...[...objects].map(([object, path]) => `${what} the ${object} (field \`${path}\`)`),
    ...(lines === 0 ? [] : [`${what} ${lines} lines of its own output`]),
  ];
}

/**
 * WH-05m: requests of CPU and memory, and a limit of memory, by itself: a LimitRange gives its defaults to every pod.
 */
export const setsResources = (record: Asked): Finding[] => togetherWhere(ownPods(record), missingResources);

/** WH-05s: those that the session's template asks for, and those of what the controller adds. */
export const sessionsSetResources = (record: Sessions): Finding[] => togetherWhere(podsOfAll(record), missingResources);

function missingResources(_: string, { initContainers = [], containers }: V1PodSpec): string[] {
  return [...initContainers, ...containers].flatMap(({ name, resources }) => {
    const lacking = [
      ...(resources?.requests?.cpu === undefined ? ['requests.cpu'] : []),
      ...(resources?.requests?.memory === undefined ? ['requests.memory'] : []),
      ...(resources?.limits?.memory === undefined ? ['limits.memory'] : []),
    ];
    return lacking.length === 0 ? [] : [`container \`${name}\` sets no ${lacking.join(', ')}`];
  });
}
