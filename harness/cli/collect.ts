import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CoreV1Api, V1Job } from '@kubernetes/client-node';
import type { Command } from 'commander';
import { describeError, HarnessError } from '../core/errors.ts';
import { redact } from '../core/redact.ts';
import { describePod } from '../kubernetes/pod-status.ts';
import { mergeAndTell } from './merge.ts';

/** Of a pod that left no report. */
const LOG_LINES = 15;

interface CollectFlags {
  inNamespace: string;
  context?: string;
  report: string;
  baseline?: string;
  wait: string;
}

/** Whether a Job has come to its end, either way (Kubernetes, "Jobs", terminal conditions). */
export function isOver({ status }: V1Job): boolean {
  return (
    status?.conditions?.some(({ type, status: is }) => (type === 'Complete' || type === 'Failed') && is === 'True') ===
    true
  );
}

/** What the pods of shards that left no report wrote last, and what became of them. */
async function lastWords(core: CoreV1Api, { metadata }: V1Job, shards: number[]): Promise<string> {
  const { name = '', namespace = '' } = metadata ?? {};
  const { items } = await core.listNamespacedPod({ namespace, labelSelector: `batch.kubernetes.io/job-name=${name}` });
  const told = shards.map(async (shard) => {
    const index = String(shard - 1);
    const pod = items.find((one) => one.metadata?.annotations?.['batch.kubernetes.io/job-completion-index'] === index);
    if (pod === undefined) {
      return `  shard ${shard}: there is no pod\n`;
    }
    const log = await core
      .readNamespacedPodLog({ namespace, name: pod.metadata?.name ?? '', tailLines: LOG_LINES })
      .catch((error: unknown) => `no log: ${describeError(error)}`);
    const lines = log.trimEnd().split('\n');
    return `  shard ${shard}: ${describePod(pod)}\n${lines.map((line) => `    ${line}\n`).join('')}`;
  });
  return (await Promise.all(told)).join('');
}

/** `conformance collect`: the report of a run inside the cluster, by the API. */
export function registerCollect(program: Command): void {
  program
    .command('collect')
    .description('Fetch the report of a run that `submit` started, and print the verdict.')
    .argument('<name>', 'name of the Job')
    .option('--in-namespace <name>', 'namespace of the Job', 'kube-agent-conformance')
    .option('--context <name>', 'kubeconfig context (default: the current one)')
    .option('--report <folder>', 'folder for the report', 'reports/collected')
    .option('--baseline <file>', 'known failures: exit with 0 if nothing else fails (see `conformance baseline`)')
    .option('--wait <seconds>', 'time limit for the Job to end', '7200')
    .action(async (name: string, { inNamespace: namespace, context, report, baseline, wait }: CollectFlags) => {
      // Loaded here, so that the commands that ask no cluster start at once.
      const [{ CoreV1Api: Core }, { watchUntil }, { atCluster }, { REPORT_LABEL, reportsIn }] = await Promise.all([
        import('@kubernetes/client-node'),
        import('../kubernetes/watch.ts'),
        import('./in-cluster/api.ts'),
        import('./in-cluster/store.ts'),
      ]);
      const files = await atCluster(
        { context, onProgress: (message) => process.stderr.write(`${message}\n`) },
        async (config) => {
          const job = await watchUntil<V1Job, V1Job>(
            config,
            `/apis/batch/v1/namespaces/${namespace}/jobs`,
            ({ object }) => (isOver(object) ? object : undefined),
            {
              what: `the Job ${namespace}/${name} to end`,
              fieldSelector: `metadata.name=${name}`,
              deadlineSeconds: Number(wait),
            },
          );
          const core = config.makeApiClient(Core);
          const { items } = await core.listNamespacedConfigMap({
            namespace,
            labelSelector: `${REPORT_LABEL}=${name}`,
          });
          const reports = reportsIn(items);
          const expected = job.spec?.completions ?? 1;
          const lacking = Array.from({ length: expected }, (_, index) => index + 1).filter(
            (shard) => !reports.some((one) => one.shard === shard),
          );
          const told = lacking.length === 0 ? '' : await lastWords(core, job, lacking);
          if (reports.length === 0) {
            throw new HarnessError(`no pod of the Job ${namespace}/${name} has left a report\n${told}`);
          }
          if (lacking.length > 0) {
            process.stderr.write(
              redact(`of ${expected} shards ${lacking.join(', ')} left no report, and count as not executed\n${told}`),
            );
          }
          return reports.map(({ shard, text }) => {
            const folder = join(report, 'shards', String(shard));
            mkdirSync(folder, { recursive: true });
            writeFileSync(join(folder, 'report.json'), redact(text));
            return folder;
          });
        },
      );
      process.exitCode = await mergeAndTell(files, { folder: report, ...(baseline === undefined ? {} : { baseline }) });
    });
}
