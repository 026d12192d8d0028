import { endpoints, SYSTEM_SOCKET } from './endpoint.ts';
import { type Engine, findEngine } from './engine.ts';
import { SetUpError } from './errors.ts';
import { readHost } from './host.ts';
import { planEngine } from './plan.ts';
import { type OnProgress, StepReporter } from './progress.ts';
import { startEngine } from './start.ts';

export type { Engine } from './engine.ts';

export type EnsureEngineOptions = { readonly onProgress?: OnProgress; readonly signal?: AbortSignal };

/**
 * Gives a container engine that answers: the one that runs (then nothing of the host is touched), else one that is
 * installed and started here, on Debian and Ubuntu as root.
 *
 * Where the engine is not at the system's socket, DOCKER_HOST of this process is set to it, so that testcontainers uses
 * the same one.
 *
 * @throws SetUpError with the commands for this platform where set-up cannot do it itself
 */
export async function ensureEngine(options: EnsureEngineOptions = {}): Promise<Engine> {
  const report = new StepReporter('engine', options.onProgress ?? (() => {}));
  const tried = await endpoints();
  const { engine: running, silent } = await findEngine(tried);
  if (running !== undefined) {
    return adopt(running);
  }
  const busy = silent.find((endpoint) => endpoint.busy);
  if (busy !== undefined) {
    // It is there: a second one would be no help.
    throw new SetUpError(
      `The container engine at ${busy.endpoint.host} accepts connections but does not respond: ${busy.reason}.`,
      ['check its log and the load of the host, restart it if necessary, and run the same command again'],
    );
  }
  const host = await readHost();
  const chosen = tried.find((endpoint) => endpoint.chosen)?.host;
  const plan = planEngine(host, false, chosen);
  if (plan.kind === 'refuse') {
    throw new SetUpError(plan.problem, plan.fix);
  }
  if (plan.kind === 'use') {
    throw new SetUpError('the plan uses an engine that does not answer');
  }
  report.note(
    `no container engine answers: ${[
      ...(plan.install.length === 0 ? [] : [`installing ${plan.install.join(', ')} by apt-get`]),
      plan.by === 'systemd' ? 'starting it by systemd' : 'starting dockerd in the background',
      ...(plan.wrapRuntime ? ['registering a runtime that does without CAP_SYS_RESOURCE'] : []),
    ].join(', ')}`,
  );
  const engine = adopt(await startEngine(plan, report, options.signal));
  report.note(`Docker ${engine.version} answers at ${engine.endpoint.host}`);
  return engine;
}

/** The engine that answers, or why none does. Touches nothing. */
export async function lookForEngine(): Promise<Awaited<ReturnType<typeof findEngine>>> {
  const found = await findEngine(await endpoints());
  if (found.engine !== undefined) {
    adopt(found.engine);
  }
  return found;
}

function adopt(engine: Engine): Engine {
  // Set-up started it on this very host: its published ports are on loopback, whatever the host looks like from inside.
  if (engine.ours) {
    process.env.TESTCONTAINERS_HOST_OVERRIDE ??= '127.0.0.1';
  }
  if (engine.endpoint.host !== `unix://${SYSTEM_SOCKET}`) {
    process.env.DOCKER_HOST = engine.endpoint.host;
  }
  return engine;
}
