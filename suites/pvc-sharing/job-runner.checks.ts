/** What the requirements of job runners in this suite ask of a record. No check is content with having seen nothing. */

import { type Finding, missing, missingIf } from '../../harness/core/findings.ts';
import { assumes, endsOf, saidBy, taskNamed } from '../../harness/roles/job-runner/record.ts';
import {
  agentOf,
  type ClaimRecord,
  describeResumption,
  type ParentPodRecord,
} from '../../harness/roles/job-runner/scenarios/parent-pod.ts';
import { describeStart } from '../../harness/roles/job-runner/scenarios/refusals.ts';

const NO_POD = [missing('the task had no pod')];

/** PV-20: the parent pod's claim is at the same path in the agent's pod. */
export function mountsTheClaim(record: ParentPodRecord): Finding[] {
  assumes(record, 'shared-claim');
  const { spec, agent } = agentOf(record, 'first');
  if (spec === undefined || agent === undefined) {
    return NO_POD;
  }
  const { claim, claimMountPath } = record.target.deployment ?? {};
  const mount = agent.volumeMounts?.find(({ mountPath }) => mountPath === claimMountPath);
  const volume = spec.volumes?.find(({ name }) => name === mount?.name);
  if (volume?.persistentVolumeClaim?.claimName === claim) {
    return [];
  }
  const what = volume === undefined ? 'nothing' : JSON.stringify(volume);
  return [`at ${claimMountPath} the agent has ${what}, and not the claim ${claim}`];
}

/** PV-21: what one side writes on the claim, the other reads. */
export function sharesFiles(record: ParentPodRecord): Finding[] {
  assumes(record, 'shared-claim');
  const { fromParent, fromAgent } = record.written;
  const task = taskNamed(record, 'first');
  // An agent that has not come to its end may not have come to read and to write.
  const hasEnded = task !== undefined && endsOf(record, task).some(({ outcome }) => outcome === 'succeeded');
  return [
    ...(record.logs.first?.includes(`: ${fromParent}`) === true
      ? []
      : [missingIf(!hasEnded, 'the agent did not read what the parent pod had written')]),
    ...(record.readBack === fromAgent
      ? []
      : [
          missingIf(
            !hasEnded,
            `the parent pod read ${JSON.stringify(record.readBack)}, and not what the agent had written`,
          ),
        ]),
  ];
}

/** PV-22: two agents have no home in common. */
export function keepsAgentsApart(record: ParentPodRecord): Finding[] {
  assumes(record, 'shared-claim');
  const homes = ['first', 'other'].map((label) => {
    const { spec, agent } = agentOf(record, label);
    const home = /\benv HOME=([^\s"\\]+)/.exec(record.logs[label] ?? '')?.[1];
    if (spec === undefined || agent === undefined || home === undefined) {
      return undefined;
    }
    const [mount] = (agent.volumeMounts ?? [])
      .filter(({ mountPath }) => home === mountPath || home.startsWith(`${mountPath.replace(/\/$/, '')}/`))
      .toSorted((a, b) => b.mountPath.length - a.mountPath.length);
    const claim = spec.volumes?.find(({ name }) => name === mount?.name)?.persistentVolumeClaim?.claimName;
    return claim === undefined
      ? 'a place of its own'
      : [claim, mount?.subPath, home.slice(mount?.mountPath.length)].filter(Boolean).join('/');
  });
  const [one, other] = homes;
  if (one === undefined || other === undefined) {
    return [missing('an agent did not print its HOME')];
  }
  return one === other && one !== 'a place of its own' ? [`two agents share the home ${one}`] : [];
}

const MISSING_WORDS = /not found|missing|does not exist|no such|not in the namespace|\b404\b/i;

/**
 * PV-23: what is wrong with the claim is reported at the start: that it is missing, by a refusal or a warning, and that
 * it is not RWX.
 */
export function checksTheClaim(record: ClaimRecord): Finding[] {
  assumes(record, 'shared-claim');
  const { spec } = (record.claim ?? {}) as { spec?: { accessModes?: string[] } };
  const modes = (spec?.accessModes ?? []).join(', ');
  const isWarned = modes.includes('ReadWriteMany') || /ReadWriteMany|RWX|ReadWriteOnce|RWO/.test(saidBy(record));
  const unreported = record.missing.filter((start) => {
    const said = saidBy(start);
    const isNamed = new RegExp(start.named, 'i').test(said) && MISSING_WORDS.test(said);
    return start.readiness?.ready !== true || !isNamed;
  });
  return [
    ...(record.missing.length === 0
      ? ['nothing was tried']
      : unreported.flatMap((start) => describeStart(start) ?? [])),
    ...(isWarned ? [] : [`the claim is ${modes}, and nothing was reported of that`]),
  ];
}

/** PV-24: the claim is there, and not being deleted. */
export function leavesTheClaim(record: ParentPodRecord): Finding[] {
  assumes(record, 'shared-claim');
  if (record.claim === undefined) {
    return ['no claim was seen'];
  }
  const deleted = record.claim.metadata?.deletionTimestamp;
  return deleted === undefined ? [] : [`the shared claim was deleted at ${String(deleted)}`];
}

/** PV-25: the second task goes on with the session of the first, which the claim kept. */
export function keepsSessions(record: ParentPodRecord): Finding[] {
  assumes(record, 'session', 'shared-claim');
  return describeResumption(record) ?? [];
}
