import type { SessionDriver } from '../driver.ts';
import { leavesRoom } from '../record.ts';

export interface SessionPlan {
  /** Seconds that the subject tokens live. */
  subjectLifeSeconds: number;
  /**
   * Go on until tokens rotated: each file `each` times, all files together `total` times, and the tokens that were
   * replaced so have expired.
   */
  rotations?: { each: number; total: number };
  /** Time from one paced call of a provider to the next. */
  paceMs: number;
  /** A call that takes longer is not waited for: it is recorded as unanswered. */
  patienceMs: number;
}

/**
 * From the instant at which a client documents that it renews an access token to the arrival of the request for the
 * next one.
 */
export const RENEWAL_MARGIN_MS = 3_000;

/** Whether tokens live long enough for the reload interval that a client declares, if it declares one. */
export function hasRoom({ reloadSeconds }: SessionDriver, { subjectLifeSeconds }: SessionPlan): boolean {
  return reloadSeconds === undefined || leavesRoom(reloadSeconds, subjectLifeSeconds);
}

/**
 * Lets the time pass for which a client may remember what it read, where it declares one. Where tokens live too short
 * for that no check reads it, and nobody waits.
 */
export async function untilReloaded(
  { reloadSeconds, until }: Pick<SessionDriver, 'reloadSeconds' | 'until'>,
  subjectLifeSeconds: number,
): Promise<void> {
  if (reloadSeconds !== undefined && leavesRoom(reloadSeconds, subjectLifeSeconds)) {
    await until(new Date(Date.now() + 1_000 * reloadSeconds + RENEWAL_MARGIN_MS));
  }
}
