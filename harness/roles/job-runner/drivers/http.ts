/** Drives a runner that is deployed in the cluster by its manifests: work and reports go through the API server's proxy to its Service. */

import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as delay } from 'node:timers/promises';
import type { KubernetesObject, V1Pod } from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { isReady } from '../../../kubernetes/cluster-handle.ts';
import { Recorder } from '../../../kubernetes/recorder.ts';
import type { Target } from '../../../targets/load.ts';
import type { JobRunnerDriver, Readiness, RunnerEvent, RunnerExit, StartedJobRunner } from '../driver.ts';
import { forNamespace, manifestsOf, OWN_LABEL, readManifests, workloadsPath } from '../manifests.ts';
import { parsedLine } from './json-lines.ts';

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

/** Between two tries to read what the runner tells, while it cannot be reached. */
const AGAIN_MS = 250;
/** Lines of its output that tell why a runner ended before it was ready. */
const LAST_WORDS = 20;
const REMOVAL_SECONDS = 60;
/** How long work is offered to a runner that cannot be reached. */
const UNREACHABLE_SECONDS = 60;

interface ContainerStatus {
  name: string;
  state?: { running?: object; terminated?: { exitCode: number; signal?: number } };
  lastState?: { terminated?: { exitCode: number; signal?: number } };
}

export function deployedDriver({
  target,
  cluster,
  serviceAccount,
  runnerImage,
  ...given
}: Deployment): JobRunnerDriver {
  const { start } = target;
  if (!('service' in start)) throw new HarnessError(`${target.file} does not start its runner by a Service`);
  const { container, workload: name } = manifestsOf(target);
  /** What stays over a restart was made. */
  let made = false;
  return {
    async start({ settings, env, onEvent }): Promise<StartedJobRunner> {
      const { namespace } = settings;
      const { extra, ...rest } = settings;
      const manifests = readManifests(target, {
        namespace,
        'worker.id': settings.workerId,
        image: settings.image,
        serviceAccount,
        'runner.image': runnerImage,
        config: JSON.stringify({ ...rest, ...extra }),
      });
      const workloadPath = `${workloadsPath(manifests.workload, namespace)}/${name}`;
      const { containers } = manifests.workload.spec.template.spec;
      for (const { image } of containers)
        if (image !== undefined && image !== runnerImage) await given.provideImage(image);
      const objects = forNamespace(manifests, namespace, {
        serviceAccount,
        container,
        env: { ...env, ...given.inCluster },
      });
      const readiness = Promise.withResolvers<Readiness>();
      const exited = Promise.withResolvers<RunnerExit>();
      const closed = new AbortController();
      const words: string[] = [];
      let pod: V1Pod | undefined;
      let told = 0;
      let hasExited = false;

      const log = (text: string): void => {
        words.push(text);
        if (words.length > LAST_WORDS) words.shift();
        onEvent({ at: Date.now(), type: 'log', text });
      };
      const take = (line: string): void => {
        const at = Date.now();
        const { number } = JSON.parse(line) as { number?: number };
        told = Math.max(told, number ?? told + 1);
        const said = parsedLine(line);
        if (said === undefined) log(line);
        else if (said.type === 'ready')
          readiness.resolve({ ready: true, at, ...(said.warnings === undefined ? {} : { warnings: said.warnings }) });
        else if (said.type === 'unready') readiness.resolve({ ready: false, at, reason: said.reason });
        else onEvent({ at, ...said } as RunnerEvent);
      };
      const service = (path: string, init: object = {}) =>
        cluster.serviceFetch(namespace, start.service, start.port, path, { headers: start.headers, ...init });

      /** Everything that it tells, from the first line on, over broken connections. */
      const listen = async (): Promise<void> => {
        while (!closed.signal.aborted) {
          try {
            const response = await service(`/events?after=${told}`, { signal: closed.signal });
            if (response.status === 200 && response.body !== null) {
              const body = Readable.fromWeb(response.body as ReadableStream);
              for await (const line of createInterface({ input: body })) take(line);
            } else await response.text();
          } catch {
            // It is gone, or not yet there: what was missed is told again by number.
          }
          await delay(AGAIN_MS);
        }
      };

      /** Its own output, from one container's beginning to its end. */
      const follow = async (one: string): Promise<void> => {
        const response = await cluster.request(
          `/api/v1/namespaces/${namespace}/pods/${one}/log?container=${container}&follow=true`,
          { signal: closed.signal },
        );
        if (response.status !== 200 || response.body === null) return log(await response.text());
        for await (const line of createInterface({ input: Readable.fromWeb(response.body as ReadableStream) }))
          log(line);
      };
      let following: Promise<void> | undefined;
      const onPod = (type: string, seen: V1Pod): void => {
        const one = seen.metadata?.name ?? '';
        pod = type === 'DELETED' ? undefined : seen;
        const statuses = (seen.status?.containerStatuses ?? []) as ContainerStatus[];
        const status = statuses.find((each) => each.name === container);
        const terminated = status?.state?.terminated ?? status?.lastState?.terminated;
        if (following === undefined && (status?.state?.running !== undefined || terminated !== undefined))
          following = follow(one).catch(() => undefined);
        if (terminated !== undefined || type === 'DELETED') {
          const at = Date.now();
          hasExited = true;
          exited.resolve({ at, code: terminated?.exitCode ?? null, signal: null });
          // Its last words come a moment after that.
          void Promise.resolve(following).then(() =>
            readiness.resolve({
              ready: false,
              at,
              reason: [`it exited (code ${terminated?.exitCode ?? 'unknown'})`, ...words].join('\n'),
            }),
          );
        } else if (isReady(seen)) listening ??= listen();
      };
      let listening: Promise<void> | undefined;

      const recorder = await Recorder.open<V1Pod>(cluster, `/api/v1/namespaces/${namespace}/pods`, {
        labelSelector: `${OWN_LABEL}=true`,
        onEvent: ({ type, object }) => onPod(type, object),
      });
      const isWorkload = ({ kind, metadata }: KubernetesObject): boolean =>
        kind === manifests.workload.kind && metadata?.name === name;
      await cluster.create(made ? objects.filter(isWorkload) : objects);
      made = true;

      const remove = async (query: string): Promise<void> => {
        const response = await cluster.request(`${workloadPath}?propagationPolicy=Background${query}`, {
          method: 'DELETE',
        });
        await response.text();
        if (response.status !== 200 && response.status !== 404)
          throw new HarnessError(`the runner’s ${manifests.workload.kind} was not deleted: ${response.status}`);
      };
      const endPod = async (graceSeconds?: number): Promise<void> => {
        const one = pod?.metadata?.name;
        if (one === undefined) return;
        const query = graceSeconds === undefined ? '' : `?gracePeriodSeconds=${graceSeconds}`;
        await (
          await cluster.request(`/api/v1/namespaces/${namespace}/pods/${one}${query}`, { method: 'DELETE' })
        ).text();
      };
      const say = async (line: object): Promise<void> => {
        const deadline = Date.now() + UNREACHABLE_SECONDS * 1000;
        for (;;) {
          const response = await service('/requests', { method: 'POST', body: JSON.stringify(line) });
          const answer = await response.text();
          // What is told to a runner that is gone is lost, as it is to a process.
          if (response.status < 400 || hasExited) return;
          // A pod that is not Ready for a moment is out of its Service.
          const passing = response.status === 502 || response.status === 503 || response.status === 504;
          if (!passing || Date.now() > deadline)
            throw new HarnessError(`the runner’s Service answered ${response.status}: ${answer.slice(0, 200)}`);
          await delay(AGAIN_MS);
        }
      };
      return {
        readiness: readiness.promise,
        exited: exited.promise,
        submit: (task) => say({ type: 'submit', task }),
        cancel: (task) => say({ type: 'cancel', task }),
        signal(signal) {
          // As for a child process: it is ended, and nothing starts it again but the harness.
          void remove('').then(() => endPod(signal === 'SIGKILL' ? 0 : undefined));
        },
        async memoryBytes() {
          const one = pod?.metadata?.name;
          if (one === undefined) return undefined;
          const { stdout } = await cluster.exec(namespace, one, container, ['cat', '/proc/1/status']);
          const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(stdout)?.[1];
          return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
        },
        async stop() {
          await remove('');
          await endPod(0);
          const allGone = (): true | undefined =>
            [...recorder.latest().values()].every(({ type }) => type === 'DELETED') || undefined;
          // What is still there after that goes with its namespace.
          await recorder
            .until(allGone, { what: 'the runner’s pods to be gone', deadlineSeconds: REMOVAL_SECONDS })
            .catch(() => undefined);
          closed.abort();
          await recorder.close();
          await Promise.all([listening, following]);
          exited.resolve({ at: Date.now(), code: null, signal: 'SIGKILL' });
        },
      };
    },
  };
}
