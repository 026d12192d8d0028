import type { RequirementContext } from '../../rpc/context.ts';
import { describeCall } from './driver.ts';
import type { ManagerRecord } from './launch.ts';

/**
 * Makes an observation once for all files of a candidate, and keeps what was called, and every end of the manager's
 * process, as evidence of each requirement that asks for it.
 */
export async function observed<R extends Pick<ManagerRecord, 'calls' | 'deaths'>>(
  t: RequirementContext,
  what: string,
  observe: () => Promise<R>,
): Promise<R> {
  const record = await t.sharedByAllFiles(`session manager: ${what}`, observe);
  t.evidence('calls', record.calls.map(describeCall));
  if (record.deaths.length > 0) {
    t.evidence(
      'process exits',
      record.deaths.map(({ at, ...death }) => ({ at: new Date(at).toISOString(), ...death })),
    );
  }
  return record;
}
