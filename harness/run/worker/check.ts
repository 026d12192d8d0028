import type { Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import { expectNone, type Finding } from '../../core/findings.ts';
import type { RequirementContext } from '../../rpc/context.ts';

/** What a scenario recorded; a stall of the machine explains findings that depend on time. */
export interface Recorded {
  stalls: Stall[];
}

/** The body of a requirement. */
export interface RequirementBody {
  (t: RequirementContext): Promise<void>;
  /** Name of the observation that it is evaluated from, which other requirements of the role may share. */
  observation?: string;
}

/**
 * The body of a requirement that is evaluated from what one observation recorded.
 *
 * @param observe makes the observation, or gives the one that was made for another requirement, and keeps its evidence
 * @param checks pure functions from the record to findings; the requirement is met where none of them finds anything
 */
export function check<R extends Recorded>(
  observe: (t: RequirementContext) => Promise<R>,
  ...checks: ((record: R, t: RequirementContext) => Finding[])[]
): RequirementBody {
  const body = async (t: RequirementContext): Promise<void> => {
    const record = await observe(t);
    expectNone(
      checks.flatMap((findings) => findings(record, t)),
      record.stalls,
    );
  };
  return observe.name === '' ? body : Object.assign(body, { observation: observe.name });
}
