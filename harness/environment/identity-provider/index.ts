import type { StartedIdentityProvider } from '../../oauth/provider.ts';
import type { IdentityProviderContext } from './context.ts';
import { startEmbedded } from './embedded/index.ts';
import { startEmbeddedPod } from './embedded/pod.ts';
import { EMBEDDED_TWINS } from './faults/embedded-twins/index.ts';
import { KEYCLOAK_TWINS } from './faults/keycloak-twins.ts';
import { startKeycloak } from './keycloak/index.ts';
import { startMock } from './mock.ts';

export type { IdentityProviderContext } from './context.ts';

export type IdentityProviderKind = 'keycloak' | 'embedded' | 'oauth2-mock-server';

function variantOf<T>(kind: string, twins: Record<string, T>, variant: string): T {
  const twin = Object.hasOwn(twins, variant) ? twins[variant] : undefined;
  if (twin !== undefined) {
    return twin;
  }
  const known = Object.keys(twins);
  throw new Error(
    `identity provider ${kind}: there is no variant "${variant}"; ${known.length === 0 ? 'it has none' : `there are ${known.join(', ')}`}`,
  );
}

/**
 * Starts an identity provider of this run, set up and ready for {@link StartedIdentityProvider.register}.
 *
 * @param variant name of a broken variant (a twin's `identityProvider.variant`); none for the reference
 * @throws Error if there is no such variant, or it does not come up (it says what was seen last)
 */
export async function startIdentityProvider(
  kind: IdentityProviderKind,
  variant: string | undefined,
  context: IdentityProviderContext,
): Promise<StartedIdentityProvider> {
  switch (kind) {
    case 'embedded':
      if (context.pods !== undefined && variant === undefined) {
        return startEmbeddedPod(context, context.pods);
      }
      return startEmbedded(context, variant === undefined ? {} : variantOf(kind, EMBEDDED_TWINS, variant));
    case 'keycloak':
      return startKeycloak(context, variant === undefined ? {} : variantOf(kind, KEYCLOAK_TWINS, variant));
    case 'oauth2-mock-server':
      if (variant !== undefined) {
        variantOf(kind, {}, variant);
      }
      return startMock(context);
  }
}
