import type { Command } from 'commander';
import { UsageError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { EXIT } from './exit.ts';
import { namespaceOption, peerContextOption } from './options.ts';

/** A namespace with pods in it takes half a minute, by their grace periods. */
const GONE_SECONDS = 120;

interface CleanFlags {
  cluster?: string;
  context?: string;
  peerContext?: string;
  namespace: string[];
}

/** `conformance clean`: removes what dead (or kept) runs left: of this user on this host, or of pods. */
export function registerClean(program: Command): void {
  program
    .command('clean')
    .description(
      'Remove what earlier runs left behind: containers and networks; with --cluster kubeconfig also namespaces.',
    )
    .option('--cluster <kind>', 'kubeconfig: also remove the namespaces in the live cluster of KUBECONFIG')
    .option('--context <name>', 'kubeconfig context (default: the current one)')
    .addOption(peerContextOption('kubeconfig context of a second live cluster, which is cleaned as well'))
    .addOption(
      namespaceOption('remove what runs left in this namespace instead; repeatable', 'namespaces that runs have made'),
    )
    .action(async ({ cluster, context, peerContext, namespace }: CleanFlags) => {
      if (peerContext !== undefined && cluster !== 'kubeconfig') {
        throw new UsageError('--peer-context is about live clusters (--cluster kubeconfig)');
      }
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
        await cleanCluster(context, namespace);
        if (peerContext !== undefined) {
          await cleanCluster(peerContext, namespace);
        }
      }
    });
}

async function cleanCluster(context: string | undefined, given: string[]): Promise<void> {
  const [{ removeLeftovers }, { attachKubeconfig }] = await Promise.all([
    import('../environment/cluster/leftovers.ts'),
    import('../environment/cluster/kubeconfig.ts'),
  ]);
  const cluster = await attachKubeconfig({
    runId: 'clean',
    ...(context === undefined ? {} : { context }),
    onProgress: (message) => process.stdout.write(`${message}\n`),
  });
  try {
    const { namespaces, clusterObjects, objects, stuck } = await removeLeftovers(cluster.data, {
      given,
      deadlineSeconds: GONE_SECONDS,
    });
    process.stdout.write(
      given.length > 0
        ? `removed what ${objects.length} dead runs left in ${given.join(', ')}\n`
        : `removed ${namespaces.length} namespaces, and ${clusterObjects.length} cluster roles and bindings, of dead runs\n`,
    );
    if (stuck.length > 0) {
      process.stderr.write(redact(`could not be removed:\n${stuck.map((line) => `  ${line}\n`).join('')}`));
      process.exitCode = EXIT.harnessError;
    }
  } finally {
    await cluster.stop();
  }
}
