import { resolve } from 'node:path';
import type { V1Deployment, V1Pod } from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import { fill, type Values } from '../../../core/placeholders.ts';
import { describeExit, type ProcessGroup, startTargetProcess } from '../../../core/process-group.ts';
import { lastErrorLines, quoting } from '../../../core/quotation.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import type { ResourceTarget } from '../target.ts';
import { deploymentPath, podsPath, untilAvailable } from './install.ts';

/** Lines of a replica's output that are told with its death. */
const LAST_LINES = 20;

/** The controller's processes, or pods, which a scenario may kill. */
export interface Replicas {
  /** At once, as a node that is lost does. */
  kill(index: number): Promise<void>;
  start(index: number): Promise<void>;
  readonly count: number;
}

export interface ProcessOptions {
  target: ResourceTarget;
  /** Works in it, and has its kubeconfig there. */
  folder: string;
  /** What placeholders of its command stand for, whichever replica it is. */
  values: Values;
  /** Is told of ends that nobody asked for, with the last output. */
  onDeath(what: string): void;
}

/** Replicas of a controller that are processes of this host. */
export class ProcessReplicas implements Replicas {
  readonly #options: ProcessOptions;
  readonly #groups: ProcessGroup[] = [];
  /** Those whose end was asked for. */
  readonly #ended = new Set<ProcessGroup>();
  readonly #died = new Set<ProcessGroup>();
  readonly #output: string[] = [];

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#options.target.start?.replicas ?? 0;
  }

  async startAll(): Promise<void> {
    for (let index = 0; index < this.count; index += 1) {
      await this.start(index);
    }
  }

  async start(index: number): Promise<void> {
    const { target, folder, onDeath } = this.#options;
    const { command, env } = target.start ?? { command: [], env: {} };
    const values = { ...this.#options.values, replica: `replica-${index}` };
    const located = (fill(command, values, `${target.file}: start.command`) as string[]).map((part) =>
      /^\.{1,2}\//.test(part) ? resolve(target.folder, part) : part,
    );
    const group = startTargetProcess(located, {
      cwd: folder,
      env: fill(env, values, `${target.file}: start.env`) as Record<string, string>,
    });
    const lines: string[] = [];
    for (const stream of [group.child.stdout, group.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        const more = chunk.toString().split('\n').filter(Boolean);
        this.#output.push(...more);
        lines.push(...more);
        lines.splice(0, Math.max(0, lines.length - LAST_LINES));
      });
    }
    void group.exited.then((exit) => {
      if (!this.#ended.has(group) && this.#groups[index] === group) {
        this.#died.add(group);
        onDeath(quoting(`replica ${index} ${describeExit(exit)}`, lastErrorLines(lines)));
      }
    });
    this.#groups[index] = group;
  }

  /** True when none of its replicas runs, and nobody asked for that. */
  get haveDied(): boolean {
    return this.#groups.length > 0 && this.#groups.every((group) => this.#died.has(group));
  }

  /** Lines that any of its processes has written so far. */
  output(): string[] {
    return [...this.#output];
  }

  async kill(index: number): Promise<void> {
    const group = this.#groups[index];
    if (group === undefined) {
      throw new HarnessError(`there is no replica ${index}`);
    }
    this.#ended.add(group);
    await group.stop();
  }

  async stop(): Promise<void> {
    for (const group of this.#groups) {
      this.#ended.add(group);
    }
    await Promise.all(this.#groups.map((group) => group.stop()));
  }
}

/**
 * All replicas of a controller that is deployed count as one: they are scaled away, and back. `restore` brings back
 * what is away still.
 */
export function deployedReplicas(
  cluster: ClusterHandle,
  target: ResourceTarget,
): (Replicas & { restore(): Promise<void> }) | undefined {
  const { deployment } = target.install;
  if (deployment === undefined || !cluster.owned) {
    return undefined;
  }
  const path = deploymentPath(deployment);
  /** Pods before it was taken away; undefined: it is there. */
  let wanted: number | undefined;
  const scale = async (replicas: number): Promise<void> => {
    const response = await cluster.request(path, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ spec: { replicas } }),
    });
    if (response.status !== 200) {
      throw new HarnessError(
        `the ${deployment.kind} ${deployment.name} was not scaled: ${response.status} ${await response.text()}`,
      );
    }
  };
  const restore = async (): Promise<void> => {
    if (wanted !== undefined) {
      await scale(wanted);
      wanted = undefined;
      await untilAvailable(cluster, target, deployment);
    }
  };
  return {
    count: 1,
    async kill() {
      const { spec } = (await (await cluster.request(path)).json()) as V1Deployment;
      wanted = spec?.replicas ?? 1;
      await scale(0);
      const pods = podsPath(deployment.namespace, spec?.selector.matchLabels ?? {});
      await cluster.request(`${pods}&gracePeriodSeconds=0`, { method: 'DELETE' });
    },
    start: restore,
    restore,
  };
}

/**
 * Lines that the pods of a controller that is deployed have written since a moment.
 *
 * @throws HarnessError where they cannot be read
 */
export async function outputOfDeployment(
  cluster: ClusterHandle,
  { install: { deployment } }: ResourceTarget,
  since: Date,
): Promise<string[]> {
  if (deployment === undefined) {
    return [];
  }
  const read = async (path: string): Promise<string> => {
    const response = await cluster.request(path);
    const text = await response.text();
    if (response.status !== 200) {
      throw new HarnessError(`GET ${path} was answered ${response.status}: ${text.slice(0, 300)}`);
    }
    return text;
  };
  const { spec } = JSON.parse(await read(deploymentPath(deployment))) as V1Deployment;
  const pods = await read(podsPath(deployment.namespace, spec?.selector.matchLabels ?? {}));
  const { items } = JSON.parse(pods) as { items: V1Pod[] };
  const containers = items.flatMap(({ metadata, status }) =>
    (status?.containerStatuses ?? [])
      .filter(({ state }) => state?.running !== undefined)
      .map(({ name }) => `/api/v1/namespaces/${deployment.namespace}/pods/${metadata?.name}/log?container=${name}`),
  );
  const logs = await Promise.all(containers.map((path) => read(`${path}&sinceTime=${since.toISOString()}`)));
  return logs.flatMap((text) => text.split('\n').filter(Boolean));
}
