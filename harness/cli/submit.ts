import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'yaml';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { UsageError } from '../core/errors.ts';
import { refusedToHarness } from '../kubernetes/refused-objects.ts';
import { select } from '../run/plan.ts';
import { loadTarget } from '../targets/load.ts';
import { loadSettings } from '../targets/settings.ts';
import { requirementOption, setOption, targetOption } from './options.ts';

interface SubmitFlags {
  image: string;
  shards: number;
  name?: string;
  inNamespace: string;
  serviceAccount: string;
  requirement: string[];
  target: string[];
  set: Record<string, string>;
  settings?: string;
  kubeconfigSecret?: string;
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
    .addOption(requirementOption('only this requirement; repeatable'))
    .addOption(targetOption('target file, sent along with the files that it names; repeatable, one per role'))
    .addOption(setOption('value for `${set.name}` in a target file; anybody can read it in the Job'))
    .option('--settings <file>', 'settings for objects of the run and for the Job: labels, limits, tolerations, …')
    .option(
      '--kubeconfig-secret <name>',
      'Secret in the namespace of the Job, whose key "config" is a kubeconfig with the context of --peer-context (behind --)',
    )
    .option('--context <name>', 'kubeconfig context (default: the current one)')
    .addOption(new Option('-o, --output <format>', 'yaml: print the Job instead of creating it').choices(['yaml']))
    .action(submit);
}

/** @throws UsageError for a second cluster that the pods would not know, and a first one that is not theirs */
function checkContexts(words: readonly string[], { kubeconfigSecret }: Pick<SubmitFlags, 'kubeconfigSecret'>): void {
  const has = (option: string): boolean => words.some((word) => word === option || word.startsWith(`${option}=`));
  if (has('--context')) {
    throw new UsageError('--context is no option of the pods: they evaluate the cluster that the Job is in');
  }
  if (has('--peer-context') && kubeconfigSecret === undefined) {
    throw new UsageError(
      '--peer-context: the pods of the Job know their own cluster alone. Put a kubeconfig with that context into a Secret, as its key "config", and give --kubeconfig-secret NAME.',
    );
  }
}

async function submit(words: string[], flags: SubmitFlags): Promise<void> {
  const { image, shards, inNamespace: namespace, serviceAccount, requirement, target, set, context, output } = flags;
  const further = words.findIndex((word) => word.startsWith('-'));
  // Wrong names are told here, and not by a pod.
  select(loadCatalogue(), { suites: further < 0 ? words : words.slice(0, further), requirements: requirement });
  checkContexts(words, flags);
  const targets = target.map((file) => loadTarget(file, set));
  const settings = flags.settings === undefined ? undefined : loadSettings(flags.settings);
  const name = flags.name ?? `conformance-${randomBytes(3).toString('hex')}`;
  const [{ jobOf }, { atCluster }, { filesAlong }, { filesOf }] = await Promise.all([
    import('./in-cluster/job.ts'),
    import('./in-cluster/api.ts'),
    import('./in-cluster/files.ts'),
    import('./watch.ts'),
  ]);
  const local = [...filesOf(targets), ...(flags.settings === undefined ? [] : [resolve(flags.settings)])];
  const files = local.length === 0 ? undefined : filesAlong(local, `${name}-files`);
  const pathOf = (file: string): string => files?.paths.get(file) ?? file;
  const job = jobOf({
    name,
    namespace,
    image,
    serviceAccount,
    shards,
    words: [
      ...words,
      ...requirement.flatMap((id) => ['--requirement', id]),
      ...targets.flatMap(({ file }) => ['--target', pathOf(file)]),
      ...Object.entries(set).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
      ...(flags.settings === undefined ? [] : ['--settings', pathOf(resolve(flags.settings))]),
    ],
    env: variables(process.env),
    ...(files === undefined ? {} : { files: files.volume }),
    ...(flags.kubeconfigSecret === undefined ? {} : { kubeconfigSecret: flags.kubeconfigSecret }),
  });
  if (output === 'yaml') {
    process.stdout.write(stringify(job));
    return;
  }
  // Loaded here, so that the commands that ask no cluster start at once.
  const { BatchV1Api, CoreV1Api } = await import('@kubernetes/client-node');
  const onProgress = (message: string): void => void process.stderr.write(`${message}\n`);
  await atCluster({ context, settings, onProgress }, async (config) => {
    try {
      const made = await config.makeApiClient(BatchV1Api).createNamespacedJob({ namespace, body: job });
      if (files !== undefined) {
        // Its pods wait for it.
        const owner = { apiVersion: 'batch/v1', kind: 'Job', name, uid: made.metadata?.uid ?? '' };
        await config.makeApiClient(CoreV1Api).createNamespacedConfigMap({ namespace, body: files.configMap(owner) });
      }
    } catch (error) {
      throw refusedToHarness(`the Job ${namespace}/${name}`, error);
    }
  });
  process.stdout.write(
    `The Job ${namespace}/${name} runs in ${shards} pods. Its report: conformance collect ${name} --in-namespace ${namespace}\n`,
  );
}
