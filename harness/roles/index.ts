import type { Role } from '../role-data/index.ts';
import { cluster } from './cluster/definition.ts';
import type { RoleDefinition } from './definition.ts';
import { identityProvider } from './identity-provider/definition.ts';
import { jobRunner } from './job-runner/definition.ts';
import { sessionManager } from './session-manager/definition.ts';
import { sessionOperator } from './session-operator/definition.ts';
import { tokenClient } from './token-client/definition.ts';

export type { RoleDefinition } from './definition.ts';

/**
 * How each role is driven. Only this list and that of harness/role-data name the roles: run, report and command line
 * ask here. In this order twins are admitted, those that wait longest first, so that the others fill the time.
 */
const DEFINITIONS = {
  cluster,
  'token-client': tokenClient,
  'job-runner': jobRunner,
  'session-manager': sessionManager,
  'session-operator': sessionOperator,
  'identity-provider': identityProvider,
} satisfies { [R in Role]: RoleDefinition & { role: R } };

export const ROLE_DEFINITIONS: readonly RoleDefinition[] = Object.values(DEFINITIONS);

export function roleDefinition(role: Role): RoleDefinition {
  return DEFINITIONS[role];
}
