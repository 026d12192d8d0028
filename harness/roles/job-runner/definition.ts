import type { Candidate } from '../../rpc/candidate.ts';
import { targetOf } from '../../targets/load.ts';
import type { RoleDefinition } from '../definition.ts';
import { jobRunnerTarget } from './target.ts';

const REFERENCES: Candidate = { kind: 'references', name: 'references', planned: [] };

/** Capabilities of a runner that takes things from the pod it runs in (scenarios/parent-pod.ts). */
const OF_A_PARENT_POD = new Set(['inherit', 'shared-claim', 'session']);

/** A claim that names no StorageClass; the empty name asks for a volume that somebody made by hand. */
function isDefaultClaim(object: Record<string, unknown>): boolean {
  const { storageClassName } = (object.spec ?? {}) as { storageClassName?: unknown };
  return object.kind === 'PersistentVolumeClaim' && storageClassName === undefined;
}

export const jobRunner = {
  role: 'job-runner',
  usesIdentityProvider: () => false,
  isAtApiServer: true,
  sharesOneObservation: true,
  nodeImages: ['workload'],
  referenceImage: { name: 'job-runner', requirements: ['WH-07'] },
  filesOf(target) {
    if (target.role !== 'job-runner') {
      return {};
    }
    return {
      manifests: { field: 'manifests.files', names: target.manifests?.files ?? [] },
      command: 'command' in target.start ? target.start.command : undefined,
    };
  },
  podSecurity: (_, targets) =>
    (targetOf(targets, 'job-runner') ?? jobRunnerTarget({ candidate: REFERENCES })).podSecurity,
  rulesToGive(_, targets) {
    const { rules, deployment } = targetOf(targets, 'job-runner') ?? jobRunnerTarget({ candidate: REFERENCES });
    const namespaced = [...rules.namespaced, ...rules.undocumented, ...(deployment?.rules ?? [])];
    return { namespaced, cluster: rules.cluster };
  },
  hasDefaultClaims({ preconditions }, targets) {
    const { objects, deployment } = targetOf(targets, 'job-runner') ?? jobRunnerTarget({ candidate: REFERENCES });
    const isInParentPod = preconditions?.capabilities?.some((capability) => OF_A_PARENT_POD.has(capability)) === true;
    return [...objects, ...(isInParentPod ? (deployment?.objects ?? []) : [])].some(isDefaultClaim);
  },
  capabilities(candidate) {
    const declared = jobRunnerTarget({ candidate }).capabilities;
    return { declared, quoted: `the target file declares the capabilities [${declared.join(', ')}]` };
  },
} satisfies RoleDefinition;
