import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Stall } from '../../fixtures/workloads/lib/heartbeat.ts';
import { Observer } from '../../fixtures/workloads/observer/observer.ts';
import type { ObserverRecord } from '../../fixtures/workloads/observer/records.ts';
import { projectInPlace, remainingFiles } from '../../fixtures/workloads/token-probe/files.ts';
import { TokenProbe } from '../../fixtures/workloads/token-probe/probe.ts';
import { makePki } from '../environment/pki.ts';
import { RESOURCE_SERVER_HOST } from '../environment/resource-server/observer.ts';
import { PLAYED_HOSTS, playedProviders, playedSetups } from '../environment/resource-server/played-providers.ts';
import { createServiceAccount } from '../kubernetes/pods.ts';
import { startProbePod } from '../kubernetes/token-probe.ts';
import type { RequirementContext } from '../run/context.ts';
import { HarnessError } from '../run/errors.ts';
import { redact } from '../tokens/redact.ts';
import type { Call } from './client-session.ts';
import { fill, type Values } from './placeholders.ts';
import { startObservingProxy } from './process-client-network.ts';
import { mirrorTokens } from './process-client-tokens.ts';
import type { Target } from './target-file.ts';
import { callValues } from './token-client-target-config.ts';
import { installFolder } from './token-client-target-install.ts';
import {
  asText,
  ConfigurationSets,
  configuredPlayed,
  registerProviders,
  sessionSettings,
  type TargetClient,
} from './token-client-target-session.ts';

type TokenClientTarget = Target<'token-client'>;

const NAME = 'token-client';
const KILL_AFTER_MS = 2_000;

/** How much of a failed call's output is told. */
const ERROR_CHARACTERS = 1_500;

/** How a command that is one call came to its end. */
export interface CommandEnded {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

/**
 * Runs a command as a process group of its own, to its end.
 *
 * @param onOutput is given everything that it writes to stdout and stderr, as it comes
 * @returns `undefined` when it had not ended within `patienceMs`: the group is then ended
 */
export async function runToCompletion(
  [file = '', ...args]: string[],
  options: { env: Record<string, string>; cwd: string; patienceMs: number; signal: AbortSignal },
  onOutput: (text: string) => void,
): Promise<CommandEnded | undefined> {
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // The group is gone.
    }
  };
  const killAtExit = (): void => kill('SIGKILL');
  process.once('exit', killAtExit);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      onOutput(text);
    });
  }
  const ended = new Promise<CommandEnded>((resolve, reject) => {
    child.once('error', (error) => reject(new HarnessError(`${file} cannot be started: ${error.message}`)));
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, output }));
  });
  const late = new AbortController();
  try {
    const patience = AbortSignal.any([late.signal, options.signal]);
    const answer = await Promise.race([
      ended,
      delay(options.patienceMs, undefined, { signal: patience }).catch(() => undefined),
    ]);
    if (answer !== undefined) return answer;
    kill('SIGTERM');
    await Promise.race([ended, delay(KILL_AFTER_MS)]);
    return undefined;
  } finally {
    late.abort();
    // What it started and left behind goes with it.
    kill('SIGKILL');
    process.removeListener('exit', killAtExit);
  }
}

/** What came of a call that is a command: exit code 0, and what the target file says of the output. */
export function resultOf(
  { exitCode, signal, output }: CommandEnded,
  success: string | undefined,
): Pick<Call, 'ok' | 'status' | 'error'> {
  const told = redact(output).trim().slice(-ERROR_CHARACTERS);
  if (exitCode !== 0) return { ok: false, error: `ended by ${signal ?? `exit code ${exitCode}`}: ${told}` };
  if (success !== undefined && !new RegExp(success).test(output)) {
    return { ok: false, error: `ended by exit code 0, but its output does not fit /${success}/: ${told}` };
  }
  return { ok: true };
}

/**
 * A token client that is a process of this host, one for each call. Its token files are those of a pod that a kubelet rotates; it is led
 * to an observer in this process. Its folders are its own, and go when it is stopped.
 */
export async function startProcessClient(t: RequirementContext, target: TokenClientTarget): Promise<TargetClient> {
  const { run } = target;
  if (run.form !== 'process') throw new HarnessError(`${target.file} describes a pod`);
  const [identityProvider, { name: namespace }] = await Promise.all([t.identityProvider(), t.namespace()]);
  const folder = mkdtempSync(join(tmpdir(), 'kube-agent-conformance-client-'));
  const stops: (() => Promise<unknown> | unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  const killAtExit = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', killAtExit);
  stops.unshift(() => process.removeListener('exit', killAtExit));
  try {
    const tokens = join(folder, 'tokens');
    const latePath = join(folder, 'late', 'token');
    const at = (name: string): string => join(folder, name);
    for (const name of ['home', 'cache', 'work', 'late', 'config']) mkdirSync(at(name), { mode: 0o700 });
    const { host, port, upstream, providers: described, ca } = identityProvider;
    const baseURL = (name: string): string => `https://${RESOURCE_SERVER_HOST}:${port}/${name}/v1`;
    const providers = await registerProviders(t, target, {
      serviceAccount: NAME,
      tokenPath: (name) => ({ path: join(tokens, `${name}-token`), configured: true }),
      baseURL,
    });
    await createServiceAccount(t, namespace, NAME, false);
    const audiences = Object.fromEntries(providers.map(({ name, audience }) => [`${name}-token`, audience]));
    const [probePod, { cert, key }] = await Promise.all([
      startProbePod(t, namespace, { name: NAME, serviceAccount: NAME, volumes: { oauth2: audiences } }),
      t.certificate(host, {
        names: [RESOURCE_SERVER_HOST, PLAYED_HOSTS.played, PLAYED_HOSTS.tenants, PLAYED_HOSTS.elsewhere],
      }),
    ]);
    // Of a CA that is made for it and then forgotten: nobody trusts it.
    const stranger = await (await makePki('stranger')).issue(PLAYED_HOSTS.stranger);
    let broken: Error | undefined;
    const mirror = await mirrorTokens(
      probePod,
      Object.fromEntries(Object.keys(audiences).map((file) => [probePod.path('oauth2', file), file])),
      tokens,
      (error) => {
        broken = error;
      },
    );
    stops.push(() => mirror.stop());
    const observer = new Observer({
      ports: { https: 0, http: 0 },
      address: '127.0.0.1',
      tls: { certificate: cert, key, ca },
      identityProvider: { host, port, upstream },
      providers: described,
      played: {
        providers: playedProviders({ hosts: PLAYED_HOSTS, port }),
        elsewhere: PLAYED_HOSTS.elsewhere,
        stranger: { host: PLAYED_HOSTS.stranger, certificate: stranger.cert, key: stranger.key },
      },
    });
    const ports = await observer.start();
    stops.push(() => observer.stop());
    const hosts = [host, RESOURCE_SERVER_HOST, ...Object.values(PLAYED_HOSTS)];
    const proxy = await startObservingProxy(Object.fromEntries(hosts.map((each) => [`${each}:${port}`, ports.https])));
    stops.push(() => proxy.stop());
    const probe = new TokenProbe({
      files: [...providers.map(({ tokenPath }) => tokenPath), latePath],
      intervalMs: 1_000,
      burstMs: 300,
    });
    probe.start();
    stops.push(() => probe.stop());

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
    const { played, configured } = configuredPlayed(
      target,
      playedSetups({
        hosts: PLAYED_HOSTS,
        port,
        tokenPath: providers[1]?.tokenPath ?? '',
        swappedPath: join(folder, 'late', 'swapped', 'token'),
      }),
      baseURL,
    );
    const sets = new ConfigurationSets(target, providers, configured, latePath, values);
    for (const [set, files] of Object.entries(sets.files)) {
      for (const [path, content] of Object.entries(files)) {
        const file = join(at('config'), set, path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, content, { mode: 0o600 });
      }
    }
    const written: string[] = [];
    const read = async (path: string, init?: RequestInit): Promise<unknown> => {
      const response = await fetch(`http://127.0.0.1:${ports.http}${path}`, init);
      if (!response.ok) throw new HarnessError(`the observer answers ${response.status} to ${path}`);
      return response.json();
    };
    const { trigger } = run;
    return {
      ...sessionSettings(target),
      startsForEachCall: true,
      providers,
      played,
      latePath,
      async call(name, patienceMs) {
        if (broken !== undefined) throw new HarnessError(broken.message);
        const known = { ...values, ...callValues(name, join(at('config'), sets.setFor(name))) };
        const where = `${target.file}: run`;
        const ended = await runToCompletion(
          fill(trigger.command, known, `${where}.trigger.command`),
          {
            env: { PATH: process.env.PATH ?? '', ...asText(fill(run.env, known, `${where}.env`)) },
            cwd: at('work'),
            patienceMs,
            signal: t.signal,
          },
          (text) => written.push(text),
        );
        return ended === undefined ? undefined : resultOf(ended, trigger.success);
      },
      observations: async () => probe.observations(),
      records: async () => ((await read('/records')) as { records: ObserverRecord[] }).records,
      async stalls() {
        const observed = (await read('/stalls')) as { stalls: Stall[] };
        return [...observed.stalls, ...mirror.stalls()];
      },
      async refuseNext(name) {
        await read(`/refuse?provider=${encodeURIComponent(name)}`, { method: 'POST' });
      },
      async act(name, act) {
        await read(`/act?provider=${encodeURIComponent(name)}&act=${act}`, { method: 'POST' });
      },
      async copy(from, to) {
        copyFileSync(from, `${to}.new`);
        renameSync(`${to}.new`, to);
        sets.copied(from, to);
      },
      project: async (from, to) => projectInPlace(from, to),
      remaining: async () => ['home', 'cache', 'work'].flatMap((name) => remainingFiles(at(name))),
      // There is no process that could be replaced: each call is one of its own.
      identity: async () => ({ podUid: 'one process a call', restarts: 0 }),
      output: async () => written.join(''),
      secrets: async () => [],
      until: (instant) => delay(Math.max(0, instant.getTime() - Date.now()), undefined, { signal: t.signal }),
      progress: (message) => t.progress(message),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
