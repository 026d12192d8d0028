/**
 * The requirements of hardening for the pods of session managers, as functions of what was seen; nothing wrong is an
 * empty list.
 */

import type { V1PodSpec } from '@kubernetes/client-node';
import { NotTestable } from '../../harness/core/errors.ts';
import type { Finding } from '../../harness/core/findings.ts';
import { first } from '../../harness/roles/session-manager/record.ts';
import type { AdmissionRecord } from '../../harness/roles/session-manager/scenarios/admission.ts';
import type { WorkRecord } from '../../harness/roles/session-manager/scenarios/work.ts';

/** The pods that the manager was asked for, as they were admitted. */
export function podsOf({ asked, objects }: Pick<WorkRecord, 'asked' | 'objects'>): [name: string, spec: V1PodSpec][] {
  return Object.keys(asked).flatMap((name) => {
    const spec = first(objects, 'Pod', name)?.spec;
    return spec === undefined ? [] : [[name, spec]];
  });
}

function eachPod(
  record: Pick<WorkRecord, 'asked' | 'objects'>,
  evaluate: (name: string, spec: V1PodSpec) => Finding[],
): Finding[] {
  const pods = podsOf(record);
  return pods.length === 0 ? ['no pod was seen'] : pods.flatMap(([name, spec]) => evaluate(name, spec));
}

/** WH-02m */
export function isAdmittedUnderRestricted({ tried }: Pick<AdmissionRecord, 'tried'>): Finding[] {
  return tried.length === 0
    ? ['no pod was seen']
    : tried.flatMap(({ who, refused }) => (refused === undefined ? [] : [`the pod ${who} is refused (${refused})`]));
}

/** WH-03m */
export function mountsNoApiToken(record: Pick<WorkRecord, 'asked' | 'objects' | 'target'>): Finding[] {
  return record.target.apiTokenInPods
    ? []
    : eachPod(record, (name, { volumes = [] }) =>
        JSON.stringify(volumes).includes('"serviceAccountToken":')
          ? [`the pod ${name} has a ServiceAccount token: the volumes ${JSON.stringify(volumes).slice(0, 200)}`]
          : [],
      );
}

/** WH-04m: the value of a secret variable stands in no pod and in no line of the manager's own output. */
export function hidesSecrets(
  record: Pick<WorkRecord, 'asked' | 'objects' | 'output' | 'outputLost' | 'secret'>,
): Finding[] {
  const { objects, output, outputLost, secret } = record;
  const pods = new Set(
    objects.filter(({ object }) => JSON.stringify(object).includes(secret)).map(({ object }) => object.metadata?.name),
  );
  const lines = output.filter((line) => line.includes(secret)).length;
  if (lines === 0 && pods.size === 0 && outputLost > 0) {
    throw new NotTestable(
      `the session manager wrote so much that ${outputLost} lines of its output are not kept: nothing can be said of those`,
    );
  }
  return [
    ...eachPod(record, () => []),
    ...[...pods].map((name) => `the value of the secret variable AGENT_KEY stands in the pod ${name}`),
    ...(lines === 0 ? [] : [`the value of the secret variable AGENT_KEY stands in ${lines} lines of its own output`]),
  ];
}

/** WH-05m: requests of CPU and memory, and a limit of memory. */
export function setsResources(record: Pick<WorkRecord, 'asked' | 'objects'>): Finding[] {
  return eachPod(record, (pod, { containers }) =>
    containers.flatMap(({ name, resources }) => {
      const missing = [
        ...(resources?.requests?.cpu === undefined ? ['requests.cpu'] : []),
        ...(resources?.requests?.memory === undefined ? ['requests.memory'] : []),
        ...(resources?.limits?.memory === undefined ? ['limits.memory'] : []),
      ];
      return missing.length === 0 ? [] : [`pod ${pod}: container ${name} sets no ${missing.join(', ')}`];
    }),
  );
}
