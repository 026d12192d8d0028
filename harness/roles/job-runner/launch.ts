/** Starts a job runner under observation, and ends it whatever happens. */

import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { KubernetesObject } from '@kubernetes/client-node';
import { Heartbeat, STALL_MS, type Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import { describeError, HarnessError, NotTestable } from '../../core/errors.ts';
import { withoutHeaders } from '../../core/findings.ts';
import { fill, type Values } from '../../core/placeholders.ts';
import type { PolicyRule } from '../../core/policy-rule.ts';
import { lastErrorLines, quoting } from '../../core/quotation.ts';
import type { ClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { quotaInForce, removeQuota } from '../../probes/quotas.ts';
import type { RequirementContext, TargetAccess } from '../../rpc/context.ts';
import type { Target } from '../../targets/load.ts';
import { SeenChanges } from './changes.ts';
import type {
  JobRunnerDriver,
  Readiness,
  RunnerEvent,
  RunnerExit,
  RunnerSettings,
  StartedJobRunner,
  StartOptions,
  Task,
} from './driver.ts';
import { deployedDriver } from './drivers/http.ts';
import { jsonLinesDriver } from './drivers/json-lines.ts';
import { ObjectWatch } from './objects.ts';
import type { ObjectEvent, RunnerRecord, SubmittedTask } from './record.ts';
import { type ClusterEvent, lackedRoom, refusedByPolicy, tasksWithoutPod } from './room.ts';
import { jobRunnerTarget, referenceProgram } from './target.ts';

/** Name of the ServiceAccount that the runner's kubeconfig is for. */
const SERVICE_ACCOUNT = 'job-runner';

/** Seconds beyond the time that a target documents for its start: a small machine is shared by many. */
const START_SLACK_SECONDS = 30;

/** More tasks at once than any scenario has. */
const MANY_TASKS = 100;

/** Seconds until the parent pod is ready. */
const PARENT_POD_SECONDS = 120;

const MARKER_VARIABLE = 'CONFORMANCE_TASK';

/** Lines of a runner's own output that stand in the message about it. */
const LOG_TAIL_LINES = 5;

export interface LaunchOptions {
  /** Part of the namespace's name, and of nothing else. */
  purpose: string;
  settings?: Partial<RunnerSettings>;
  /** Instead of the documented rights. */
  rules?: PolicyRule[];
  /** Objects in the namespace before the start, for example a quota. */
  objects?: KubernetesObject[];
  /**
   * With the objects, rights and settings of the target file's `deployment`; `without`: objects of this kind are left
   * out.
   */
  parentPod?: { without?: string };
  /** It does not matter whether the cluster has room for its pods. */
  needsNoRoom?: boolean;
  /** The namespace has to enforce Pod Security `restricted`, and not only to let such pods pass. */
  needsPodSecurity?: boolean;
  /** The agents' output is measured, and not kept. */
  measuredOutput?: boolean;
}

/** A runner under observation. */
export interface LaunchedRunner extends Pick<RunnerRecord, 'target' | 'namespace' | 'tasks' | 'events' | 'objects'> {
  readonly cluster: ClusterHandle;
  readonly started: StartedJobRunner;
  /** The proxy by which it reaches the API server: what it asked for there, and faults. */
  readonly access: TargetAccess;
  /**
   * Hands over a task. Its id and its agent are UUIDs, which every runner knows, unless they are given: other ids are
   * JL-23's.
   */
  submit(label: string, task: Partial<Task>): Promise<SubmittedTask>;
  cancel(label: string): Promise<void>;
  /** @see SeenChanges.find */
  find<R>(look: () => R | undefined, deadlineSeconds: number): Promise<R | undefined>;
  /** @see SeenChanges.until */
  until(isMet: () => boolean, deadlineSeconds: number): Promise<boolean>;
  /** @see SeenChanges.watchFor */
  watchFor(seconds: number): Promise<void>;
  /** Starts it again with the same settings; the process before has to have ended. */
  restart(): Promise<Readiness | undefined>;
  record(): RunnerRecord;
}

/** Where a runner is started, and what with. */
interface Site {
  target: Target<'job-runner'>;
  cluster: ClusterHandle;
  access: TargetAccess;
  driver: JobRunnerDriver;
  /** What a driver is given, but for where it reports events. */
  start: Omit<StartOptions, 'onEvent'>;
}

/**
 * Starts the runner in a namespace of its own, with its documented rights, under watches that were opened before; gives
 * it to `act`, and ends it whatever happens. A runner that does not become ready can be evaluated by what it does
 * before that, and by nothing else.
 *
 * @throws HarnessError where the cluster had no room for an agent, or a policy of a live one refused its pod
 */
export function withJobRunner<R>(
  t: RequirementContext,
  options: LaunchOptions,
  act: (runner: LaunchedRunner) => Promise<R>,
): Promise<R> {
  const { podSecurity } = jobRunnerTarget(t);
  return t.withNamespace(`runner ${options.purpose}`, podSecurity, (namespace) => launch(t, namespace, options, act), {
    enforced: options.needsPodSecurity === true,
  });
}

async function launch<R>(
  t: RequirementContext,
  namespace: string,
  options: LaunchOptions,
  act: (runner: LaunchedRunner) => Promise<R>,
): Promise<R> {
  const cleanUp = new AsyncDisposableStack();
  try {
    const heartbeat = new Heartbeat('the harness').start();
    cleanUp.defer(() => heartbeat.stop());
    const changes = new SeenChanges(t.signal);
    /** What the runner had to wait for. */
    const waits: Stall[] = [];
    const { site, watch } = await prepare(t, namespace, options, { cleanUp, changes, waits });
    const runner = new Launch(site, { options, changes, watch, stalls: () => [...heartbeat.stalls(), ...waits] });
    cleanUp.defer(() => runner.stop());
    await runner.start();
    const result = await act(runner);
    const lacked = options.needsNoRoom === true ? undefined : lackedRoom(runner.record(), site.target.container);
    const refused = options.needsNoRoom === true ? undefined : await policyAgainst(runner, options);
    const why = lacked ?? refused;
    if (why !== undefined) {
      throw new HarnessError(why);
    }
    return result;
  } finally {
    await cleanUp.disposeAsync();
  }
}

/**
 * What a quota or a policy of a live cluster had against a pod of a task; the harness's own clusters have none but
 * those that a scenario sets up.
 */
async function policyAgainst(runner: Launch, { objects = [] }: LaunchOptions): Promise<string | undefined> {
  const record = runner.record();
  if (runner.cluster.owned || objects.length > 0 || tasksWithoutPod(record).length === 0) {
    return undefined;
  }
  const response = await runner.cluster.request(`/api/v1/namespaces/${runner.namespace}/events`);
  const { items = [] } = (await response.json()) as { items?: ClusterEvent[] };
  // Where the harness may not read them, nothing is known of it.
  return refusedByPolicy(record, items);
}

/** As {@link withJobRunner}. @throws NotTestable where the runner does not accept work */
export function withReadyJobRunner<R>(
  t: RequirementContext,
  options: LaunchOptions,
  act: (runner: LaunchedRunner) => Promise<R>,
): Promise<R> {
  return withJobRunner(t, options, (runner) => {
    needsReady(runner.record());
    return act(runner);
  });
}

/** @throws NotTestable where the runner does not accept work */
export function needsReady({ readiness, events }: Pick<RunnerRecord, 'readiness' | 'events'>): void {
  if (readiness?.ready === true) {
    return;
  }
  const why = readiness === undefined ? 'it reported nothing' : readiness.reason;
  const log = events.flatMap((event) => (event.type === 'log' ? [event.text] : [])).slice(-LOG_TAIL_LINES);
  // A runner that reports a reason mostly has it in its log as well.
  const further = lastErrorLines(log).filter((line) => !line.includes(why));
  throw new NotTestable(
    readiness === undefined
      ? quoting(`the job runner does not accept work: ${why}`, further)
      : quoting('the job runner does not accept work', withoutHeaders([why, ...further].join('\n'))),
  );
}

/** Makes rights, objects, watches and kubeconfig, in the order in which they need one another. */
async function prepare(
  t: RequirementContext,
  namespace: string,
  options: LaunchOptions,
  { cleanUp, changes, waits }: { cleanUp: AsyncDisposableStack; changes: SeenChanges; waits: Stall[] },
): Promise<{ site: Site; watch: ObjectWatch }> {
  const target = jobRunnerTarget(t);
  const workFolder = await mkdtemp(join(tmpdir(), 'conformance-job-runner-'));
  cleanUp.defer(() => rm(workFolder, { recursive: true, force: true }));
  const [cluster, image] = await Promise.all([t.cluster(), t.image('workload')]);
  const values = {
    namespace,
    'worker.id': `worker-${randomBytes(4).toString('hex')}`,
    image,
    serviceAccount: SERVICE_ACCOUNT,
    'runner.main': referenceProgram(t),
  };
  const parentPod = options.parentPod === undefined ? undefined : target.deployment;
  const { namespaced, undocumented, cluster: clusterRules } = target.rules;
  const access = await t.targetAccess({
    namespace,
    serviceAccount: SERVICE_ACCOUNT,
    rules: options.rules ?? [...namespaced, ...undocumented, ...(parentPod?.rules ?? [])],
    clusterRules,
  });
  cleanUp.defer(() => access.close());
  await cluster.create(objectsFor(target, options, values).map((object) => inNamespace(object, namespace)));
  // A quota of the scenario has to stand in the way of the very first pod.
  for (const quota of (options.objects ?? []).filter(({ kind }) => kind === 'ResourceQuota')) {
    cleanUp.defer(() => removeQuota(cluster, namespace, quota));
    await quotaInForce(cluster, namespace, quota);
  }
  const watch = await ObjectWatch.open(cluster, namespace, { signal: t.signal, onChange: () => changes.notify() });
  cleanUp.defer(() => watch.close());
  const kubeconfig = join(workFolder, 'kubeconfig');
  await writeFile(kubeconfig, access.kubeConfig, { mode: 0o600 });
  const { start, deployment, folder, file } = target;
  const exec = deployment === undefined ? undefined : execIn(cluster, namespace, deployment, waits);
  return {
    watch,
    site: {
      target,
      cluster,
      access,
      driver: await driverFor(t, { target, cluster, access, values }),
      start: {
        settings: settingsFor(target, options, values),
        kubeconfig,
        env: fill(start.env, values, file),
        options: 'module' in start ? fill(start.options, values, file) : {},
        folder,
        workFolder,
        signal: t.signal,
        ...(exec === undefined ? {} : { inDeployment: exec }),
      },
    },
  };
}

/** What is in the namespace before the runner starts: objects of the target file, then those of the scenario. */
export function objectsFor(
  target: Target<'job-runner'>,
  { parentPod, objects = [] }: Pick<LaunchOptions, 'parentPod' | 'objects'>,
  values: Values,
): KubernetesObject[] {
  const ofTheParent = parentPod === undefined ? [] : (target.deployment?.objects ?? []);
  const own = [...target.objects, ...ofTheParent].filter(({ kind }) => kind !== parentPod?.without);
  return [...(fill(own, values, target.file) as KubernetesObject[]), ...objects];
}

/**
 * The settings that a runner is started with: those of the run, then the scenario's, then the target file's for the
 * parent pod.
 */
export function settingsFor(
  target: Target<'job-runner'>,
  { settings, parentPod }: Pick<LaunchOptions, 'settings' | 'parentPod'>,
  values: { namespace: string; 'worker.id': string; image: string },
): RunnerSettings {
  const { documented, deployment, file } = target;
  const isLimited = documented.limits.some(({ per, count }) => per === 'worker' && count === 'settings');
  const ofTheParent = parentPod === undefined || deployment === undefined ? undefined : deployment.settings;
  return {
    namespace: values.namespace,
    workerId: values['worker.id'],
    image: values.image,
    imagePullPolicy: 'IfNotPresent',
    // A task is evaluated whatever number of others there are, but where limits are evaluated.
    ...(isLimited ? { maxConcurrentTasks: MANY_TASKS } : {}),
    ...settings,
    ...(ofTheParent === undefined ? {} : { extra: { ...settings?.extra, ...fill(ofTheParent, values, file) } }),
  };
}

async function driverFor(
  t: RequirementContext,
  { target, cluster, access: { inCluster }, values }: Pick<Site, 'target' | 'cluster' | 'access'> & { values: Values },
): Promise<JobRunnerDriver> {
  const { start, folder, file } = target;
  if ('command' in start) {
    return jsonLinesDriver(fill(start.command, values, file));
  }
  if ('module' in start) {
    return loadDriver(resolve(folder, start.module), file);
  }
  return deployedDriver({
    target,
    cluster,
    serviceAccount: SERVICE_ACCOUNT,
    runnerImage: await t.image('job-runner'),
    provideImage: (reference) => t.provideImage(reference),
    ...(inCluster === undefined ? {} : { inCluster: { ...inCluster } }),
  });
}

async function loadDriver(path: string, file: string): Promise<JobRunnerDriver> {
  const module = (await import(/* @vite-ignore */ pathToFileURL(path).href).catch((error: unknown) => {
    throw new HarnessError(`the driver ${path} of ${file} cannot be loaded: ${describeError(error)}`);
  })) as { driver?: JobRunnerDriver };
  if (typeof module.driver?.start !== 'function') {
    throw new HarnessError(`${path} exports no \`driver\` (JobRunnerDriver of harness/roles/job-runner/driver.ts)`);
  }
  return module.driver;
}

/**
 * Runs commands in the parent pod, which may still be starting. What took long, the runner had to wait for: it counts
 * as a stall.
 *
 * @param waits gets those stalls
 */
function execIn(
  cluster: ClusterHandle,
  namespace: string,
  { pod, container }: NonNullable<Target<'job-runner'>['deployment']>,
  waits: Stall[],
): NonNullable<StartOptions['inDeployment']> {
  let ready: Promise<unknown> | undefined;
  return async (command) => {
    const from = Date.now();
    try {
      ready ??= cluster.podReady(namespace, pod, PARENT_POD_SECONDS);
      await ready;
      return await cluster.exec(namespace, pod, container, command);
    } finally {
      const to = Date.now();
      if (to - from > STALL_MS) {
        const [began, ended] = [from, to].map((at) => new Date(at).toISOString());
        waits.push({ where: `a command in the pod ${pod}`, from: began ?? '', to: ended ?? '' });
      }
    }
  };
}

export function inNamespace(object: KubernetesObject, namespace: string): KubernetesObject {
  return { ...object, metadata: { ...object.metadata, namespace } };
}

interface Observation {
  options: LaunchOptions;
  changes: SeenChanges;
  watch: ObjectWatch;
  stalls: () => Stall[];
}

/** A runner, what it was given, and what was seen of it. */
export class Launch implements LaunchedRunner {
  readonly target: Target<'job-runner'>;
  readonly cluster: ClusterHandle;
  readonly namespace: string;
  readonly access: TargetAccess;
  readonly tasks: SubmittedTask[] = [];
  readonly events: RunnerEvent[] = [];
  readonly objects: ObjectEvent[];
  readonly #site: Site;
  readonly #seen: Observation;
  readonly #cancelled: RunnerRecord['cancelled'] = [];
  readonly #outputBytes: Record<string, number> = {};
  readonly #startedAt = Date.now();
  #readiness: Readiness | undefined;
  #started: StartedJobRunner | undefined;
  #exit: RunnerExit | undefined;

  constructor(site: Site, seen: Observation) {
    this.#site = site;
    this.#seen = seen;
    this.target = site.target;
    this.cluster = site.cluster;
    this.access = site.access;
    this.namespace = site.start.settings.namespace;
    this.objects = seen.watch.events;
  }

  get started(): StartedJobRunner {
    if (this.#started === undefined) {
      throw new HarnessError('the job runner was not started');
    }
    return this.#started;
  }

  /** Starts it for the first time, and waits until it is ready, refuses to be, or is late. */
  async start(): Promise<void> {
    this.#readiness = await this.#startOnce();
  }

  async restart(): Promise<Readiness | undefined> {
    await this.started.stop();
    return this.#startOnce();
  }

  async stop(): Promise<void> {
    await this.#started?.stop();
  }

  async #startOnce(): Promise<Readiness | undefined> {
    this.#exit = undefined;
    const started = await this.#site.driver.start({
      ...this.#site.start,
      onEvent: (event) => this.#take(event),
    });
    this.#started = started;
    void started.exited.then((exit) => {
      this.#exit = exit;
      this.#seen.changes.notify();
    });
    const late = Promise.withResolvers<undefined>();
    const patienceSeconds = this.target.startSeconds + START_SLACK_SECONDS;
    const timer = setTimeout(() => late.resolve(undefined), patienceSeconds * 1000);
    try {
      return await Promise.race([started.readiness, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #take(event: RunnerEvent): void {
    if (event.type === 'output') {
      this.#outputBytes[event.task] = (this.#outputBytes[event.task] ?? 0) + Buffer.byteLength(event.text);
    }
    if (event.type !== 'output' || this.#seen.options.measuredOutput !== true) {
      this.events.push(event);
    }
    this.#seen.changes.notify();
  }

  async submit(label: string, task: Partial<Task>): Promise<SubmittedTask> {
    const marker = `conformance-task-${label}-${randomBytes(5).toString('hex')}`;
    const submitted: SubmittedTask = {
      label,
      task: {
        id: randomUUID(),
        agent: randomUUID(),
        prompt: `Do what ${label} says.`,
        ...task,
        env: { ...task.env, [MARKER_VARIABLE]: marker },
      },
      marker,
      at: Date.now(),
    };
    this.tasks.push(submitted);
    await this.started.submit(submitted.task);
    return submitted;
  }

  async cancel(label: string): Promise<void> {
    const submitted = this.tasks.find((task) => task.label === label);
    if (submitted === undefined) {
      throw new HarnessError(`no task ${label} was submitted`);
    }
    this.#cancelled.push({ label, at: Date.now() });
    await this.started.cancel(submitted.task.id);
  }

  find<R>(look: () => R | undefined, deadlineSeconds: number): Promise<R | undefined> {
    return this.#seen.changes.find(look, deadlineSeconds);
  }

  until(isMet: () => boolean, deadlineSeconds: number): Promise<boolean> {
    return this.#seen.changes.until(isMet, deadlineSeconds);
  }

  watchFor(seconds: number): Promise<void> {
    return this.#seen.changes.watchFor(seconds);
  }

  record(): RunnerRecord {
    return {
      target: this.target,
      namespace: this.namespace,
      startedAt: this.#startedAt,
      ...(this.#readiness === undefined ? {} : { readiness: this.#readiness }),
      tasks: this.tasks,
      cancelled: this.#cancelled,
      events: this.events,
      outputBytes: this.#outputBytes,
      objects: this.objects,
      ...(this.#exit === undefined ? {} : { exit: this.#exit }),
      stalls: this.#seen.stalls(),
      endedAt: Date.now(),
    };
  }
}
