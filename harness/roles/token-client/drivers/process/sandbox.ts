import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Stall } from '../../../../../fixtures/workloads/lib/heartbeat.ts';
import { Observer } from '../../../../../fixtures/workloads/observer/observer.ts';
import type { ObserverRecord } from '../../../../../fixtures/workloads/observer/records.ts';
import type { Act } from '../../../../../fixtures/workloads/observer/simulated.ts';
import type { Listener } from '../../../../../fixtures/workloads/token-probe/listeners.ts';
import { HarnessError } from '../../../../core/errors.ts';
import { makePki } from '../../../../core/pki.ts';
import { fill, type Values } from '../../../../core/placeholders.ts';
import { SIMULATED_HOSTS, simulatedProviders } from '../../../../fakes/simulated-providers.ts';
import { RESOURCE_SERVER_HOST } from '../../../../probes/observer.ts';
import type { RequirementContext } from '../../../../rpc/context.ts';
import type { Target } from '../../../../targets/load.ts';
import { callValues } from '../../configure/files.ts';
import { installFolder } from '../../configure/install.ts';
import { asText } from '../../configure/session.ts';
import type { CallAnswer } from '../../driver.ts';
import type { ProcessIdentity } from '../../record.ts';
import { GroupListeners } from './listeners.ts';
import { startObservingProxy } from './network.ts';
import { type ResidentClient, startResident } from './resident.ts';
import { resultOf, runToCompletion } from './run.ts';

type TokenClientTarget = Target<'token-client'>;

/** What a process of this host is run with: folders of its own, an observer in this process, and the way to it. */
export interface ProcessRig {
  /** A path in the rig's folder. */
  at(...names: string[]): string;
  /** Port of the issuers of the simulated providers. */
  port: number;
  values: Values;
  baseURL(provider: string): string;
  /** Writes the files of a set of providers; they are in `at('config', set)` then. */
  writeFiles(set: string, files: Record<string, string>): void;
  /**
   * Lets the client make one call: its command is run with the configuration of a set, or the process that was started
   * is asked.
   */
  call(provider: string, set: string, patienceMs: number): Promise<CallAnswer | undefined>;
  /**
   * Starts a client that is one process for all its calls, with the configuration of a set, in the place of the one
   * before.
   *
   * @returns why it cannot be called
   */
  start(set: string): Promise<string | undefined>;
  /** Ends that process. */
  end(): Promise<void>;
  /** What identifies it. */
  identity(): ProcessIdentity;
  /** The same once an end of it that is under way would be known. */
  settledIdentity(): Promise<ProcessIdentity>;
  /** All that it wrote. */
  output(): string;
  /** Ports that its process groups listened on; undefined where this host does not tell. */
  listeners(): Promise<Listener[] | undefined>;
  records(): Promise<ObserverRecord[]>;
  stalls(): Promise<Stall[]>;
  refuseNext(provider: string): Promise<void>;
  act(provider: string, act: Act, lifeSeconds?: number): Promise<void>;
  /** Adds a client id to the token requests to a provider that name none, on their way there. */
  addClientId(provider: string, clientId: string): Promise<void>;
  /** To be done before the rest, when it is stopped. */
  onStop(stop: () => Promise<unknown> | unknown): void;
  stop(): Promise<void>;
}

/** What stands for the identity where each call is a process of its own. */
const ONE_A_CALL: ProcessIdentity = { podUid: 'one process a call', restarts: 0 };

/** Folders that the client may write to. */
export const WRITABLE = ['home', 'cache', 'work'];

const FOLDER_PREFIX = 'kube-agent-conformance-client-';

/** Removes the folders of processes that were killed before they could do so. */
export function sweepFolders(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = Number(new RegExp(`^${FOLDER_PREFIX}(\\d+)-`).exec(name)?.[1] ?? Number.NaN);
    if (!Number.isInteger(pid) || isAlive(pid)) {
      continue;
    }
    try {
      rmSync(join(parent, name), { recursive: true, force: true });
    } catch {
      // Another user's: theirs to remove.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Makes the rig; its folder goes when it is stopped, or with this process. */
export async function startProcessRig(t: RequirementContext, target: TokenClientTarget): Promise<ProcessRig> {
  const { run } = target;
  if (run.form !== 'process') {
    throw new HarnessError(`${target.file} describes a pod`);
  }
  const { host, port, upstream, providers, ca } = await t.identityProvider();
  sweepFolders(tmpdir());
  const folder = mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  const stops: (() => Promise<unknown> | unknown)[] = [() => process.removeListener('exit', remove), remove];
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) {
      await each();
    }
  };
  // A requirement that takes too long, or a run that is broken off.
  t.signal.addEventListener('abort', () => void stop().catch(() => undefined), { once: true });
  try {
    const at = (...names: string[]): string => join(folder, ...names);
    for (const name of [...WRITABLE, 'late', 'config']) {
      mkdirSync(at(name), { mode: 0o700 });
    }
    const { cert, key } = await t.certificate(host, {
      names: [RESOURCE_SERVER_HOST, SIMULATED_HOSTS.simulated, SIMULATED_HOSTS.tenants, SIMULATED_HOSTS.elsewhere],
    });
    // Of a CA that is made for it and then forgotten: nobody trusts it.
    const untrusted = await (await makePki('untrusted')).issue(SIMULATED_HOSTS.untrusted);
    const observer = new Observer({
      ports: { https: 0, http: 0 },
      address: '127.0.0.1',
      tls: { certificate: cert, key, ca },
      identityProvider: { host, port, upstream },
      providers,
      simulated: {
        providers: simulatedProviders({ hosts: SIMULATED_HOSTS, port }),
        elsewhere: SIMULATED_HOSTS.elsewhere,
        untrusted: { host: SIMULATED_HOSTS.untrusted, certificate: untrusted.cert, key: untrusted.key },
      },
    });
    const ports = await observer.start();
    stops.push(() => observer.stop());
    const hosts = [host, RESOURCE_SERVER_HOST, ...Object.values(SIMULATED_HOSTS)];
    const proxy = await startObservingProxy(Object.fromEntries(hosts.map((each) => [`${each}:${port}`, ports.https])));
    stops.push(() => proxy.stop());
    writeFileSync(at('ca.crt'), ca);
    const values: Values = {
      'ca.file': at('ca.crt'),
      'proxy.url': proxy.url,
      'work.folder': at('work'),
      'work.home': at('home'),
      'work.cache': at('cache'),
      'target.folder': target.folder,
      'install.folder': installFolder(target),
      'harness.node': process.execPath,
    };
    const written: string[] = [];
    const listeners = (await GroupListeners.canLook()) ? new GroupListeners() : undefined;
    stops.push(() => listeners?.stop());
    const watchListeners = (group: number): void => listeners?.add(group);
    const { trigger } = run;
    const where = `${target.file}: run`;
    const environment = (known: Values): Record<string, string> => ({
      PATH: process.env.PATH ?? '',
      ...asText(fill(run.env, known, `${where}.env`)),
    });
    let resident: ResidentClient | undefined;
    const end = async (): Promise<void> => {
      const current = resident;
      resident = undefined;
      await current?.end();
    };
    stops.push(end);
    const ask = async (path: string, method = 'GET'): Promise<unknown> => {
      const response = await fetch(`http://127.0.0.1:${ports.http}${path}`, { method });
      if (!response.ok) {
        throw new HarnessError(`the observer answers ${response.status} to ${path}`);
      }
      return response.json();
    };
    return {
      at,
      port,
      values,
      baseURL: (name) => `https://${RESOURCE_SERVER_HOST}:${port}/${name}/v1`,
      writeFiles(set, files) {
        for (const [path, content] of Object.entries(files)) {
          mkdirSync(dirname(at('config', set, path)), { recursive: true });
          writeFileSync(at('config', set, path), content, { mode: 0o600 });
        }
      },
      async call(name, set, patienceMs) {
        const known = { ...values, ...callValues(name, at('config', set)) };
        if (trigger.kind === 'http') {
          if (resident === undefined) {
            throw new HarnessError(`${target.file}: the client is called before it is started`);
          }
          return resident.call(known, patienceMs);
        }
        const ended = await runToCompletion(
          fill(trigger.command, known, `${where}.trigger.command`),
          { env: environment(known), cwd: at('work'), patienceMs, signal: t.signal, onStart: watchListeners },
          (text) => written.push(text),
        );
        return ended === undefined ? undefined : resultOf(ended, trigger.success);
      },
      async start(set) {
        if (trigger.kind !== 'http') {
          return undefined;
        }
        await end();
        const { command, ready, warmUp, kind: _kind, ...request } = trigger;
        const known = { ...values, 'config.folder': at('config', set) };
        const started = await startResident(
          {
            command: fill(command, known, `${where}.trigger.command`),
            env: environment(known),
            cwd: at('work'),
            ready,
            ...(warmUp === undefined ? {} : { warmUp }),
            startSeconds: run.startSeconds,
            request,
            where: `${where}.trigger`,
            signal: t.signal,
            onStart: watchListeners,
          },
          (text) => written.push(text),
        );
        if (typeof started === 'string') {
          return started;
        }
        resident = started;
        return undefined;
      },
      end,
      // Where each call is a process of its own, there is none that could be replaced.
      identity: () => resident?.identity() ?? ONE_A_CALL,
      settledIdentity: async () => (await resident?.settledIdentity()) ?? ONE_A_CALL,
      output: () => written.join(''),
      listeners: async () => listeners?.listeners(),
      records: async () => ((await ask('/records')) as { records: ObserverRecord[] }).records,
      stalls: async () => ((await ask('/stalls')) as { stalls: Stall[] }).stalls,
      async refuseNext(name) {
        await ask(`/refuse?provider=${encodeURIComponent(name)}`, 'POST');
      },
      async addClientId(name, clientId) {
        await ask(`/client?provider=${encodeURIComponent(name)}&client_id=${encodeURIComponent(clientId)}`, 'POST');
      },
      async act(name, act, lifeSeconds) {
        const life = lifeSeconds === undefined ? '' : `&life=${lifeSeconds}`;
        await ask(`/act?provider=${encodeURIComponent(name)}&act=${act}${life}`, 'POST');
      },
      onStop: (each) => stops.push(each),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
