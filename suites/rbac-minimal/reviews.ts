import { HarnessError, Violation } from '../../harness/core/errors.ts';
import { saysNothing } from '../../harness/kubernetes/cluster-tokens.ts';
import type { CallAnswer } from './calls.ts';

const FORBIDDEN = 403;

/**
 * True where a call was refused because the caller has no right to it, and not for what it asks (Kubernetes,
 * k8s.io/apiserver, pkg/endpoints/handlers/responsewriters: `User "…" cannot create resource "roles" in API group …`).
 */
export function lacksRight({ status, message = '' }: CallAnswer): boolean {
  return status === FORBIDDEN && /\bcannot \w+ resource\b/.test(message);
}

/**
 * For answers that have to say something of a right.
 *
 * @throws Violation that may be the machine's fault where the API server had too much to do to answer, or failed
 */
export function assertAnswered(statuses: Record<string, number>): void {
  const unanswered = Object.entries(statuses).filter(([, status]) => saysNothing(status));
  if (unanswered.length > 0) {
    const list = unanswered.map(([what, status]) => `${what} (${status})`).join(', ');
    throw new Violation(`the API server neither allowed nor refused: ${list}`, true);
  }
}

/** A call beside what the access review said of it (RB-05). */
export interface Compared {
  /** `not counted` where the answer says nothing of the right, as a refusal by an admission plugin does not. */
  acts: 'allowed' | 'refused' | 'not counted';
  status: number;
  accessReview: 'allowed' | 'refused';
}

/**
 * Compares a call with the SelfSubjectAccessReview about it.
 *
 * @throws HarnessError where there is no review
 */
export function comparedWithReview(called: CallAnswer | undefined, reviewed: CallAnswer | undefined): Compared {
  const allowed = (reviewed?.body as { status?: { allowed?: boolean } } | undefined)?.status?.allowed;
  if (called === undefined || reviewed === undefined || allowed === undefined) {
    throw new HarnessError(
      `a SelfSubjectAccessReview was answered ${reviewed?.status} ${reviewed?.message ?? 'without a status'}`,
    );
  }
  const { status } = called;
  const isCounted = status === FORBIDDEN ? lacksRight(called) : status !== 401 && !saysNothing(status);
  return {
    acts: isCounted ? (status === FORBIDDEN ? 'refused' : 'allowed') : 'not counted',
    status,
    accessReview: allowed ? 'allowed' : 'refused',
  };
}
