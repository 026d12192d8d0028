import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Call } from '../driver.ts';
import { observed } from '../evidence.ts';
import { type LaunchedManager, type ManagerRecord, withSessionManager } from '../launch.ts';

/** What happened with one kubeconfig that cannot work. */
export interface BadKubeconfig {
  /** In words. */
  what: string;
  /** Absent where the capability `connection-test` is not declared. */
  test?: Call;
  /** It could be called after the configuration, and after a restart. */
  answersAfter: boolean;
  startsAgain: boolean;
  /** What it lacks of these two came too late, while its process ran. */
  isLate?: true;
}

export interface ConfigurationRecord extends ManagerRecord {
  kubeconfig: string;
  initial: Call;
  configured: Call;
  changed: Call;
  /** Whether it started again with what it had been told last, and what it then reported. */
  startsAgain: boolean;
  afterRestart?: Call;
  /** A list of pods under the configuration that was kept. */
  listAfterRestart?: Call;
  disabled: Call;
  bad: BadKubeconfig[];
  /** A list of pods when it had been told a good kubeconfig again; absent where it did not start again before that. */
  listAtTheEnd?: Call;
}

/** A server that nobody listens at: port 1 of loopback is reserved (IANA, tcpmux). */
const UNREACHABLE = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'c',
  clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
  users: [{ name: 'u', user: { token: 'none' } }],
  contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
});

/** Contents of kubeconfigs that cannot work; undefined: no file. */
const BAD_KUBECONFIGS: Record<string, string | undefined> = {
  'a path that does not exist': undefined,
  'a file that is not YAML': '{{{ neither YAML nor JSON: [',
  'an empty file': '',
  'the address of a server that does not listen': UNREACHABLE,
};

/** Configures a manager, restarts it, and gives it kubeconfigs that cannot work. */
export function observeConfiguration(t: RequirementContext): Promise<ConfigurationRecord> {
  return observed(t, 'configuration', () =>
    withSessionManager(t, { purpose: 'configuration', unconfigured: true }, async (manager) => {
      const { namespace, kubeconfig, target } = manager;
      const report = (): Promise<Call> => manager.call('getConfiguration', {});
      const list = (): Promise<Call> => manager.call('listPods', { namespace });
      const lists = target.capabilities.includes('pods');
      const initial = await report();
      const configured = await manager.call('configure', { enabled: true, namespace, kubeconfig });
      const changed = await report();
      const startsAgain = await manager.restart();
      const kept = startsAgain
        ? { afterRestart: await report(), ...(lists ? { listAfterRestart: await list() } : {}) }
        : {};
      await manager.call('configure', { enabled: false, namespace, kubeconfig });
      const disabled = await report();
      const afterwards = await useBadKubeconfigs(t, manager, Object.entries(BAD_KUBECONFIGS));
      const record = manager.record();
      return {
        ...record,
        ...{ kubeconfig, initial, configured, changed, startsAgain, ...kept, disabled, ...afterwards },
        calls: [...record.calls, ...afterwards.calls],
      };
    }),
  );
}

/**
 * Gives a manager one kubeconfig that cannot work after another, and a good one at the end. One that does not start
 * again says nothing of the kubeconfigs that are left: another one is asked then.
 *
 * @returns with the calls of the others
 */
async function useBadKubeconfigs(
  t: RequirementContext,
  manager: LaunchedManager,
  [next, ...rest]: [what: string, content: string | undefined][],
): Promise<Pick<ConfigurationRecord, 'bad' | 'listAtTheEnd' | 'calls'>> {
  if (next === undefined) {
    const { namespace, kubeconfig, target } = manager;
    await manager.call('configure', { enabled: true, namespace, kubeconfig });
    const lists = target.capabilities.includes('pods');
    const atTheEnd = lists ? { listAtTheEnd: await manager.call('listPods', { namespace }) } : {};
    await manager.settle();
    return { bad: [], calls: [], ...atTheEnd };
  }
  const used = await useBadKubeconfig(manager, ...next);
  if (used.startsAgain) {
    const afterwards = await useBadKubeconfigs(t, manager, rest);
    return { ...afterwards, bad: [used, ...afterwards.bad] };
  }
  if (rest.length === 0) {
    return { bad: [used], calls: [] };
  }
  // Under a purpose, and so in a namespace, of its own: the one before is not gone yet.
  const purpose = `configuration, ${rest.length} left`;
  return await withSessionManager(t, { purpose, unconfigured: true }, async (another) => {
    const afterwards = await useBadKubeconfigs(t, another, rest);
    return { ...afterwards, bad: [used, ...afterwards.bad], calls: [...another.calls, ...afterwards.calls] };
  });
}

async function useBadKubeconfig(
  manager: LaunchedManager,
  what: string,
  content: string | undefined,
): Promise<BadKubeconfig> {
  const { namespace, folder, target } = manager;
  const path = join(folder, what.replaceAll(' ', '-'));
  if (content !== undefined) {
    await writeFile(path, content);
  }
  const before = manager.record().deaths.length;
  let isSilent = false;
  const answers = async (): Promise<boolean> => {
    const { status, late } = await manager.call('getConfiguration', {});
    isSilent ||= status === undefined && late !== true;
    return status !== undefined;
  };
  const configured = await manager.call('configure', { enabled: true, namespace, kubeconfig: path });
  const test = target.capabilities.includes('connection-test')
    ? { test: await manager.call('testConnection', { namespace }) }
    : {};
  isSilent ||= configured.status === undefined && configured.late !== true;
  const answersAfter = configured.status !== undefined && (await answers());
  const startsAgain = (await manager.restart()) && (await answers());
  const isLate = !isSilent && manager.record().deaths.length === before;
  return { what, ...test, answersAfter, startsAgain, ...(isLate ? { isLate } : {}) };
}
