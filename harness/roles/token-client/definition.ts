import { fileURLToPath } from 'node:url';
import { CLIENT_CAPABILITIES } from '../../role-data/token-client/target-file.ts';
import { targetFor } from '../../rpc/candidate.ts';
import { loadReference, type Target } from '../../targets/load.ts';
import type { RoleDefinition } from '../definition.ts';
import { lifetimeForReload } from './reload.ts';

const REFERENCE = fileURLToPath(
  new URL('../../../fixtures/targets/token-clients/reference/target.yaml', import.meta.url),
);

export const tokenClient = {
  role: 'token-client',
  usesIdentityProvider: () => true,
  sharesOneObservation: true,
  // A session takes two minutes and some five seconds of a processor.
  twinsPerCore: 8,
  twinsAtLeastPerCore: 3,
  looksUpNames: true,
  capabilities(candidate) {
    const declared = targetFor(candidate, 'token-client')?.capabilities ?? CLIENT_CAPABILITIES;
    return { declared, quoted: `the client declares the capabilities [${declared.join(', ')}]` };
  },
  async install(target, onProgress) {
    if (target.role !== 'token-client') {
      return;
    }
    // Loaded here, so that the small commands start at once.
    const { installTarget } = await import('./configure/install.ts');
    await installTarget(target, onProgress);
  },
  environmentOptions: (target) =>
    target.role === 'token-client' && target.skewSeconds > 0 ? { accessTokenSkewSeconds: target.skewSeconds } : {},
  clientLifetimeSeconds: (target, clock) =>
    target.role === 'token-client' && target.tokenReloadSeconds !== undefined
      ? lifetimeForReload(target.tokenReloadSeconds, clock)
      : undefined,
  targetsOfTwin(twin) {
    if (twin.role !== 'token-client' || twin.tokenClient.asTarget !== true) {
      return undefined;
    }
    return [{ ...loadReference(REFERENCE), ...twin.tokenClient.declares } as Target];
  },
} satisfies RoleDefinition;
