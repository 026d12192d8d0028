import type { Requirement } from '../../catalogue/catalogue.ts';
import type { Candidate } from '../../rpc/candidate.ts';
import { type Target, targetOf } from '../../targets/load.ts';
import type { RoleDefinition } from '../definition.ts';
import { rightsForSessions } from './sessions/rights.ts';
import { declaredCapabilities, resourceTarget, sessionManagerTarget } from './target.ts';

const REFERENCES: Candidate = { kind: 'references', name: 'references', planned: [] };

/** The target, or the reference in the form that a requirement is about. */
function evaluatedBy(
  { preconditions }: Pick<Requirement, 'preconditions'>,
  targets: readonly Target[],
): Target<'session-manager'> {
  const isOfSessions = preconditions?.capabilities?.includes('sessions') === true;
  const reference = isOfSessions ? resourceTarget : sessionManagerTarget;
  return targetOf(targets, 'session-manager') ?? reference({ candidate: REFERENCES });
}

export const sessionManager = {
  role: 'session-manager',
  usesIdentityProvider: () => false,
  isAtApiServer: true,
  sharesOneObservation: true,
  nodeImages: ['workload'],
  referenceImage: { name: 'session-manager', requirements: ['SM-12'] },
  askedOnLiveClusters({ id, preconditions }, targets) {
    const given = targetOf(targets, 'session-manager');
    if (preconditions?.capabilities?.includes('sessions') !== true || given?.form === 'http') {
      return undefined;
    }
    const rights = rightsForSessions(given ?? resourceTarget({ candidate: REFERENCES }));
    // It looks whether the cluster assigns uids to the namespace.
    return id === 'WH-02s' ? { ...rights, 'cluster get namespaces': 1 } : rights;
  },
  podSecurity: (row, targets) => evaluatedBy(row, targets).podSecurity,
  rulesToGive(row, targets) {
    const { rules } = evaluatedBy(row, targets);
    // Of its manifests there is a dry run alone.
    return row.id === 'WH-07m'
      ? { namespaced: [], cluster: [] }
      : { namespaced: [...rules.namespaced, ...rules.undocumented], cluster: rules.cluster };
  },
  hasDefaultClaims({ preconditions }, targets) {
    const given = targetOf(targets, 'session-manager');
    if (preconditions?.capabilities?.includes('sessions') !== true || given?.form === 'http') {
      return false;
    }
    return (given ?? resourceTarget({ candidate: REFERENCES })).documented.names.claim !== undefined;
  },
  filesOf(target) {
    if (target.role !== 'session-manager') {
      return {};
    }
    const manifests =
      target.form === 'http'
        ? { field: 'manifests.files', names: target.manifests?.files ?? [] }
        : { field: 'install.files', names: target.install.files };
    return { manifests, command: target.start?.command };
  },
  capabilities(candidate) {
    const declared = declaredCapabilities(candidate);
    return { declared, quoted: `the target file declares the capabilities [${declared.join(', ')}]` };
  },
} satisfies RoleDefinition;
