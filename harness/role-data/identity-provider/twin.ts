import { z } from 'zod';
import { twinBase, twinName } from '../twin-base.ts';

/** A twin of the role `identity-provider`: how it is broken. */
export const identityProviderTwinSchema = z.strictObject({
  ...twinBase,
  role: z.literal('identity-provider'),
  identityProvider: z.strictObject({
    kind: z.enum(['keycloak', 'embedded', 'oauth2-mock-server']),
    variant: twinName.optional(),
  }),
});
