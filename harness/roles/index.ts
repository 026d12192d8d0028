import type { Role } from '../catalogue/catalogue.ts';
import { HarnessError } from '../core/errors.ts';
import { cluster } from './cluster/definition.ts';
import type { RoleDefinition } from './definition.ts';
import { identityProvider } from './identity-provider/definition.ts';
import { jobRunner } from './job-runner/definition.ts';

import { sessionManager } from './session-manager/definition.ts';
import { sessionOperator } from './session-operator/definition.ts';
import { tokenClient } from './token-client/definition.ts';

export type { RoleDefinition } from './definition.ts';

/**
 * The roles that can be evaluated. This is the only place that lists them: run, report and command line ask here. In
 * this order twins are admitted, those that wait longest first, so that the others fill the time.
 */
export const ROLE_DEFINITIONS: readonly RoleDefinition[] = [
  cluster,
  tokenClient,
  jobRunner,
  sessionManager,
  sessionOperator,
  identityProvider,
];

/** @throws HarnessError for a role that nothing is known of yet */
export function roleDefinition(role: Role): RoleDefinition {
  const definition = ROLE_DEFINITIONS.find((one) => one.role === role);
  if (definition === undefined) {
    throw new HarnessError(`the role ${role} has no definition in harness/roles/index.ts`);
  }
  return definition;
}
