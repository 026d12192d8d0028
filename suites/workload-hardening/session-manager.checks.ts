/**
 * The requirements of hardening for the pods of session managers, as functions of what was seen; nothing wrong is an
 * empty list. WH-02m is about pods that a manager was called for, WH-02s about those of sessions that are objects.
 */

import type { V1PodSpec } from '@kubernetes/client-node';
import { NotTestable } from '../../harness/core/errors.ts';
import type { Finding } from '../../harness/core/findings.ts';
import { first } from '../../harness/roles/session-manager/record.ts';
import type { AdmissionRecord } from '../../harness/roles/session-manager/scenarios/admission.ts';
import type { WorkRecord } from '../../harness/roles/session-manager/scenarios/work.ts';
import type { SessionAdmissionRecord } from '../../harness/roles/session-manager/sessions/admission.ts';
import { podsOfSessions } from '../../harness/roles/session-manager/sessions/record.ts';
import { KEY_VARIABLE, LIVING, type LifeRecord } from '../../harness/roles/session-manager/sessions/scenarios.ts';

type Pods = [name: string, spec: V1PodSpec][];
type Asked = Pick<WorkRecord, 'asked' | 'objects'>;
type Sessions = Pick<LifeRecord, 'target' | 'namespace' | 'events'>;

/** The pods that the manager was asked for, as they were admitted. */
function podsAskedFor({ asked, objects }: Asked): Pods {
  return Object.keys(asked).flatMap((name) => {
    const spec = first(objects, 'Pod', name)?.spec;
    return spec === undefined ? [] : [[name, spec] as [string, V1PodSpec]];
  });
}

const podsOfAll = (record: Sessions): Pods => podsOfSessions(record, LIVING);

function eachPod(pods: Pods, evaluate: (name: string, spec: V1PodSpec) => Finding[]): Finding[] {
  return pods.length === 0 ? ['no pod was seen'] : pods.flatMap(([name, spec]) => evaluate(name, spec));
}

/** WH-02m and WH-02s */
export function isAdmittedUnderRestricted({
  tried,
}: Pick<AdmissionRecord | SessionAdmissionRecord, 'tried'>): Finding[] {
  return tried.length === 0
    ? ['no pod was seen']
    : tried.flatMap(({ who, refused }) => (refused === undefined ? [] : [`the pod ${who} is refused (${refused})`]));
}

/** WH-03m */
export function mountsNoApiToken(record: Asked & Pick<WorkRecord, 'target'>): Finding[] {
  return record.target.apiTokenInPods
    ? []
    : eachPod(podsAskedFor(record), (name, { volumes = [] }) =>
        JSON.stringify(volumes).includes('"serviceAccountToken":')
          ? [`the pod ${name} has a ServiceAccount token: the volumes ${JSON.stringify(volumes).slice(0, 200)}`]
          : [],
      );
}

/** WH-03s: a token for an audience that the session names is not the API server's. */
export function sessionsMountNoApiToken(record: Sessions): Finding[] {
  return record.target.apiTokenInPods
    ? []
    : eachPod(podsOfAll(record), (name, { volumes = [] }) => {
        const tokens = volumes.filter(({ projected }) =>
          projected?.sources?.some(
            ({ serviceAccountToken }) =>
              serviceAccountToken !== undefined && serviceAccountToken.audience === undefined,
          ),
        );
        return tokens.map((volume) => `the pod ${name} has a token for the API server, in its volume ${volume.name}`);
      });
}

/** WH-04m: the value of a secret variable stands in no pod and in no line of the manager's own output. */
export function hidesSecrets(record: Asked & Pick<WorkRecord, 'output' | 'outputLost' | 'secret'>): Finding[] {
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
  const objects = new Set(
    events
      .filter(({ object }) => JSON.stringify(object).includes(secret))
      .map(({ kind, object }) => `${kind.toLowerCase()} ${object.metadata?.name}`),
  );
  const lines = output.filter((line) => line.includes(secret)).length;
  const what = `the value of the secret variable ${variable} stands in`;
  return [
    ...[...objects].map((object) => `${what} the ${object}`),
    ...(lines === 0 ? [] : [`${what} ${lines} lines of its own output`]),
  ];
}

/** WH-05m: requests of CPU and memory, and a limit of memory. */
export const setsResources = (record: Asked): Finding[] => eachPod(podsAskedFor(record), missingResources);

/** WH-05s: those that the session's template asks for, and those of what the controller adds. */
export const sessionsSetResources = (record: Sessions): Finding[] => eachPod(podsOfAll(record), missingResources);

function missingResources(pod: string, { initContainers = [], containers }: V1PodSpec): Finding[] {
  return [...initContainers, ...containers].flatMap(({ name, resources }) => {
    const missing = [
      ...(resources?.requests?.cpu === undefined ? ['requests.cpu'] : []),
      ...(resources?.requests?.memory === undefined ? ['requests.memory'] : []),
      ...(resources?.limits?.memory === undefined ? ['limits.memory'] : []),
    ];
    return missing.length === 0 ? [] : [`pod ${pod}: container ${name} sets no ${missing.join(', ')}`];
  });
}
