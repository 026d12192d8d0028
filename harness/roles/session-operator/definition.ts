import type { Candidate } from '../../rpc/candidate.ts';
import { type Target, targetOf } from '../../targets/load.ts';
import type { RoleDefinition } from '../definition.ts';
import { readObjects } from '../manifest-files.ts';
import { sessionOperatorTarget } from './target.ts';

const REFERENCES: Candidate = { kind: 'references', name: 'references', planned: [] };

/** Sessions come and go, and routes are watched. */
const SESSIONS = [
  ...['create', 'delete', 'list', 'watch'].map((verb) => `${verb} pods`),
  ...['list', 'watch'].flatMap((verb) => [`${verb} ingressroutes.traefik.io`, `${verb} middlewares.traefik.io`]),
  'create middlewares.traefik.io',
  'get /apis/traefik.io/v1alpha1',
  // Whether the cluster assigns uids.
  'cluster get namespaces',
];
/** Of targets whose DNS record goes with a session's claim. */
const CLAIMS = ['create', 'delete', 'list', 'watch'].map((verb) => `${verb} persistentvolumeclaims`);

/** Dry runs of what its manifests make. */
function rightsForInstallation(target: Target<'session-operator'>): string[] {
  const { files: names = [], workload } = target.manifests ?? {};
  const objects = readObjects(target, { field: 'manifests.files', names });
  const isSet = objects.some(({ kind, metadata }) => kind === 'StatefulSet' && metadata?.name === workload);
  return [`create ${isSet ? 'statefulsets' : 'deployments'}.apps`, 'create pods'];
}

export const sessionOperator = {
  role: 'session-operator',
  usesIdentityProvider: () => false,
  isAtApiServer: true,
  sharesOneObservation: true,
  furtherApi: {
    api: 'traefik.io/v1alpha1',
    fix: 'install Traefik’s CustomResourceDefinitions: kubectl apply -f fixtures/manifests/traefik-crds.yaml',
  },
  askedOnLiveClusters({ id }, targets) {
    const target = targetOf(targets, 'session-operator') ?? sessionOperatorTarget({ candidate: REFERENCES });
    const claims = target.sessions.claimLabels === undefined ? [] : CLAIMS;
    const rights = id === 'WH-07o' ? rightsForInstallation(target) : [...SESSIONS, ...claims];
    return Object.fromEntries(rights.map((right) => [right, 1]));
  },
  rulesToGive({ id }, targets) {
    const { rules } = targetOf(targets, 'session-operator') ?? sessionOperatorTarget({ candidate: REFERENCES });
    // Of its manifests there is a dry run alone.
    return id === 'WH-07o'
      ? { namespaced: [], cluster: [] }
      : { namespaced: [...rules.namespaced, ...rules.undocumented], cluster: rules.cluster };
  },
  filesOf(target) {
    if (target.role !== 'session-operator') {
      return {};
    }
    return {
      manifests: { field: 'manifests.files', names: target.manifests?.files ?? [] },
      command: 'command' in target.start ? target.start.command : undefined,
    };
  },
  capabilities(candidate) {
    const declared = sessionOperatorTarget({ candidate }).capabilities;
    return { declared, quoted: `the target file declares the capabilities [${declared.join(', ')}]` };
  },
} satisfies RoleDefinition;
