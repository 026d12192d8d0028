/**
 * Drives a runner that is deployed in the cluster by its manifests: work and reports go through the API server's proxy
 * to its Service.
 */

import type { KubernetesObject } from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import type { Target } from '../../../targets/load.ts';
import type { JobRunnerDriver, RunnerSettings, StartedJobRunner, StartOptions } from '../driver.ts';
import { forNamespace, manifestsOf, type OwnManifests, readManifests, workloadsPath } from '../manifests.ts';
import { RunnerReports } from './reports.ts';
import { ServiceChannel } from './service-channel.ts';
import { WorkloadPod } from './workload-pod.ts';

export interface Deployment {
  target: Target<'job-runner'>;
  cluster: ClusterHandle;
  serviceAccount: string;
  /** The reference runner's image, where the manifests want it. */
  runnerImage: string;
  /** Leads its calls to the recording proxy; absent where pods do not reach it. */
  inCluster?: Record<string, string>;
  /** Gives an image of this host's engine to the nodes. */
  provideImage(reference: string): Promise<void>;
}

/** How long work is offered to a runner that cannot be reached. */
const UNREACHABLE_SECONDS = 60;

export function deployedDriver(deployment: Deployment): JobRunnerDriver {
  const { target, cluster } = deployment;
  const { start } = target;
  if (!('service' in start)) {
    throw new HarnessError(`${target.file} does not start its runner by a Service`);
  }
  const { container, workload: name } = manifestsOf(target);
  /** What stays over a restart was created. */
  let isCreated = false;
  return {
    async start({ settings, env, onEvent }): Promise<StartedJobRunner> {
      const { namespace } = settings;
      const manifests = filledManifests(deployment, settings);
      await provideImages(deployment, manifests);
      const reports = new RunnerReports(onEvent);
      const channel = new ServiceChannel({
        call: (path, init) =>
          cluster.serviceFetch(namespace, start.service, start.port, path, { headers: start.headers, ...init }),
        take: (line) => reports.take(line),
        patienceSeconds: UNREACHABLE_SECONDS,
      });
      const path = `${workloadsPath(manifests.workload, namespace)}/${name}`;
      const pod = await WorkloadPod.watch(
        { cluster, namespace, container, path },
        {
          onReady: () => channel.listen(),
          onExit: ({ at, code }) => reports.exited(at, `code ${code ?? 'unknown'}`),
          onLog: (line) => reports.log(line),
        },
      );
      const objects = objectsOf(deployment, manifests, { namespace, container, env });
      await cluster.create(isCreated ? objects.filter((object) => isWorkload(object, manifests)) : objects);
      isCreated = true;
      const send = (line: object): Promise<void> => channel.send(line, () => pod.hasExited);
      return {
        readiness: reports.readiness,
        exited: pod.exited,
        submit: (task) => send({ type: 'submit', task }),
        cancel: (task) => send({ type: 'cancel', task }),
        signal: (signal) => void pod.end(signal === 'SIGKILL' ? 0 : undefined),
        memoryBytes: () => pod.memoryBytes(),
        async stop() {
          await pod.stop();
          await channel.close();
        },
      };
    },
  };
}

function filledManifests(
  { target, serviceAccount, runnerImage }: Deployment,
  { extra, ...settings }: RunnerSettings,
): OwnManifests {
  return readManifests(target, {
    namespace: settings.namespace,
    'worker.id': settings.workerId,
    image: settings.image,
    serviceAccount,
    'runner.image': runnerImage,
    config: JSON.stringify({ ...settings, ...extra }),
  });
}

async function provideImages({ runnerImage, provideImage }: Deployment, { workload }: OwnManifests): Promise<void> {
  for (const { image } of workload.spec.template.spec.containers) {
    if (image !== undefined && image !== runnerImage) {
      await provideImage(image);
    }
  }
}

function objectsOf(
  { serviceAccount, inCluster }: Deployment,
  manifests: OwnManifests,
  { namespace, container, env }: Pick<StartOptions, 'env'> & { namespace: string; container: string },
): KubernetesObject[] {
  return forNamespace(manifests, namespace, { serviceAccount, container, env: { ...env, ...inCluster } });
}

function isWorkload({ kind, metadata }: KubernetesObject, { workload }: OwnManifests): boolean {
  return kind === workload.kind && metadata?.name === workload.metadata?.name;
}
