import type { Command } from 'commander';
import { RUN_OBJECT_LABEL } from '../core/names.ts';
import { isFromHere, liveRuns } from '../environment/live-runs.ts';

/** `conformance clean`: removes what dead (or kept) runs of this user on this host left, by their label. */
export function registerClean(program: Command): void {
  program
    .command('clean')
    .description(
      'Remove what earlier runs left behind: containers and networks; with --cluster kubeconfig also namespaces.',
    )
    .option('--cluster <kind>', 'kubeconfig: also remove the namespaces in the live cluster of KUBECONFIG')
    .option('--context <name>', 'kubeconfig context (default: the current one)')
    .action(async ({ cluster, context }: { cluster?: string; context?: string }) => {
      // Loaded here, so that the small commands start at once.
      const [{ lookForEngine }, { describeSwept, sweepDeadRuns }] = await Promise.all([
        import('../environment/engine/index.ts'),
        import('../environment/containers.ts'),
      ]);
      const { engine } = await lookForEngine();
      if (engine === undefined) {
        process.stdout.write('No container engine answers, so there are no containers to remove.\n');
      } else {
        process.stdout.write(`${describeSwept(await sweepDeadRuns({ kept: false }))}\n`);
      }
      if (cluster === 'kubeconfig') {
        process.stdout.write(`removed ${await removeNamespaces(context)} namespaces of dead runs\n`);
      }
    });
}

/** Deletes the namespaces of dead runs that were started from here; the cluster removes what is in them. */
async function removeNamespaces(context: string | undefined): Promise<number> {
  const [{ CoreV1Api, KubeConfig }, { attachKubeconfig }] = await Promise.all([
    import('@kubernetes/client-node'),
    import('../environment/cluster/kubeconfig.ts'),
  ]);
  const cluster = await attachKubeconfig({
    runId: 'clean',
    ...(context === undefined ? {} : { context }),
    onProgress: (message) => process.stdout.write(`${message}\n`),
  });
  try {
    const config = new KubeConfig();
    config.loadFromString(cluster.data.kubeConfig);
    const core = config.makeApiClient(CoreV1Api);
    const live = liveRuns({ kept: false });
    const { items } = await core.listNamespace({ labelSelector: RUN_OBJECT_LABEL });
    const dead = items.filter(({ metadata }) => {
      const runId = metadata?.labels?.[RUN_OBJECT_LABEL] ?? '';
      return isFromHere(runId) && !live.has(runId);
    });
    await Promise.all(dead.map(({ metadata }) => core.deleteNamespace({ name: metadata?.name ?? '' })));
    return dead.length;
  } finally {
    await cluster.stop();
  }
}
