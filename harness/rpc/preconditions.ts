import type { ClusterPrecondition } from '../catalogue/catalogue.ts';
import { HarnessError } from '../core/errors.ts';
import type { RequirementContext } from './context.ts';

/**
 * Is called by what needs something of the cluster: the row of the requirement has to say so, for the plan and the
 * report read it there.
 *
 * @param others words of which any will do as well
 * @throws HarnessError where it does not
 */
export function assertClusterDeclared(
  t: Pick<RequirementContext, 'id' | 'preconditions'>,
  what: ClusterPrecondition,
  ...others: ClusterPrecondition[]
): void {
  if (![what, ...others].some((word) => t.preconditions.cluster?.includes(word) === true)) {
    throw new HarnessError(
      `${t.id} needs ${what}, which its row does not declare (preconditions: { cluster: [${what}] })`,
    );
  }
}
