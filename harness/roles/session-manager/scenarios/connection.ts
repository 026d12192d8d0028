import type { RequirementContext } from '../../../rpc/context.ts';
import type { Call } from '../driver.ts';
import { observed } from '../evidence.ts';
import { type ManagerRecord, withSessionManager } from '../launch.ts';

export interface ConnectionRecord extends ManagerRecord {
  /** With every documented right. */
  full: Call;
  /** Without any, and while the API server was away. */
  none: Call;
  unreachable: Call;
}

const AWAY_SECONDS = 60;

/** Asks a manager for its connection with all of its rights, with none, and without an API server. */
export function observeConnection(t: RequirementContext): Promise<ConnectionRecord> {
  return observed(t, 'connection', () =>
    withSessionManager(t, { purpose: 'connection' }, async (manager) => {
      const { namespace, access, target } = manager;
      const test = (): Promise<Call> => manager.call('testConnection', { namespace });
      const full = await test();
      await access.setRules([]);
      const none = await test();
      await access.setRules([...target.rules.namespaced, ...target.rules.undocumented]);
      await access.setFaults([{ kind: 'outage', forSeconds: AWAY_SECONDS }]);
      const unreachable = await test();
      await access.setFaults([]);
      return { ...manager.record(), full, none, unreachable };
    }),
  );
}
