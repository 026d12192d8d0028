import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { KubernetesObject } from '@kubernetes/client-node';
import { Heartbeat, STALL_MS, type Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import { describeError, HarnessError, NotTestable } from '../../core/errors.ts';
import { fill } from '../../core/placeholders.ts';
import type { PolicyRule } from '../../core/policy-rule.ts';
import type { ClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { Recorder } from '../../kubernetes/recorder.ts';
import type { RequirementContext, TargetAccess } from '../../rpc/context.ts';
import type { Target } from '../../targets/load.ts';
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
import { OWN_LABEL } from './manifests.ts';
import { jobRunnerTarget } from './target.ts';

/** Name of the ServiceAccount that the runner's kubeconfig is for. */
const SERVICE_ACCOUNT = 'job-runner';

/** Beyond the time that a target documents for its start: a small machine is shared by many. */
const START_SLACK_SECONDS = 30;

/** More tasks at once than any session has. */
const MANY_TASKS = 100;

/** Until the pod of its deployment is ready. */
const DEPLOYMENT_SECONDS = 120;

/** A part of a name that tells which task an object is of, wherever the runner put it. */
const MARKER = /conformance-task-[a-z0-9-]+/g;
const MARKER_VARIABLE = 'CONFORMANCE_TASK';

/** One event of an object in the runner's namespace, as plain data. */
export interface ObjectEvent {
  /** When the harness saw it, in milliseconds since the epoch. */
  at: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  kind: ObservedKind;
  /** Without managed fields and, for a Secret, without values. */
  object: KubernetesObject & { spec?: unknown; status?: unknown };
  /** Markers of tasks that stand anywhere in it, values of a Secret too. */
  markers: string[];
}

const KINDS = {
  Job: ['/apis/batch/v1', 'jobs'],
  Pod: ['/api/v1', 'pods'],
  Secret: ['/api/v1', 'secrets'],
  ConfigMap: ['/api/v1', 'configmaps'],
  PersistentVolumeClaim: ['/api/v1', 'persistentvolumeclaims'],
} as const;
export type ObservedKind = keyof typeof KINDS;

/** A task as it was handed over. `marker` stands in the environment of its agent. */
export interface SubmittedTask {
  label: string;
  task: Task;
  marker: string;
  at: number;
}

/** Everything that was seen of a runner, as plain data. */
export interface RunnerRecord {
  namespace: string;
  startedAt: number;
  /** Absent: it neither became ready nor refused in time. */
  readiness?: Readiness;
  tasks: SubmittedTask[];
  cancelled: { label: string; at: number }[];
  events: RunnerEvent[];
  objects: ObjectEvent[];
  exit?: RunnerExit;
  /** When the harness stood still. */
  stalls: Stall[];
  /** When the harness stopped looking. */
  endedAt: number;
}

export interface LaunchOptions {
  /** Part of the namespace's name, and of nothing else. */
  purpose: string;
  settings?: Partial<RunnerSettings>;
  /** Instead of the documented rights. */
  rules?: PolicyRule[];
  /** Objects in the namespace before the start, for example a quota. */
  objects?: KubernetesObject[];
  /** With the objects, rights and settings of the target file's `deployment`; `without`: objects of this kind are left out. */
  deployment?: { without?: string };
  /** It does not matter whether the cluster has room for its pods. */
  needsNoRoom?: boolean;
  /** The agents' output is measured, and not kept: one event with the number of bytes stands for all that came of a task. */
  measuredOutput?: boolean;
}

/** A runner under observation. */
export interface LaunchedRunner {
  readonly target: Target<'job-runner'>;
  readonly cluster: ClusterHandle;
  readonly namespace: string;
  readonly tasks: SubmittedTask[];
  readonly events: RunnerEvent[];
  readonly objects: ObjectEvent[];
  readonly started: StartedJobRunner;
  /** The proxy by which it reaches the API server: what it asked for there, and faults. */
  readonly access: TargetAccess;
  /** Hands over a task. Its id and its agent are UUIDs, which every runner knows, unless they are given: what others do to it has a row of its own (JL-23). */
  submit(label: string, task: Partial<Task>): Promise<SubmittedTask>;
  cancel(label: string): Promise<void>;
  /** Waits until `accept` answers something else than undefined; undefined when it has not in time: what that means is the judge's. */
  until<R>(accept: () => R | undefined, deadlineSeconds: number): Promise<R | undefined>;
  /** Starts it again with the same settings; the process before has to have ended. */
  restart(): Promise<Readiness | undefined>;
  record(): RunnerRecord;
}

/** Ends the requirement where the target does not declare a capability. */
export function needsCapability(
  t: RequirementContext,
  capability: Target<'job-runner'>['capabilities'][number],
): Target<'job-runner'> {
  const target = jobRunnerTarget(t);
  if (!target.capabilities.includes(capability)) {
    const declared = target.capabilities.join(', ') || 'none';
    t.notApplicable(`the target file does not declare the capability \`${capability}\`; it declares ${declared}`);
  }
  return target;
}

/**
 * Starts the runner in a namespace of its own, with its documented rights, under watches that were opened before; gives it to `act`, and
 * ends it whatever happens. Only what it proves before it is ready may be judged where it is not.
 */
export async function withJobRunner<R>(
  t: RequirementContext,
  options: LaunchOptions,
  act: (runner: LaunchedRunner) => Promise<R>,
): Promise<R> {
  const target = jobRunnerTarget(t);
  const [cluster, image, { name: namespace }, workFolder] = await Promise.all([
    t.cluster(),
    t.agentImage(),
    t.namespaceFor(`runner ${options.purpose}`),
    mkdtemp(join(tmpdir(), 'conformance-job-runner-')),
  ]);
  const deployment = options.deployment === undefined ? undefined : target.deployment;
  const heartbeat = new Heartbeat('the harness').start();
  const objects: ObjectEvent[] = [];
  const events: RunnerEvent[] = [];
  const waits: Stall[] = [];
  const tasks: SubmittedTask[] = [];
  const cancelled: RunnerRecord['cancelled'] = [];
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of listeners) listener();
  };
  const recorders: Recorder<KubernetesObject>[] = [];
  let started: StartedJobRunner | undefined;
  let exit: RunnerExit | undefined;
  let closeAccess: (() => Promise<void>) | undefined;
  try {
    if (target.podSecurity !== 'restricted') {
      const body = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': target.podSecurity } } };
      await cluster.request(`/api/v1/namespaces/${namespace}`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/merge-patch+json' },
        body: JSON.stringify(body),
      });
    }
    const workerId = `worker-${randomBytes(4).toString('hex')}`;
    const values = { namespace, 'worker.id': workerId, image, serviceAccount: SERVICE_ACCOUNT };
    const access = await t.targetAccess({
      namespace,
      serviceAccount: SERVICE_ACCOUNT,
      rules: options.rules ?? [...target.rules.namespaced, ...target.rules.undocumented, ...(deployment?.rules ?? [])],
      clusterRules: target.rules.cluster,
    });
    closeAccess = access.close;
    const beside = [...target.objects, ...(deployment?.objects ?? [])].filter(
      ({ kind }) => kind !== options.deployment?.without,
    );
    const own = fill(beside, values, target.file) as KubernetesObject[];
    await cluster.create([...own, ...(options.objects ?? [])].map((object) => inNamespace(object, namespace)));
    for (const kind of Object.keys(KINDS) as ObservedKind[]) {
      const [base, plural] = KINDS[kind];
      const recorder = await Recorder.open<KubernetesObject>(cluster, `${base}/namespaces/${namespace}/${plural}`, {
        signal: t.signal,
        onEvent: ({ at, type, object }) => {
          // The runner itself, where it is deployed.
          if (object.metadata?.labels?.[OWN_LABEL] !== undefined) return;
          objects.push({ at: at.getTime(), type, kind, ...trimmed(object) });
          changed();
        },
      });
      recorders.push(recorder);
    }
    const kubeconfig = join(workFolder, 'kubeconfig');
    await writeFile(kubeconfig, access.kubeConfig, { mode: 0o600 });
    const limitsBySettings = target.documented.limits.some(
      ({ per, count }) => per === 'worker' && count === 'settings',
    );
    const settings: RunnerSettings = {
      namespace,
      workerId,
      image,
      imagePullPolicy: 'IfNotPresent',
      // What is judged of a task is no matter of how many others there are, but where limits are what is judged.
      ...(limitsBySettings ? { maxConcurrentTasks: MANY_TASKS } : {}),
      ...options.settings,
      ...(deployment === undefined
        ? {}
        : { extra: { ...options.settings?.extra, ...fill(deployment.settings, values, target.file) } }),
    };
    const driver =
      'service' in target.start
        ? deployedDriver({
            target,
            cluster,
            serviceAccount: SERVICE_ACCOUNT,
            runnerImage: await t.runnerImage(),
            provideImage: (reference) => t.provideImage(reference),
            ...(access.inCluster === undefined ? {} : { inCluster: { ...access.inCluster } }),
          })
        : await driverOf(target);
    const start = target.start;
    const startOnce = async (): Promise<Readiness | undefined> => {
      exit = undefined;
      started = await driver.start({
        settings,
        kubeconfig,
        env: fill(start.env, values, target.file),
        options: 'module' in start ? fill(start.options, values, target.file) : {},
        folder: target.folder,
        workFolder,
        signal: t.signal,
        ...(target.deployment === undefined
          ? {}
          : { inDeployment: execIn(cluster, namespace, target.deployment, waits) }),
        onEvent: (event) => {
          if (options.measuredOutput === true && event.type === 'output') measure(events, event);
          else events.push(event);
          changed();
        },
      });
      void started.exited.then((seen) => {
        exit = seen;
        changed();
      });
      const late = Promise.withResolvers<undefined>();
      const timer = setTimeout(() => late.resolve(undefined), (target.startSeconds + START_SLACK_SECONDS) * 1000);
      try {
        return await Promise.race([started.readiness, late.promise]);
      } finally {
        clearTimeout(timer);
      }
    };
    const startedAt = Date.now();
    const readiness = await startOnce();
    const current = (): StartedJobRunner => {
      if (started === undefined) throw new HarnessError('the job runner was not started');
      return started;
    };
    const runner: LaunchedRunner = {
      target,
      cluster,
      namespace,
      tasks,
      events,
      objects,
      access,
      get started() {
        return current();
      },
      async submit(label, task) {
        const marker = `conformance-task-${label}-${randomBytes(5).toString('hex')}`;
        const whole: Task = {
          id: randomUUID(),
          agent: randomUUID(),
          prompt: `Do what ${label} says.`,
          ...task,
          env: { ...task.env, [MARKER_VARIABLE]: marker },
        };
        const submitted = { label, task: whole, marker, at: Date.now() };
        tasks.push(submitted);
        await current().submit(whole);
        return submitted;
      },
      async cancel(label) {
        const submitted = tasks.find((task) => task.label === label);
        if (submitted === undefined) throw new HarnessError(`no task ${label} was submitted`);
        cancelled.push({ label, at: Date.now() });
        await current().cancel(submitted.task.id);
      },
      async until(accept, deadlineSeconds) {
        const { promise, resolve: found, reject } = Promise.withResolvers<ReturnType<typeof accept>>();
        const look = (): void => {
          try {
            const value = accept();
            if (value !== undefined) found(value);
          } catch (error) {
            reject(error);
          }
        };
        const timer = setTimeout(() => found(undefined), deadlineSeconds * 1000);
        const aborted = (): void => reject(t.signal.reason);
        t.signal.addEventListener('abort', aborted, { once: true });
        listeners.add(look);
        look();
        try {
          return await promise;
        } finally {
          clearTimeout(timer);
          listeners.delete(look);
          t.signal.removeEventListener('abort', aborted);
        }
      },
      async restart() {
        await current().stop();
        return startOnce();
      },
      record: () => ({
        namespace,
        startedAt,
        ...(readiness === undefined ? {} : { readiness }),
        tasks,
        cancelled,
        events,
        objects,
        ...(exit === undefined ? {} : { exit }),
        stalls: [...heartbeat.stalls(), ...waits],
        endedAt: Date.now(),
      }),
    };
    const result = await act(runner);
    const lacked = options.needsNoRoom === true ? undefined : lackedRoom(runner.record(), target.container);
    if (lacked !== undefined) throw new HarnessError(lacked);
    return result;
  } finally {
    await started?.stop();
    await closeAccess?.();
    await Promise.all(recorders.map((recorder) => recorder.close()));
    heartbeat.stop();
    await rm(workFolder, { recursive: true, force: true });
  }
}

/** The same, where nothing can be said of a runner that does not accept work. @throws NotTestable then */
export function withReadyJobRunner<R>(
  t: RequirementContext,
  options: LaunchOptions,
  act: (runner: LaunchedRunner) => Promise<R>,
): Promise<R> {
  return withJobRunner(t, options, (runner) => {
    needsReady(runner);
    return act(runner);
  });
}

/** @throws NotTestable where it does not accept work */
export function needsReady(runner: LaunchedRunner): void {
  const { readiness } = runner.record();
  if (readiness?.ready === true) return;
  const why = readiness === undefined ? 'it said nothing' : readiness.reason;
  throw new NotTestable(`the job runner does not accept work: ${why}${lastWords(runner.events)}`);
}

/** How commands are run in a deployment's pod, which may still be starting. What took long, the runner had to wait for: it is told as a stall. */
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
      ready ??= cluster.podReady(namespace, pod, DEPLOYMENT_SECONDS);
      await ready;
      return await cluster.exec(namespace, pod, container, command);
    } finally {
      const to = Date.now();
      if (to - from > STALL_MS)
        waits.push({
          where: `a command in the pod ${pod}`,
          from: new Date(from).toISOString(),
          to: new Date(to).toISOString(),
        });
    }
  };
}

/** What the scheduler says where nodes are full; that none of them will ever do is another matter. */
const NO_ROOM = /\b(Insufficient [a-z-]+|Too many pods)\b/;

/** A task that ended before its agent ran because the cluster was full, which says nothing of the runner. One that asked for processors itself is left out. */
export function lackedRoom(
  record: Pick<RunnerRecord, 'tasks' | 'events' | 'objects'>,
  container: string,
): string | undefined {
  for (const { task, marker, label } of record.tasks) {
    if (task.resources?.requests?.cpu !== undefined) continue;
    if (!record.events.some((event) => event.type === 'ended' && event.task === task.id)) continue;
    const pods = record.objects.filter(({ kind, markers }) => kind === 'Pod' && markers.includes(marker));
    if (pods.some(({ object }) => hasBegun(object, container))) continue;
    const said = pods.flatMap(({ object }) => unschedulable(object) ?? []).find((message) => NO_ROOM.test(message));
    if (said !== undefined)
      return `the cluster had no room for the pod of the task ${label}, which ended before it ran, so that this says nothing of the runner: ${said} (give the cluster more room, or the pods smaller requests)`;
  }
  return undefined;
}

interface PodStatus {
  conditions?: { type: string; status: string; reason?: string; message?: string }[];
  containerStatuses?: { name: string; state?: { running?: object; terminated?: object } }[];
}

/** True when a pod's agent runs or has run. */
export function hasBegun({ status }: { status?: unknown }, container: string): boolean {
  const { containerStatuses = [] } = (status ?? {}) as PodStatus;
  return containerStatuses.some(
    ({ name, state }) => name === container && (state?.running !== undefined || state?.terminated !== undefined),
  );
}

function unschedulable({ status }: { status?: unknown }): string | undefined {
  const { conditions = [] } = (status ?? {}) as PodStatus;
  return conditions.find(
    ({ type, status: is, reason }) => type === 'PodScheduled' && is === 'False' && reason === 'Unschedulable',
  )?.message;
}

/** Adds the length of an output to what was measured of its task. */
function measure(events: RunnerEvent[], { at, task, text }: Extract<RunnerEvent, { type: 'output' }>): void {
  const known = events.find((event) => event.type === 'output' && event.task === task);
  const bytes = Buffer.byteLength(text);
  if (known?.type === 'output') known.text = String(Number(known.text) + bytes);
  else events.push({ at, type: 'output', task, text: String(bytes) });
}

function lastWords(events: RunnerEvent[]): string {
  const said = events.flatMap((event) => (event.type === 'log' ? [event.text] : [])).slice(-5);
  return said.length === 0 ? '' : `; its last words: ${said.join(' / ')}`;
}

async function driverOf({ start, folder, file }: Target<'job-runner'>): Promise<JobRunnerDriver> {
  if ('command' in start) return jsonLinesDriver(start.command);
  if (!('module' in start)) throw new HarnessError(`${file} starts its runner neither by a command nor by a module`);
  const path = resolve(folder, start.module);
  const module = (await import(/* @vite-ignore */ pathToFileURL(path).href).catch((error: unknown) => {
    throw new HarnessError(`the driver ${path} of ${file} cannot be loaded: ${describeError(error)}`);
  })) as { driver?: JobRunnerDriver };
  if (typeof module.driver?.start !== 'function') {
    throw new HarnessError(`${path} exports no \`driver\` (JobRunnerDriver of harness/roles/job-runner/driver.ts)`);
  }
  return module.driver;
}

export function inNamespace(object: KubernetesObject, namespace: string): KubernetesObject {
  return { ...object, metadata: { ...object.metadata, namespace } };
}

function trimmed(object: KubernetesObject): Pick<ObjectEvent, 'object' | 'markers'> {
  const { managedFields: _, ...metadata } = object.metadata ?? {};
  const secret = object as { data?: Record<string, string>; stringData?: unknown };
  const values = Object.values(secret.data ?? {}).map((value) => Buffer.from(value, 'base64').toString('latin1'));
  const text = [JSON.stringify(object), ...values].join('\n');
  const markers = [...new Set(text.match(MARKER) ?? [])];
  const { data: __, ...rest } = object as KubernetesObject & { data?: unknown };
  return { object: { ...rest, metadata }, markers };
}
