import { HarnessError } from '../../../core/errors.ts';
import type { PolicyRule } from '../../../core/policy-rule.ts';
import { rulesWithout } from '../../../kubernetes/rbac.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Call } from '../driver.ts';
import { observed } from '../evidence.ts';
import { createPods, type LaunchedManager, type ManagerRecord, withSessionManager } from '../launch.ts';
import { latest, untilEnded, untilReady } from '../record.ts';

/** A command that cannot come to its own end, and what came of it. */
export interface FailedCommand {
  /** In words. */
  what: string;
  call: Call<'exec'>;
  /** No answer is owed: its caller has gone. */
  abandoned?: true;
  /** Another command, in a pod that runs, right after it. */
  next: Call<'exec'>;
}

export interface FailedCommandsRecord extends ManagerRecord {
  commands: FailedCommand[];
}

/** `.invalid` is reserved (RFC 6761): nothing can ever be pulled from there. */
const NO_IMAGE = 'conformance.invalid/none:1';
const LONGER_THAN_ANY_TEST = '300';
/** After so long a command runs, and its caller goes or its pod is taken away. */
const UNDER_WAY_SECONDS = 1.5;

/** Runs commands in pods that are not there, do not run, go away or may not be entered, and one that never ends. */
export function observeFailedCommands(t: RequirementContext): Promise<FailedCommandsRecord> {
  return observed(t, 'failed commands', () =>
    withSessionManager(t, { purpose: 'commands' }, async (manager) => {
      const { namespace, image } = manager;
      const sleeps = { namespace, image, command: ['sleep', LONGER_THAN_ANY_TEST] };
      await createPods(manager, [
        { ...sleeps, name: 'agent' },
        { ...sleeps, name: 'victim' },
        { ...sleeps, name: 'pending', image: NO_IMAGE },
        { namespace, image, name: 'done', command: ['true'] },
      ]);
      await Promise.all([untilReady(manager, 'agent'), untilReady(manager, 'victim'), untilEnded(manager, ['done'])]);
      const commands: FailedCommand[] = [];
      const add = async (what: string, call: Call<'exec'>, abandoned?: true): Promise<void> => {
        const next = await manager.call('exec', { name: 'agent', namespace, command: ['echo', 'still here'] });
        commands.push({ what, call, next, ...(abandoned === undefined ? {} : { abandoned }) });
      };
      const exec = (name: string, command = ['true']): Promise<Call<'exec'>> =>
        manager.call('exec', { name, namespace, command });
      await add('in a pod that does not exist', await exec('unknown'));
      await add('in a pod that is pending', await exec('pending'));
      await add('in a pod that has ended', await exec('done'));
      await add('of a program that does not exist', await exec('agent', ['/no/such/program']));
      await add('that may not be run', await withoutTheRight(manager, () => exec('agent')));
      await add('that never ends, and whose caller goes away', await abandon(manager), true);
      const during = exec('victim', ['sleep', LONGER_THAN_ANY_TEST]);
      await manager.until(() => undefined, UNDER_WAY_SECONDS);
      await removeAtOnce(manager, 'victim');
      await add('whose pod goes away', await during);
      await manager.settle();
      return { ...manager.record(), commands };
    }),
  );
}

async function withoutTheRight<R>({ access, target }: LaunchedManager, act: () => Promise<R>): Promise<R> {
  const documented = [...target.rules.namespaced, ...target.rules.undocumented];
  const rights = ['create', 'get'].map((verb) => ({ verb, group: '', resource: 'pods/exec' }));
  await access.setRules(rights.reduce<PolicyRule[]>((rules, right) => rulesWithout(rules, right), documented));
  try {
    return await act();
  } finally {
    await access.setRules(documented);
  }
}

async function abandon(manager: LaunchedManager): Promise<Call<'exec'>> {
  const { namespace } = manager;
  const caller = new AbortController();
  const command = ['sleep', LONGER_THAN_ANY_TEST];
  const call = manager.call('exec', { name: 'agent', namespace, command }, { signal: caller.signal });
  await manager.until(() => undefined, UNDER_WAY_SECONDS);
  caller.abort();
  return call;
}

/** Deletes a pod without any grace, as an eviction by a node that is lost does. */
async function removeAtOnce({ cluster, namespace, objects, until }: LaunchedManager, name: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
  const { status } = await cluster.request(`${path}?gracePeriodSeconds=0`, { method: 'DELETE' });
  if (status !== 200) {
    throw new HarnessError(`the pod ${name} was not deleted by the harness: ${status}`);
  }
  await until(() => (latest(objects, 'Pod', name) === undefined ? true : undefined), 30);
}
