import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HarnessError } from '../../../../core/errors.ts';
import { fill } from '../../../../core/placeholders.ts';
import { createServiceAccount } from '../../../../probes/pods.ts';
import type { RequirementContext } from '../../../../rpc/context.ts';
import type { Target } from '../../../../targets/load.ts';
import type { Start } from '../../cache-record.ts';
import { configurationFiles } from '../../configure/files.ts';
import { cacheProvidersWithout, configuredSimulated, EVERYTHING } from '../../configure/session.ts';
import { type CacheDriver, simulatedSetupBy } from '../../scenarios/restarts.ts';
import { startProcessSandbox } from './sandbox.ts';

const NAME = 'token-client';

/** Makes the folder of the cache what a start wants it to be. The kept one stands aside where a start has another. */
export class CacheFolder {
  readonly #folder: string;
  readonly #aside: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#aside = `${folder}.kept`;
  }

  /** @returns how many files were made corrupt */
  prepare(start: Start): number {
    mkdirSync(dirname(this.#folder), { recursive: true, mode: 0o700 });
    if (start === 'kept') {
      rmSync(this.#folder, { recursive: true, force: true });
    }
    if ((start === 'emptied' || start === 'unwritable') && existsSync(this.#folder)) {
      renameSync(this.#folder, this.#aside);
    }
    // No permission keeps root from writing, but nobody can make a folder where a file is.
    if (start === 'unwritable') {
      writeFileSync(this.#folder, '');
    }
    const corrupt = start === 'corrupt' ? filesOf(this.#folder) : [];
    for (const file of corrupt) {
      writeFileSync(file, '{"key":');
    }
    return corrupt.length;
  }

  restore(): void {
    if (!existsSync(this.#aside)) {
      return;
    }
    rmSync(this.#folder, { recursive: true, force: true });
    renameSync(this.#aside, this.#folder);
  }
}

function filesOf(folder: string): string[] {
  if (!existsSync(folder)) {
    return [];
  }
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

/** The client of a target file, a process of this host, started with the cache that another start left. */
export async function startProcessWithCache(
  t: RequirementContext,
  target: Target<'token-client'>,
): Promise<CacheDriver & { stop(): Promise<void> }> {
  const { run } = target;
  if (run.form !== 'process' || run.cacheFolder === undefined) {
    throw new HarnessError(`${target.file} names no cache`);
  }
  const sandbox = await startProcessSandbox(t, target);
  try {
    const [cluster, { name: namespace }] = await Promise.all([t.cluster(), t.namespaceFor('client cache')]);
    await createServiceAccount(t, namespace, NAME, false);
    const tokenPath = sandbox.folder.at('late', 'token');
    // The simulated providers take every subject token.
    const { token } = await cluster.createToken({ namespace, serviceAccount: NAME, audiences: ['cache'] });
    writeFileSync(tokenPath, token, { mode: 0o600 });
    const cache = new CacheFolder(fill(run.cacheFolder, sandbox.values, `${target.file}: run.cacheFolder`));
    const isResident = run.trigger.kind === 'http';
    let corruptFiles = 0;
    return {
      ...(isResident ? {} : { startsForEachCall: true }),
      without: cacheProvidersWithout(target),
      setup: simulatedSetupBy(sandbox.observer.port, tokenPath),
      async start(start, providers) {
        corruptFiles += cache.prepare(start);
        const configured = providers.map(({ name, simulated, ...setup }) => {
          const { configured } = configuredSimulated(target, [{ ...setup, name: simulated }], (provider) =>
            sandbox.observer.baseURL(provider),
          );
          return configured.map((provider) => ({ ...provider, name }));
        });
        // What is started for each call is given the provider of that call alone.
        for (const own of configured) {
          sandbox.folder.writeFiles(`cache-${own[0]?.name}`, configurationFiles(target, own, sandbox.values));
        }
        sandbox.folder.writeFiles(EVERYTHING, configurationFiles(target, configured.flat(), sandbox.values));
        return sandbox.client.start(EVERYTHING);
      },
      async end() {
        await sandbox.client.end();
        cache.restore();
      },
      call: (provider, patienceMs) => sandbox.client.call(provider, `cache-${provider}`, patienceMs),
      mark: () => sandbox.observer.act('cached', 'good'),
      corruptFiles: () => corruptFiles,
      records: () => sandbox.observer.records(),
      stalls: () => sandbox.observer.stalls(),
      progress: (message) => t.progress(message),
      stop: sandbox.stop,
    };
  } catch (error) {
    await sandbox.stop();
    throw error;
  }
}
