import { setTimeout as delay } from 'node:timers/promises';
import { HarnessError } from '../../../core/errors.ts';
import type { PolicyRule } from '../../../core/policy-rule.ts';
import { limitSeconds } from '../../../core/time-limits.ts';
import { describeRight, isSelfReview, type Right, ruleAllows } from '../../../kubernetes/rbac.ts';
import type { IsAllowed } from './access-review.ts';

/** How long a change of a Role may take to be known to the API server's authorizer. */
const KNOWN_SECONDS = limitSeconds('accessKnown');
const LOOK_EVERY_MS = 100;

/**
 * Waits until the authorizer acts by a change. It learns of Roles by a watch of its own, that nobody else can see: it
 * is asked until it knows.
 *
 * @param user for the message
 * @param scope a namespace; absent: the whole cluster
 * @throws HarnessError with the first right that does not take effect in time
 */
export async function waitForEffect(
  isAllowed: IsAllowed,
  user: string,
  { rights, allowed, scope }: { rights: Right[]; allowed: boolean; scope?: string },
): Promise<void> {
  const deadline = Date.now() + KNOWN_SECONDS * 1000;
  for (const right of rights) {
    while ((await isAllowed(right, scope)) !== allowed) {
      if (Date.now() > deadline) {
        throw new HarnessError(
          `${KNOWN_SECONDS} s after its Role was written, ${user} ${allowed ? 'still may not' : 'still may'} ${describeRight(right)} in ${scope ?? 'the cluster'}`,
        );
      }
      await delay(LOOK_EVERY_MS);
    }
  }
}

/**
 * The rights that are gone when rules are replaced: not those that the new rules, or those of every authenticated user,
 * still give.
 */
export function rightsLost(before: Right[], rules: PolicyRule[]): Right[] {
  return before.filter((right) => {
    const [resource = '', subresource] = right.resource.split('/');
    const action = { ...right, resource, ...(subresource === undefined ? {} : { subresource }) };
    return !isSelfReview(right) && !rules.some((rule) => ruleAllows(rule, action));
  });
}
