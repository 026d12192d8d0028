import type { Candidate } from '../../rpc/candidate.ts';
import { targetOf } from '../../targets/load.ts';
import type { RoleDefinition } from '../definition.ts';
import { rightsForSessions } from './sessions/rights.ts';
import { declaredCapabilities, resourceTarget } from './target.ts';

const REFERENCES: Candidate = { kind: 'references', name: 'references', planned: [] };

export const sessionManager = {
  role: 'session-manager',
  usesIdentityProvider: () => false,
  isAtApiServer: true,
  sharesOneObservation: true,
  nodeImages: ['workload'],
  referenceImage: { name: 'session-manager', requirements: ['SM-12'] },
  askedOnLiveClusters({ preconditions }, targets) {
    const given = targetOf(targets, 'session-manager');
    return preconditions?.capabilities?.includes('sessions') === true && given?.form !== 'http'
      ? rightsForSessions(given ?? resourceTarget({ candidate: REFERENCES }))
      : undefined;
  },
  capabilities(candidate) {
    const declared = declaredCapabilities(candidate);
    return { declared, quoted: `the target file declares the capabilities [${declared.join(', ')}]` };
  },
} satisfies RoleDefinition;
