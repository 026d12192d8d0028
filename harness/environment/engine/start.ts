import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { closeSync, existsSync, openSync, watch } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CommandOptions, command } from './command.ts';
import { SYSTEM_SOCKET } from './endpoint.ts';
import { askEngine, ENGINE_LABEL, type Engine } from './engine.ts';
import { SetUpError } from './errors.ts';
import type { EnginePlan } from './plan.ts';
import type { StepReporter } from './progress.ts';

/** Where an engine of ours keeps its runtime wrapper and its log; it outlives the clone that started it. */
const ENGINE_STATE = '/var/lib/kube-agent-conformance/engine';
const ENGINE_LOG = join(ENGINE_STATE, 'dockerd.log');

const WRAPPER_SOURCE = fileURLToPath(new URL('../../../ci/runc-without-sys-resource', import.meta.url));
const WRAPPER = join(ENGINE_STATE, 'runc-without-sys-resource');
const RUNTIME = 'runc-without-sys-resource';
/** dockerd on a cold disk: a few seconds; a minute is a fault. */
const START_DEADLINE = 60_000;
const ENDPOINT = { host: `unix://${SYSTEM_SOCKET}`, source: 'default', chosen: false } as const;

type StartPlan = Extract<EnginePlan, { kind: 'start' }>;

/**
 * Installs (if planned) and starts the engine, and waits until it answers.
 *
 * @throws SetUpError with the end of the engine's log when it does not come up
 */
export async function startEngine(plan: StartPlan, report: StepReporter, signal?: AbortSignal): Promise<Engine> {
  if (plan.install.length > 0) {
    await installPackages(plan.install, report, signal);
  }
  const wrapper = plan.wrapRuntime ? await placeWrapper(report) : undefined;
  return report.step('start the container engine', async () => {
    if (plan.by === 'detached') {
      return startDetached(wrapper, signal);
    }
    await startBySystemd(wrapper, signal);
    const answer = await askEngine(ENDPOINT);
    if ('engine' in answer) {
      return answer.engine;
    }
    throw new SetUpError(`systemd started docker, but it does not answer at ${ENDPOINT.host}: ${answer.reason}`, [
      'journalctl -u docker   shows why',
    ]);
  });
}

/** `apt-get install` of Debian packages, with the packages counted as progress. */
export async function installPackages(
  packages: readonly string[],
  report: StepReporter,
  signal?: AbortSignal,
): Promise<void> {
  // A service that the package's own script started would run without the runtime wrapper: RUNLEVEL 1 keeps
  // invoke-rc.d(8) from it.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const options = { env, ...(signal === undefined ? {} : { signal }) };
  await aptUpdate(report, options);
  await report.step(`apt-get install ${packages.join(' ')}`, async (advance) => {
    await command('apt-get', ['install', '-y', '-q', '--no-install-recommends', '--no-upgrade', ...packages], {
      ...options,
      onLine: (line) => {
        if (/^(Get:|Unpacking|Setting up)/.test(line)) {
          advance(line.replace(/ \.\.\.$/, '').slice(0, 80));
        }
      },
    });
  });
}

/**
 * Refreshes the package lists. A failure is reported, not fatal: an install that needs the missing list fails with its
 * own message.
 */
export async function aptUpdate(report: StepReporter, options: CommandOptions): Promise<void> {
  await report.step('apt-get update', async () => {
    try {
      await command('apt-get', ['update', '-q'], options);
    } catch (error) {
      if (!(error instanceof SetUpError)) {
        throw error;
      }
      report.note(`going on with the package lists that are there: ${error.problem}`);
    }
  });
}

async function placeWrapper(report: StepReporter): Promise<string> {
  await mkdir(ENGINE_STATE, { recursive: true });
  const temporary = `${WRAPPER}.${process.pid}`;
  await copyFile(WRAPPER_SOURCE, temporary);
  await chmod(temporary, 0o755);
  await rename(temporary, WRAPPER);
  report.note(
    `CAP_SYS_RESOURCE is missing from this host's bounding set: containers run by ${WRAPPER}, which does not ask for it`,
  );
  return WRAPPER;
}

async function startBySystemd(wrapper: string | undefined, signal: AbortSignal | undefined): Promise<void> {
  if (wrapper !== undefined) {
    const path = '/etc/docker/daemon.json';
    const wanted = { runtimes: { [RUNTIME]: { path: wrapper } }, 'default-runtime': RUNTIME };
    if (existsSync(path) && !(await readFile(path, 'utf8')).includes(wrapper)) {
      throw new SetUpError(`${path} already exists and does not name the runtime that this host needs.`, [
        `merge into it: ${JSON.stringify(wanted)}`,
        'systemctl restart docker',
      ]);
    }
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `${JSON.stringify({ labels: [ENGINE_LABEL], ...wanted }, null, 2)}\n`);
  }
  await command('systemctl', ['start', 'docker'], signal === undefined ? {} : { signal });
}

async function startDetached(wrapper: string | undefined, signal: AbortSignal | undefined): Promise<Engine> {
  await mkdir(ENGINE_STATE, { recursive: true });
  await sweepStale();
  const log = openSync(ENGINE_LOG, 'w', 0o600);
  try {
    const daemon = spawn(
      'dockerd',
      [
        `--host=${ENDPOINT.host}`,
        `--label=${ENGINE_LABEL}`,
        ...(wrapper === undefined ? [] : [`--add-runtime=${RUNTIME}=${wrapper}`, `--default-runtime=${RUNTIME}`]),
      ],
      // A session of its own: it outlives the terminal and the process group that started it.
      { detached: true, stdio: ['ignore', log, log], cwd: '/' },
    );
    await new Promise<void>((resolve, reject) => {
      daemon.once('spawn', resolve);
      daemon.once('error', (cause) =>
        reject(new SetUpError(`dockerd could not be started: ${cause.message}`, [], { cause })),
      );
    });
    const engine = await untilDaemonAnswers(daemon, signal);
    daemon.unref();
    return engine;
  } finally {
    closeSync(log);
  }
}

/**
 * Removes what an engine that was killed left behind and the next one would stumble over: pid files whose process is
 * gone or is another program by now, and sockets that nobody listens on.
 */
async function sweepStale(): Promise<void> {
  const pidFiles = [
    ['/var/run/docker.pid', 'dockerd'],
    ['/var/run/docker/containerd/containerd.pid', 'containerd'],
  ] as const;
  for (const [path, program] of pidFiles) {
    if (existsSync(path) && !(await runs(path, program))) {
      await rm(path, { force: true });
    }
  }
  for (const socket of [
    SYSTEM_SOCKET,
    '/run/containerd/containerd.sock',
    '/var/run/docker/containerd/containerd.sock',
  ]) {
    if (existsSync(socket) && !(await listens(socket))) {
      await rm(socket, { force: true });
    }
  }
}

async function runs(pidFile: string, program: string): Promise<boolean> {
  const pid = Number.parseInt(await readFile(pidFile, 'utf8'), 10);
  const executable = await readlink(`/proc/${pid}/exe`).catch(() => '');
  return basename(executable) === program;
}

function listens(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connectSocket(socket);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', () => resolve(false));
  });
}

/**
 * Waits until dockerd answers. Woken by its log: the line that says that it listens is the last one of its start.
 */
async function untilDaemonAnswers(daemon: ChildProcess, signal: AbortSignal | undefined): Promise<Engine> {
  const deadline = AbortSignal.timeout(START_DEADLINE);
  const ended = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
  const wake = new EventEmitter();
  const watcher = watch(ENGINE_LOG, () => wake.emit('wake'));
  let exit: string | undefined;
  daemon.once('exit', (code, by) => {
    exit = `it ended with ${by ?? `exit code ${code}`}`;
    wake.emit('wake');
  });
  let last = 'nothing yet';
  try {
    while (exit === undefined) {
      // Armed before the question, so that nothing that happens meanwhile is missed.
      const woken = once(wake, 'wake', { signal: ended });
      const answer = await askEngine(ENDPOINT);
      if ('engine' in answer) {
        woken.catch(() => {});
        return answer.engine;
      }
      last = answer.reason;
      await woken;
    }
    last = exit;
  } catch (error) {
    signal?.throwIfAborted();
    if (!deadline.aborted) {
      throw error;
    }
  } finally {
    watcher.close();
  }
  const log = await readFile(ENGINE_LOG, 'utf8').catch(() => '');
  const tail = log
    .trimEnd()
    .split('\n')
    .slice(-15)
    .map((line) => `  | ${line}`);
  throw new SetUpError(
    `dockerd did not come up within ${START_DEADLINE / 1000} s; last seen: ${last}. The end of ${ENGINE_LOG}:\n${tail.join('\n')}`,
  );
}
