import type { RoleDefinition } from '../definition.ts';
import { jobRunnerTarget } from './target.ts';

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
  capabilities(candidate) {
    const declared = jobRunnerTarget({ candidate }).capabilities;
    return { declared, quoted: `the target file declares the capabilities [${declared.join(', ')}]` };
  },
} satisfies RoleDefinition;
