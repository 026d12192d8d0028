import { writeFileSync } from 'node:fs';
import type { Listener } from '../../../../../fixtures/workloads/token-probe/listeners.ts';
import { HarnessError } from '../../../../core/errors.ts';
import type { Values } from '../../../../core/placeholders.ts';
import type { RequirementContext } from '../../../../rpc/context.ts';
import type { Target } from '../../../../targets/load.ts';
import { installFolder } from '../../configure/install.ts';
import { ProcessClient } from './client.ts';
import { SandboxFolder } from './folder.ts';
import { GroupListeners } from './listeners.ts';
import { LocalObserver, type OnStop } from './observer.ts';

/** What a process of this host is run with: folders of its own, an observer in this process, and the way to it. */
export interface ProcessSandbox {
  readonly folder: SandboxFolder;
  readonly observer: LocalObserver;
  readonly client: ProcessClient;
  /** What placeholders of the target file stand for. */
  readonly values: Values;
  /** Ports that the client's process groups listened on; undefined where this host does not tell. */
  listeners(): Promise<Listener[] | undefined>;
  /** To be done before the rest, when it is stopped. */
  readonly onStop: OnStop;
  stop(): Promise<void>;
}

/** Makes the sandbox; its folder goes when it is stopped, or with this process. */
export async function startProcessSandbox(
  t: RequirementContext,
  target: Target<'token-client'>,
): Promise<ProcessSandbox> {
  const { run } = target;
  if (run.form !== 'process') {
    throw new HarnessError(`${target.file} describes a pod`);
  }
  const stops: Parameters<OnStop>[0][] = [];
  const onStop: OnStop = (each) => stops.push(each);
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) {
      await each();
    }
  };
  const folder = new SandboxFolder();
  onStop(() => folder.remove());
  // A requirement that takes too long, or a run that is broken off.
  t.signal.addEventListener('abort', () => void stop().catch(() => undefined), { once: true });
  try {
    const observer = await LocalObserver.start(t, onStop);
    writeFileSync(folder.at('ca.crt'), observer.ca);
    const values: Values = {
      'ca.file': folder.at('ca.crt'),
      'proxy.url': observer.proxyUrl,
      'work.folder': folder.at('work'),
      'work.home': folder.at('home'),
      'work.cache': folder.at('cache'),
      'target.folder': target.folder,
      'install.folder': installFolder(target),
      'harness.node': process.execPath,
    };
    const listeners = (await GroupListeners.canLook()) ? new GroupListeners() : undefined;
    onStop(() => listeners?.stop());
    const client = new ProcessClient({
      run,
      where: `${target.file}: run`,
      folder,
      values,
      signal: t.signal,
      onStart: (group) => listeners?.add(group),
    });
    onStop(() => client.end());
    return {
      folder,
      observer,
      client,
      values,
      listeners: async () => listeners?.listeners(),
      onStop,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
