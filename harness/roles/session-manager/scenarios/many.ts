import type { RequirementContext } from '../../../rpc/context.ts';
import { type Call, isSuccess } from '../driver.ts';
import { observed } from '../evidence.ts';
import { type ManagerRecord, withSessionManager } from '../launch.ts';
import { isReady, latest, REPORTED_SECONDS, untilReady } from '../record.ts';

/** So many requests at once. */
export const AT_ONCE = 50;

export interface ManyRecord extends ManagerRecord {
  /** One of each kind for each number: a command that prints it, and what is known of a pod. */
  execs: Call<'exec'>[];
  gets: Call<'getPod'>[];
}

/** Asks a manager for many things at once, half of them commands that print what nobody else's does. */
export function observeMany(t: RequirementContext): Promise<ManyRecord> {
  return observed(t, 'many', () =>
    withSessionManager(t, { purpose: 'many' }, async (manager) => {
      const { namespace, image } = manager;
      await manager.call('createPod', { name: 'agent', namespace, image, command: ['sleep', '300'] });
      await untilReady(manager, 'agent');
      const numbers = Array.from({ length: AT_ONCE / 2 }, (_, index) => index);
      const execs = numbers.map((number) =>
        manager.call('exec', {
          name: 'agent',
          namespace,
          command: ['/bin/sh', '-c', `echo out-${number}; echo err-${number} >&2`],
        }),
      );
      const gets = numbers.map((number) =>
        manager.call('getPod', { name: number % 2 === 0 ? 'agent' : `unknown-${number}`, namespace }),
      );
      const answers = { execs: await Promise.all(execs), gets: await Promise.all(gets) };
      if (!answers.execs.every(isSuccess)) {
        // That its container had ended, which a busy node reports late, would explain it.
        const isReadyYet = (): boolean => isReady(latest(manager.objects, 'Pod', 'agent'));
        await manager.until(() => (isReadyYet() ? undefined : true), REPORTED_SECONDS);
      }
      await manager.settle();
      // Only now: it has the stalls up to here.
      return { ...manager.record(), ...answers };
    }),
  );
}
