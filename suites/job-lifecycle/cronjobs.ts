import type { V1CronJob, V1CronJobSpec, V1Job, V1OwnerReference } from '@kubernetes/client-node';
import type { Recorder } from '../../harness/kubernetes/recorder.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { ended, eventsOf, type JobFixture, jobFixture, ranLast, scriptPod } from './jobs.ts';

/** How far back a CronJob is told that it last ran: one slot at least is due, and few enough that none is given up. */
const LAST_RUN_SECONDS = 90;

type Spec = Omit<V1CronJobSpec, 'jobTemplate'>;

/** How Jobs of a history end by themselves, without a pod. */
const ENDS = {
  complete: { completions: 0, parallelism: 0 },
  failed: { parallelism: 0, activeDeadlineSeconds: 1 },
} as const;

/**
 * CronJobs of one requirement, with every Job that they start. The Jobs are active and stay so without a pod: what is
 * evaluated is when they are made. At the end they are deleted: they would start Jobs for as long as the cluster lives.
 */
export class CronJobs<Name extends string> implements AsyncDisposable {
  readonly #t: RequirementContext;
  readonly #own: JobFixture;
  readonly #jobs: Recorder<V1Job>;
  readonly #created = new Map<Name, V1CronJob>();

  private constructor(t: RequirementContext, own: JobFixture, jobs: Recorder<V1Job>) {
    this.#t = t;
    this.#own = own;
    this.#jobs = jobs;
  }

  /** Creates CronJobs that ran last some time ago, so that a slot of their schedule may be due at once. */
  static async create<Name extends string>(t: RequirementContext, specs: Record<Name, Spec>): Promise<CronJobs<Name>> {
    const own = await jobFixture(t, 'jl-04');
    const cronJobs = new CronJobs<Name>(t, own, await own.recordJobs());
    try {
      await Promise.all(Object.entries<Spec>(specs).map(([name, spec]) => cronJobs.#create(name as Name, spec)));
    } catch (error) {
      await cronJobs[Symbol.asyncDispose]();
      throw error;
    }
    return cronJobs;
  }

  async #create(name: Name, spec: Spec): Promise<void> {
    const cluster = await this.#t.cluster();
    const { namespace, labels, image } = this.#own;
    const metadata = { labels };
    const body = {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { namespace, name: objectName(name), ...metadata },
      spec: {
        ...spec,
        jobTemplate: { metadata, spec: { suspend: true, template: { metadata, spec: scriptPod(image, 'exit 0') } } },
      },
    };
    await cluster.create([body]);
    const before = new Date(Date.now() - LAST_RUN_SECONDS * 1000);
    this.#created.set(name, await ranLast(cluster, namespace, objectName(name), before));
  }

  /** Waits until a CronJob has started so many Jobs. @returns their names */
  haveStarted(name: Name, count: number, deadlineSeconds: number): Promise<string[]> {
    return this.#jobs.until(() => (this.#jobsOf(name).length >= count ? this.#jobsOf(name) : undefined), {
      what: `CronJob ${objectName(name)} to have started ${count} Jobs`,
      deadlineSeconds,
    });
  }

  /** The names of the Jobs that each has started by its schedule. */
  started(): Record<Name, string[]> {
    const entries = [...this.#created.keys()].map((name) => [
      name,
      this.#jobsOf(name).filter((job) => !/-(complete|failed)-\d$/.test(job)),
    ]);
    return Object.fromEntries(entries) as Record<Name, string[]>;
  }

  #jobsOf(name: Name): string[] {
    const mine = this.#jobs.events.filter(({ object }) =>
      object.metadata?.ownerReferences?.some((owner) => owner.name === objectName(name)),
    );
    return [...new Set(mine.map(({ object }) => object.metadata?.name ?? ''))];
  }

  /**
   * Makes three Jobs of each kind of end, as `kubectl create job --from` makes them, and waits until one of each is
   * left.
   *
   * @returns the names of those that are left
   */
  async historyOf(name: Name, deadlineSeconds: number): Promise<Record<keyof typeof ENDS, string[]>> {
    const owner: V1OwnerReference = {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      name: objectName(name),
      uid: this.#created.get(name)?.metadata?.uid ?? '',
      controller: true,
    };
    const made = Object.entries(ENDS).flatMap(([kind, spec]) =>
      [1, 2, 3].map((number) => ({ job: `${objectName(name)}-${kind}-${number}`, kind, spec })),
    );
    for (const { job, spec } of made) {
      await this.#own.createJob(job, 'exit 0', spec, { owner });
    }
    await Promise.all(made.map(({ job }) => ended(this.#jobs, job)));
    const left = (kind: keyof typeof ENDS): Promise<string[]> =>
      this.#jobs.until(
        (events) => {
          const alive = made.filter((one) => one.kind === kind && eventsOf(events, one.job).at(-1)?.type !== 'DELETED');
          return alive.length <= 1 ? alive.map(({ job }) => job) : undefined;
        },
        { what: `one Job that is ${kind} of ${objectName(name)} to be left`, deadlineSeconds },
      );
    return { complete: await left('complete'), failed: await left('failed') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const cluster = await this.#t.cluster();
    const path = `/apis/batch/v1/namespaces/${this.#own.namespace}/cronjobs`;
    await Promise.all(
      [...this.#created.keys()].map(async (name) =>
        (
          await cluster.request(`${path}/${objectName(name)}?propagationPolicy=Background`, { method: 'DELETE' })
        ).arrayBuffer(),
      ),
    );
    await this.#jobs[Symbol.asyncDispose]();
  }
}

function objectName(name: string): string {
  return `jl-04-${name}`;
}
