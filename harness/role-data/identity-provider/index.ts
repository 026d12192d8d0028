import type { RoleData } from '../role-data.ts';
import { identityProviderTargetSchema } from './target-file.ts';
import { identityProviderTwinSchema } from './twin.ts';

export const identityProvider = {
  role: 'identity-provider',
  targetFile: identityProviderTargetSchema,
  twin: identityProviderTwinSchema,
} as const satisfies RoleData;
