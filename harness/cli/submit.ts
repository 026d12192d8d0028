import { randomBytes } from 'node:crypto';
import { BatchV1Api } from '@kubernetes/client-node';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { refusedToHarness } from '../kubernetes/refused-objects.ts';
import { select } from '../run/plan.ts';

interface SubmitFlags {
  image: string;
  shards: number;
  name?: string;
  inNamespace: string;
  serviceAccount: string;
  requirement: string[];
  context?: string;
  output?: 'yaml';
}

const MOST_SHARDS = 100;

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > MOST_SHARDS) {
    throw new InvalidArgumentError(`Give a whole number from 1 to ${MOST_SHARDS}.`);
  }
  return count;
}

/** Variables of this process that a run in a pod needs, too: where images come from. */
function variables(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      /^KUBE_AGENT_CONFORMANCE_(\w+_IMAGE|REGISTRY)$/.test(name) && value !== undefined && value !== ''
        ? [[name, value]]
        : [],
    ),
  );
}

/** `conformance submit`: a run inside the cluster, as an Indexed Job whose pods are the shards. */
export function registerSubmit(program: Command): void {
  program
    .command('submit')
    .description('Run the suites inside a live cluster: an Indexed Job whose pods are the shards of the plan.')
    .argument('[suite...]', 'suite names (default: all); options of `run` go behind --')
    .requiredOption('--image <reference>', 'image of the harness (ci/in-cluster), as the nodes pull it')
    .addOption(new Option('--shards <number>', 'pods that share the plan').argParser(parseCount).default(1))
    .option('--name <name>', 'name of the Job (default: conformance-…)')
    .option('--in-namespace <name>', 'namespace of the Job', 'kube-agent-conformance')
    .option('--service-account <name>', 'ServiceAccount of its pods', 'conformance')
    .addOption(
      new Option('--requirement <id>', 'only this requirement; repeatable')
        .argParser((word: string, before: string[]) => [...before, ...word.split(',')])
        .default([], 'all'),
    )
    .option('--context <name>', 'kubeconfig context (default: the current one)')
    .addOption(new Option('-o, --output <format>', 'yaml: print the Job instead of creating it').choices(['yaml']))
    .action(async (words: string[], flags: SubmitFlags) => {
      const { image, shards, inNamespace: namespace, serviceAccount, requirement, context, output } = flags;
      const further = words.findIndex((word) => word.startsWith('-'));
      const suites = further < 0 ? words : words.slice(0, further);
      // Wrong names are told here, and not by a pod.
      select(loadCatalogue(), { suites, requirements: requirement });
      const name = flags.name ?? `conformance-${randomBytes(3).toString('hex')}`;
      const [{ jobOf }, { atCluster }] = await Promise.all([
        import('./in-cluster/job.ts'),
        import('./in-cluster/api.ts'),
      ]);
      const job = jobOf({
        name,
        namespace,
        image,
        serviceAccount,
        shards,
        words: [...words, ...requirement.flatMap((id) => ['--requirement', id])],
        env: variables(process.env),
      });
      if (output === 'yaml') {
        process.stdout.write(stringify(job));
        return;
      }
      await atCluster(
        context,
        (message) => process.stderr.write(`${message}\n`),
        (config) =>
          config
            .makeApiClient(BatchV1Api)
            .createNamespacedJob({ namespace, body: job })
            .catch((error: unknown) => {
              throw refusedToHarness(`the Job ${namespace}/${name}`, error);
            }),
      );
      process.stdout.write(
        `The Job ${namespace}/${name} runs in ${shards} pods. Its report: conformance collect ${name} --in-namespace ${namespace}\n`,
      );
    });
}
