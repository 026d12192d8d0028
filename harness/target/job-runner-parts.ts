/** Parts of a job runner's contract that need a start of their own: faults, limits, ids, prompts, refusals, signals. */

import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { KubernetesObject } from '@kubernetes/client-node';
import fc from 'fast-check';
import type { RequirementContext } from '../run/context.ts';
import { HarnessError, NotTestable } from '../run/errors.ts';
import type { RunnerSettings, Task } from './job-runner.ts';
import {
  jobRunnerTarget,
  type LaunchedRunner,
  type RunnerRecord,
  type SubmittedTask,
  withJobRunner,
  withReadyJobRunner,
} from './job-runner-launch.ts';
import {
  createBystanders,
  ENDLESS,
  endsOf,
  FAULT_SECONDS,
  isRunning,
  jobsOf,
  limitsTasks,
  OVERRIDE,
  podsOf,
  refusalOf,
  SLACK_SECONDS,
  TIME_LIMIT_SECONDS,
} from './job-runner-session.ts';
import type { PodFault } from './job-runner-target.ts';
import type { Target } from './target-file.ts';

/** From submission to end of a task that does nothing, on a small machine that many share. */
const TASK_SECONDS = 90;

const isOver = (runner: Pick<RunnerRecord, 'events'>, task: SubmittedTask): boolean =>
  endsOf(runner, task).length > 0 || refusalOf(runner, task) !== undefined;

const allOver = (runner: LaunchedRunner) => (): true | undefined =>
  runner.tasks.every((task) => isOver(runner, task)) ? true : undefined;

// ---- Faults of pods (JL-26, JL-27)

export interface FaultRecord extends RunnerRecord {
  /** Since when each task cannot succeed. */
  faults: { fault: PodFault; label: string; since: number }[];
}

const NO_SUCH_IMAGE = 'registry.invalid/conformance/none:1';
const NO_SUCH_OBJECT = 'conformance-missing';
const SMALL = { requests: { memory: '32Mi' }, limits: { memory: '64Mi' } };
const TOO_LARGE = { WORKLOAD_MEMORY_MIB: '160' };
/** More than any node has. */
const TOO_MUCH = { requests: { cpu: '1000' }, limits: { cpu: '1000' } };
const RESTRICTED = {
  allowPrivilegeEscalation: false,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

/** Each fault that can be brought about by what the target declares, one task each; the runner is watched until it has reported all. */
export function observeFaults(t: RequirementContext): Promise<FaultRecord[]> {
  return t.sharedByAllFiles('job runner: faults', async () => {
    const target = jobRunnerTarget(t);
    const byTask = withReadyJobRunner(t, { purpose: 'faults' }, (runner) => provokeByTask(t, runner));
    const templates = target.capabilities.includes('pod-template') ? templateFaults(target, await t.agentImage()) : [];
    const byTemplate = templates.map(({ fault, podTemplate, env }) =>
      withReadyJobRunner(t, { purpose: `fault-${fault}`, settings: { podTemplate } }, async (runner) => {
        const { at } = await runner.submit(fault, env === undefined ? {} : { env });
        return untilReported(runner, [{ fault, label: fault, since: at }]);
      }),
    );
    const bySettings = limitsBySettings(target) ? [observeTimeout(t)] : [];
    return Promise.all([byTask, ...byTemplate, ...bySettings]);
  });
}

/** True where one time limit holds for all tasks. */
export function limitsBySettings({ capabilities, documented }: Target<'job-runner'>): boolean {
  return capabilities.includes('timeout') && documented.timeout === 'settings';
}

/** A task that goes on for ever, under settings that give all tasks a time limit. */
export function observeTimeout(t: RequirementContext): Promise<FaultRecord> {
  return t.shared('job runner: time limit of the settings', () =>
    withReadyJobRunner(t, { purpose: 'timeout', settings: { timeoutSeconds: TIME_LIMIT_SECONDS } }, async (runner) => {
      const { at } = await runner.submit('runs-out', { env: ENDLESS });
      return untilReported(runner, [{ fault: 'deadline', label: 'runs-out', since: at + TIME_LIMIT_SECONDS * 1000 }]);
    }),
  );
}

async function provokeByTask(t: RequirementContext, runner: LaunchedRunner): Promise<FaultRecord> {
  const { documented } = runner.target;
  const faults: FaultRecord['faults'] = [];
  const provoke = async (fault: PodFault, task: Partial<Task>): Promise<SubmittedTask> => {
    const submitted = await runner.submit(fault, task);
    faults.push({ fault, label: fault, since: submitted.at });
    return submitted;
  };
  await provoke('image-pull', { image: NO_SUCH_IMAGE });
  if (documented.resources.overriddenBy.includes('task')) {
    await provoke('unschedulable', { resources: TOO_MUCH });
    await provoke('out-of-memory', {
      env: TOO_LARGE,
      resources: SMALL,
    });
  }
  if (limitsTasks(runner.target)) {
    const { at } = await provoke('deadline', { env: { WORKLOAD_SLEEP_SECONDS: '600' }, timeoutSeconds: 3 });
    for (const fault of faults) if (fault.fault === 'deadline') fault.since = at + 3000;
  }
  const evicted = await runner.submit('eviction', { env: { WORKLOAD_SLEEP_SECONDS: '600' } });
  await runner.until(() => isRunning(runner, evicted), TASK_SECONDS);
  const [pod] = podsOf(runner, evicted);
  if (pod !== undefined) {
    t.progress(`evicting ${pod.name}`);
    await runner.cluster.request(`/api/v1/namespaces/${runner.namespace}/pods/${pod.name}/eviction`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name: pod.name, namespace: runner.namespace },
      }),
    });
    faults.push({ fault: 'eviction', label: 'eviction', since: Date.now() });
  }
  return untilReported(runner, faults);
}

async function untilReported(runner: LaunchedRunner, faults: FaultRecord['faults']): Promise<FaultRecord> {
  await Promise.all(
    faults.map(async (entry) => {
      const task = runner.tasks.find(({ label }) => label === entry.label);
      if (task === undefined) return;
      const shown = (): true | undefined =>
        isOver(runner, task) || shownAt(runner, entry.fault, task) !== undefined ? true : undefined;
      await runner.until(shown, TASK_SECONDS);
      // Until then it is the cluster that takes its time.
      entry.since = Math.max(entry.since, shownAt(runner, entry.fault, task) ?? 0);
      const limit = entry.since + (faultSeconds(runner.target, entry.fault) + SLACK_SECONDS) * 1000;
      await runner.until(() => (isOver(runner, task) ? true : undefined), Math.max(0, limit - Date.now()) / 1000);
    }),
  );
  // A pod that is left behind is given the time that it may take.
  const gone = (): true | undefined =>
    runner.tasks.every((task) => podsOf(runner, task).every(({ goneAt }) => goneAt !== undefined)) ? true : undefined;
  await runner.until(gone, SLACK_SECONDS + 1);
  return { ...runner.record(), faults };
}

/** What the pod's status says of each fault when it has happened; of a volume that is missing no more than that the pod has a node. */
const SHOWN: Record<PodFault, RegExp> = {
  'image-pull': /"reason":"(ErrImagePull|ImagePullBackOff)"/,
  unschedulable: /"reason":"Unschedulable"/,
  config: /"reason":"CreateContainerConfigError"/,
  mount: /"type":"PodReadyToStartContainers"|"status":"True","type":"PodScheduled"/,
  init: /"terminated":/,
  'out-of-memory': /"terminated":/,
  deadline: /"deletionTimestamp":/,
  eviction: /"deletionTimestamp":/,
};

function shownAt(runner: LaunchedRunner, fault: PodFault, { marker }: SubmittedTask): number | undefined {
  return runner.objects.find(
    ({ kind, markers, object }) =>
      kind === 'Pod' &&
      markers.includes(marker) &&
      SHOWN[fault].test(JSON.stringify([object.status, { deletionTimestamp: object.metadata?.deletionTimestamp }])),
  )?.at;
}

export function faultSeconds(target: Target<'job-runner'>, fault: PodFault): number {
  return target.documented.faultSeconds[fault] ?? FAULT_SECONDS;
}

function templateFaults(
  { container: name, documented }: Target<'job-runner'>,
  image: string,
): { fault: PodFault; podTemplate: Record<string, unknown>; env?: Record<string, string> }[] {
  const missing = { name: NO_SUCH_OBJECT };
  const byTask = documented.resources.overriddenBy.includes('task');
  return [
    ...(byTask
      ? []
      : ([
          {
            fault: 'unschedulable',
            podTemplate: { nodeSelector: { 'conformance.test/no-such-node': 'true' }, containers: [{ name }] },
          },
          {
            fault: 'out-of-memory',
            podTemplate: { containers: [{ name, resources: SMALL }] },
            env: TOO_LARGE,
          },
        ] as const)),
    {
      fault: 'config',
      podTemplate: {
        containers: [{ name, env: [{ name: 'MISSING', valueFrom: { secretKeyRef: { ...missing, key: 'none' } } }] }],
      },
    },
    {
      fault: 'mount',
      podTemplate: {
        containers: [{ name, volumeMounts: [{ name: 'missing', mountPath: '/missing' }] }],
        volumes: [{ name: 'missing', configMap: missing }],
      },
    },
    {
      fault: 'init',
      podTemplate: {
        containers: [{ name }],
        initContainers: [
          {
            name: 'fails',
            image,
            imagePullPolicy: 'IfNotPresent',
            command: ['/bin/sh', '-c', 'exit 3'],
            securityContext: RESTRICTED,
            resources: { requests: { cpu: '10m', memory: '16Mi' }, limits: { cpu: '100m', memory: '32Mi' } },
          },
        ],
      },
    },
  ];
}

// ---- Refusals at the start (JL-20, JL-21, JL-44)

export interface RefusalRecord extends RunnerRecord {
  /** What stands in the way, in words. */
  cause: string;
  /** What has to be named, as a regular expression. */
  named: string;
}

/** Time in which a runner that said too early that it is ready may still find out. */
const SECOND_THOUGHTS_SECONDS = 20;

/** The runner is started where it cannot do its work, each time for another cause. */
export function observeRefusals(t: RequirementContext): Promise<RefusalRecord[]> {
  return t.sharedByAllFiles('job runner: refusals', () => {
    const target = jobRunnerTarget(t);
    // A runner that is deployed there has to have room itself.
    const own = 'service' in target.start ? (target.manifests?.replicas ?? 1) : 0;
    const quota = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'no-pods' },
      spec: { hard: { pods: String(own) } },
    } as KubernetesObject;
    const refused = (purpose: string, cause: string, named: string, options: object): Promise<RefusalRecord> =>
      withJobRunner(t, { purpose, ...options }, async (runner) => {
        const seen = runner.record().readiness;
        if (seen?.ready === true) await runner.until(() => runner.record().exit, SECOND_THOUGHTS_SECONDS);
        return { ...runner.record(), cause, named };
      });
    const hostNetwork = target.capabilities.includes('pod-template') && target.podSecurity !== 'privileged';
    return Promise.all([
      refused('no-rights', 'it has no rights', 'forbidden|not allowed|cannot|denied|permission|rbac', { rules: [] }),
      refused('no-pods', 'a quota allows no pods', 'quota', { objects: [quota] }),
      ...(hostNetwork
        ? [
            refused(
              'pod-security',
              'Pod Security refuses what its pod template asks for',
              'podsecurity|host namespaces|hostnetwork',
              {
                settings: { podTemplate: { hostNetwork: true, containers: [{ name: target.container }] } },
              },
            ),
          ]
        : []),
    ]);
  });
}

/** The runner is started with settings that contradict one another, and, where it declares to refuse it, with a key that it does not know. */
export function observeBadSettings(t: RequirementContext): Promise<RefusalRecord[]> {
  return t.shared('job runner: bad settings', () => {
    const { contradictions, unknownKeys } = jobRunnerTarget(t).documented;
    const started = (
      purpose: string,
      cause: string,
      named: string,
      extra: Record<string, unknown>,
    ): Promise<RefusalRecord> =>
      withJobRunner(t, { purpose, settings: { extra } }, async (runner) => ({
        ...runner.record(),
        cause,
        named: escaped(named),
      }));
    return Promise.all([
      ...contradictions.map(({ settings, field }, index) =>
        started(`settings-${index}`, `contradicting settings ${JSON.stringify(settings)}`, field, settings),
      ),
      ...(unknownKeys === 'refused'
        ? [
            started('unknown-key', 'an unknown key `conformanceUnknown`', 'conformanceUnknown', {
              conformanceUnknown: true,
            }),
          ]
        : []),
    ]);
  });
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

// ---- Names (JL-23)

export interface IdsRecord extends RunnerRecord {
  seed: number;
}

/** Ids that have broken runners: lengths, cases, cuts, and what no object's name may hold. */
const HARD_IDS = [
  'Task-A',
  'task-a',
  'task a',
  'task_a',
  'task.a',
  '-leading dash',
  'trailing dash-',
  '..',
  'ÄÖÜ-ß',
  'äöü-ß',
  '任务一',
  '任务二',
  '🤖',
  'a/b/c',
  `${'long-'.repeat(39)}ends1`,
  `${'long-'.repeat(39)}ends2`,
  `${'x'.repeat(62)}1`,
  `${'x'.repeat(62)}2`,
];
const RANDOM_IDS = 12;

/**
 * Tasks with ids of every kind, all at once. No pod of theirs is admitted (a quota that comes after the runner's start): what counts is
 * which Jobs there are. Random ids come from fast-check, by the seed that is kept.
 */
export function observeIds(t: RequirementContext): Promise<IdsRecord> {
  return t.shared('job runner: ids', () =>
    withReadyJobRunner(t, { purpose: 'ids' }, async (runner) => {
      const seed = randomBytes(4).readInt32BE();
      const random = fc.sample(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 }), {
        seed,
        numRuns: RANDOM_IDS,
      });
      const ids = [...new Set([...HARD_IDS, ...random.filter((id) => id.trim() !== '')])];
      await runner.cluster.create([
        {
          apiVersion: 'v1',
          kind: 'ResourceQuota',
          metadata: { name: 'no-pods', namespace: runner.namespace },
          spec: { hard: { pods: '0' } },
        } as KubernetesObject,
      ]);
      for (const [index, id] of ids.entries()) await runner.submit(`id-${index}`, { id, agent: id });
      const known = (): true | undefined =>
        runner.tasks.every((task) => jobsOf(runner, task).length > 0 || isOver(runner, task)) ? true : undefined;
      await runner.until(known, TASK_SECONDS);
      const record = { ...runner.record(), seed };
      await runner.started.stop();
      await runner.cluster.request(`/apis/batch/v1/namespaces/${runner.namespace}/jobs?propagationPolicy=Background`, {
        method: 'DELETE',
      });
      return record;
    }),
  );
}

// ---- Limits (JL-33)

export interface LimitRecord extends RunnerRecord {
  per: 'worker' | 'agent';
  count: number;
  surplus: 'refused' | 'queued';
}

const WORKER_LIMIT = 2;
/** Spellings of which a runner may make another one for a label, and then not find it. */
const SPELLINGS = ['Agent-Upper', 'agent with spaces', `${'agent-'.repeat(20)}ü`];

/** Long enough that what is too much would begin meanwhile, also on a machine that is slow. */
const LIMITED_SECONDS = '10';

/** More tasks than a limit lets, submitted at once; for a limit of one an agent also by agents whose ids are no valid labels. */
export function observeLimits(t: RequirementContext): Promise<LimitRecord[]> {
  return t.shared('job runner: limits', () =>
    Promise.all(
      jobRunnerTarget(t).documented.limits.map(({ per, count: declared, surplus, settings: extra }) => {
        const count = declared === 'settings' ? (per === 'worker' ? WORKER_LIMIT : 1) : declared;
        const settings: Partial<RunnerSettings> = {
          ...(per === 'worker' && declared === 'settings' ? { maxConcurrentTasks: count } : {}),
          ...(extra === undefined ? {} : { extra }),
        };
        return withReadyJobRunner(t, { purpose: `limit-${per}`, settings }, async (runner) => {
          const agents =
            per === 'worker' ? Array.from({ length: 2 * count + 1 }, () => randomUUID()) : [randomUUID(), ...SPELLINGS];
          const each = per === 'worker' ? 1 : count + 1;
          const submitted = agents.flatMap((agent, n) =>
            Array.from({ length: each }, (_, again) =>
              runner.submit(`limited-${n}-${again}`, { agent, env: { WORKLOAD_SLEEP_SECONDS: LIMITED_SECONDS } }),
            ),
          );
          await Promise.all(submitted);
          await runner.until(allOver(runner), 2 * TASK_SECONDS);
          return { ...runner.record(), per, count, surplus };
        });
      }),
    ),
  );
}

// ---- Prompts (JL-40)

export interface PromptsRecord extends RunnerRecord {
  seed: number;
  /** Prompts by label: bytes, digest, and the digest that the agent told of what it was given. */
  prompts: { label: string; bytes: number; sha256: string; seen?: string }[];
}

/** What shells, templates and JSON make of a prompt that is not quoted. */
const TRICKY = `it's "quoted" \`ticked\` $HOME \${HOME} $(id) $$ \\n \\ %s \t {{braces}} <xml/> & | ; # !\n\nEOF\n'''\n`;

/** How an agent tells what it was given. */
const DIGEST = /sha256 \S+ ([0-9a-f]{64})/;

/** As long as can be, below 128 KiB with some room for whatever is put around it. */
const NEARLY_128_KIB = 130_000;
const ABOVE = { '256-kib': 262_144, '1-mib': 1_048_576 };

/** Prompts of all lengths, in tricky characters; what the agent got is told by its pod's own log, which the harness reads. */
export function observePrompts(t: RequirementContext): Promise<PromptsRecord> {
  return t.shared('job runner: prompts', () =>
    withReadyJobRunner(t, { purpose: 'prompts' }, async (runner) => {
      const seed = randomBytes(4).readInt32BE();
      const [random = ''] = fc.sample(fc.string({ unit: 'grapheme', minLength: 200, maxLength: 2000 }), {
        seed,
        numRuns: 1,
      });
      const filled = (bytes: number): string => {
        const text = `${TRICKY}${random}`.repeat(Math.ceil(bytes / Buffer.byteLength(TRICKY)));
        // Cut at a whole character.
        return Buffer.from(text)
          .subarray(0, bytes)
          .toString()
          .replace(/\uFFFD+$/, '');
      };
      const texts: Record<string, string> = {
        'one-byte': 'x',
        tricky: `${TRICKY}${random}`,
        'nearly-128-kib': filled(NEARLY_128_KIB),
        ...Object.fromEntries(Object.entries(ABOVE).map(([label, bytes]) => [label, filled(bytes)])),
      };
      for (const [label, prompt] of Object.entries(texts)) {
        await runner.submit(label, {
          prompt,
          env: { WORKLOAD_DIGEST: runner.target.prompt, WORKLOAD_SLEEP_SECONDS: '1' },
        });
      }
      const logs = runner.tasks.map((task) => readLog(runner, task));
      await runner.until(allOver(runner), TASK_SECONDS);
      const prompts = await Promise.all(
        runner.tasks.map(async (submitted, index) => {
          const { label, task } = submitted;
          const log = await logs[index];
          // What the runner gave of the output is the same output.
          const output = runner.events.map((event) =>
            event.type === 'output' && event.task === task.id ? event.text : '',
          );
          const [, seen] = DIGEST.exec(log?.text ?? '') ?? DIGEST.exec(output.join('')) ?? [];
          if (seen === undefined && log?.gone === true && endsOf(runner, submitted)[0]?.exitCode === 0)
            throw new HarnessError(`the log of the task ${label} was gone before the harness could read it`);
          const sha256 = createHash('sha256').update(task.prompt).digest('hex');
          return { label, bytes: Buffer.byteLength(task.prompt), sha256, ...(seen === undefined ? {} : { seen }) };
        }),
      );
      const record = runner.record();
      // Nobody reads a mebibyte in a report.
      const tasks = record.tasks.map((each) => ({
        ...each,
        task: { ...each.task, prompt: `${each.task.prompt.length} characters` },
      }));
      return { ...record, tasks, seed, prompts };
    }),
  );
}

/** The log of a task's agent, followed by the harness itself; empty where it never ran. */
async function logOf(runner: LaunchedRunner, task: SubmittedTask): Promise<string> {
  return (await readLog(runner, task)).text;
}

/** @returns `gone`: the pod had been there, and was deleted before it was asked for */
async function readLog(runner: LaunchedRunner, task: SubmittedTask): Promise<{ text: string; gone: boolean }> {
  await runner.until(
    () =>
      isOver(runner, task) || isRunning(runner, task) || podsOf(runner, task).some(({ last }) => hasRun(last))
        ? true
        : undefined,
    TASK_SECONDS,
  );
  const [pod] = podsOf(runner, task);
  if (pod === undefined) return { text: '', gone: false };
  const query = `container=${runner.target.container}&follow=true`;
  const response = await runner.cluster.request(`/api/v1/namespaces/${runner.namespace}/pods/${pod.name}/log?${query}`);
  return { text: await response.text(), gone: response.status === 404 };
}

function hasRun(object: KubernetesObject): boolean {
  const { phase } = ((object as { status?: unknown }).status ?? {}) as { phase?: string };
  return phase === 'Succeeded' || phase === 'Failed';
}

// ---- Output (JL-34, JL-35)

export interface OutputRecord extends RunnerRecord {
  lines: number;
  /** Requests for the log: when, and how many bytes came back. */
  logs: { at: string; bytes: number; fault?: string }[];
}

const LINES = 14;
const LINE_BYTES = 16;
/** Late enough that a runner which asks again for some seconds back does not begin with the first line. */
const CUT_WITHIN = 'line 9';

/** A task that prints a line a second; the connection by which the runner reads them breaks once, in the middle of a line. */
export function observeOutput(t: RequirementContext): Promise<OutputRecord> {
  return t.shared('job runner: output', () =>
    withReadyJobRunner(t, { purpose: 'output' }, async (runner) => {
      await runner.access.setFaults([{ kind: 'cut-log', resources: ['pods/log'], within: CUT_WITHIN, times: 1 }]);
      await runner.submit('talks', {
        env: { WORKLOAD_LINES: String(LINES), WORKLOAD_LINE_BYTES: String(LINE_BYTES), WORKLOAD_RATE: '1' },
      });
      await runner.until(allOver(runner), TASK_SECONDS);
      return { ...runner.record(), lines: LINES, logs: await logsOf(runner) };
    }),
  );
}

const LONG_LINE_BYTES = 1024;

/** From submission to end of a task that prints without end, on a small machine that many share. */
const FLOOD_SECONDS = 240;

/** A task whose output is three times as long as what the runner reads. */
export function observeLongOutput(t: RequirementContext): Promise<OutputRecord> {
  return t.shared('job runner: long output', () =>
    withReadyJobRunner(t, { purpose: 'long-output', measuredOutput: true }, async (runner) => {
      const lines = Math.ceil((3 * runner.target.documented.logLimitBytes) / LONG_LINE_BYTES);
      await runner.submit('floods', {
        env: {
          WORKLOAD_LINES: String(lines),
          WORKLOAD_LINE_BYTES: String(LONG_LINE_BYTES),
          WORKLOAD_SLEEP_SECONDS: '2',
          WORKLOAD_EXIT_CODE: runner.target.capabilities.includes('stream') ? '0' : '1',
        },
      });
      await runner.until(allOver(runner), TASK_SECONDS);
      return { ...runner.record(), lines, logs: await logsOf(runner) };
    }),
  );
}

// ---- Memory (JL-35a)

export interface MemoryRecord extends OutputRecord {
  /** Bytes that the agent prints. */
  printed: number;
  /** Resident memory of the runner's process in bytes: before the task, and the most while it lasted. */
  memory: { before: number; most: number };
}

/** Far more than a program in whatever language takes for its own work. */
const FLOOD_MIB = 128;
const MEMORY_LOOK_MS = 250;

/** A task that prints very much, while the runner's memory is looked at. @returns undefined where the runner's memory cannot be read */
export function observeMemory(t: RequirementContext): Promise<MemoryRecord | undefined> {
  return t.shared('job runner: memory', () =>
    withReadyJobRunner(t, { purpose: 'memory', measuredOutput: true }, async (runner) => {
      const memory = async (): Promise<number | undefined> => runner.started.memoryBytes?.();
      const before = await memory();
      if (before === undefined) return undefined;
      let most = before;
      const lines = (FLOOD_MIB * 2 ** 20) / LONG_LINE_BYTES;
      const timer = setInterval(() => {
        memory().then(
          (now = 0) => {
            most = Math.max(most, now);
          },
          // One look fewer.
          () => undefined,
        );
      }, MEMORY_LOOK_MS);
      try {
        await runner.submit('floods', {
          env: {
            WORKLOAD_LINES: String(lines),
            WORKLOAD_LINE_BYTES: String(LONG_LINE_BYTES),
            WORKLOAD_EXIT_CODE: runner.target.capabilities.includes('stream') ? '0' : '1',
          },
        });
        await runner.until(
          () => allOver(runner)() ?? (runner.record().exit === undefined ? undefined : true),
          FLOOD_SECONDS,
        );
      } finally {
        clearInterval(timer);
      }
      return {
        ...runner.record(),
        lines,
        logs: await logsOf(runner),
        printed: FLOOD_MIB * 2 ** 20,
        memory: { before, most },
      };
    }),
  );
}

async function logsOf(runner: LaunchedRunner): Promise<OutputRecord['logs']> {
  const records = await runner.access.records();
  return records
    .filter(({ resource, subresource }) => resource === 'pods' && subresource === 'log')
    .map(({ at, bytes, fault }) => ({
      at,
      bytes: bytes ?? 0,
      ...(fault === undefined ? {} : { fault: String(fault) }),
    }));
}

// ---- A bad API server (JL-37)

const OUTLIVING_LINES = 30;

/** When, in seconds from the first fault, what begins. */
const TROUBLES = { cutWatches: 0, expired: 2, outage: 5, submit: 8, busy: 16, end: 19 };
const OUTAGE_SECONDS = 10;

/**
 * A task that prints for half a minute, and one that is submitted in the midst of it, while watches are cut, versions expire, the API server
 * is away for ten seconds and is busy after that.
 */
export function observeTroubles(t: RequirementContext): Promise<OutputRecord> {
  return t.shared('job runner: troubles', () =>
    withReadyJobRunner(t, { purpose: 'troubles' }, async (runner) => {
      const outlives = await runner.submit('outlives', {
        env: { WORKLOAD_LINES: String(OUTLIVING_LINES), WORKLOAD_RATE: '1' },
      });
      await runner.until(() => isRunning(runner, outlives), TASK_SECONDS);
      await runner.access.setFaults([
        { kind: 'cut-watch', afterSeconds: TROUBLES.cutWatches, forSeconds: 1 },
        { kind: 'expired', verbs: ['watch'], afterSeconds: TROUBLES.expired, forSeconds: 2 },
        { kind: 'outage', afterSeconds: TROUBLES.outage, forSeconds: OUTAGE_SECONDS },
        {
          kind: 'too-many-requests',
          afterSeconds: TROUBLES.busy,
          forSeconds: TROUBLES.end - TROUBLES.busy,
          seconds: 1,
        },
      ]);
      await runner.until(() => undefined, TROUBLES.submit);
      await runner.submit('amid', { env: { WORKLOAD_LINES: '3' } });
      await runner.until(allOver(runner), TASK_SECONDS);
      await runner.access.setFaults([]);
      return { ...runner.record(), lines: OUTLIVING_LINES, logs: await logsOf(runner) };
    }),
  );
}

// ---- Signals (JL-31, JL-32)

export interface SignalRecord extends RunnerRecord {
  bystanders: string[];
  signalledAt: number;
  /** What was there when the runner had ended and some seconds had passed. */
  exitedAt?: number;
  lookedAt: number;
  restarted?: { ready: boolean; at: number };
}

/** The agent works on so long after the runner was told to end. */
const WORKS_ON_SECONDS = 12;
const AFTER_EXIT_SECONDS = 4;

/** A runner with a running task, and a Job of somebody else's, is told to end; then it is started again, where it says that it preserves. */
export function observeSignal(t: RequirementContext): Promise<SignalRecord> {
  return t.shared('job runner: signal', () =>
    withReadyJobRunner(t, { purpose: 'signal' }, async (runner) => {
      const { onSigterm, reattaches } = runner.target.documented;
      const task = await runner.submit('goes-on', {
        env: { WORKLOAD_LINES: '2', WORKLOAD_SLEEP_SECONDS: String(WORKS_ON_SECONDS) },
      });
      await runner.until(() => isRunning(runner, task), TASK_SECONDS);
      const job = runner.objects.find(({ kind, markers }) => kind === 'Job' && markers.includes(task.marker));
      const bystanders = job === undefined ? [] : await createBystanders(runner, job.object);
      const signalledAt = Date.now();
      runner.started.signal('SIGTERM');
      const exit = await runner.until(() => runner.record().exit, onSigterm.withinSeconds + SLACK_SECONDS);
      await runner.until(() => undefined, AFTER_EXIT_SECONDS);
      const lookedAt = Date.now();
      let restarted: SignalRecord['restarted'];
      if (onSigterm.jobs === 'preserve' && reattaches && exit !== undefined) {
        const readiness = await runner.restart();
        restarted = { ready: readiness?.ready === true, at: Date.now() };
        await runner.until(allOver(runner), TASK_SECONDS);
      }
      return {
        ...runner.record(),
        bystanders,
        signalledAt,
        ...(exit === undefined ? {} : { exitedAt: exit.at }),
        lookedAt,
        ...(restarted === undefined ? {} : { restarted }),
      };
    }),
  );
}

// ---- Jobs that are kept by the settings (JL-30)

/** A task that succeeds and one that fails, under settings by which their Jobs are kept, until the time for cleaning up has passed. */
export function observeRetained(t: RequirementContext): Promise<RunnerRecord> {
  return t.shared('job runner: retained', () =>
    withReadyJobRunner(t, { purpose: 'retained', settings: { retain: true } }, async (runner) => {
      await runner.submit('succeeds-and-stays', {});
      await runner.submit('fails-and-stays', { env: { WORKLOAD_EXIT_CODE: '7' } });
      await runner.until(allOver(runner), TASK_SECONDS);
      await runner.until(() => undefined, runner.target.documented.cleanUp.withinSeconds);
      return runner.record();
    }),
  );
}

// ---- Resources by the settings (JL-42)

/** A task under settings that override one resource. */
export function observeResourceSettings(t: RequirementContext): Promise<RunnerRecord> {
  return t.shared('job runner: resources', () =>
    withReadyJobRunner(t, { purpose: 'resources', settings: { resources: OVERRIDE } }, async (runner) => {
      await runner.submit('overridden', {});
      await runner.until(allOver(runner), TASK_SECONDS);
      return runner.record();
    }),
  );
}

/** A task under settings that leave all resources to the runner. That its pod is there is enough: a small machine may have no room for it. */
export function observeDefaultResources(
  t: RequirementContext,
  settings: Record<string, unknown>,
): Promise<RunnerRecord> {
  return t.shared('job runner: default resources', () =>
    withReadyJobRunner(t, { purpose: 'defaults', settings: { extra: settings } }, async (runner) => {
      const task = await runner.submit('plain', {});
      await runner.until(
        () => (isOver(runner, task) || podsOf(runner, task).length > 0 ? true : undefined),
        TASK_SECONDS,
      );
      return runner.record();
    }),
  );
}

// ---- Pod template (JL-39)

export const TEMPLATE_SERVICE_ACCOUNT = 'conformance-template';

/** A task under a template that says something of each kind. */
export function observeTemplate(t: RequirementContext): Promise<RunnerRecord> {
  return t.shared('job runner: template', async () => {
    const target = jobRunnerTarget(t);
    const image = await t.agentImage();
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'conformance-template' },
      stringData: { key: 'v' },
    };
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: TEMPLATE_SERVICE_ACCOUNT } };
    const objects = [secret, account] as KubernetesObject[];
    return withReadyJobRunner(
      t,
      { purpose: 'template', objects, settings: { podTemplate: templateOf(target, image) } },
      async (runner) => {
        await runner.submit('templated', { env: { WORKLOAD_PRINT_ENV: 'FROM_TEMPLATE FROM_SECRET' } });
        await runner.until(allOver(runner), TASK_SECONDS);
        return runner.record();
      },
    );
  });
}

function templateOf({ container: name }: Target<'job-runner'>, image: string): Record<string, unknown> {
  return {
    serviceAccountName: TEMPLATE_SERVICE_ACCOUNT,
    automountServiceAccountToken: false,
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    tolerations: [{ key: 'conformance.test/template', operator: 'Exists', effect: 'NoSchedule' }],
    imagePullSecrets: [{ name: 'conformance-pull' }],
    containers: [
      {
        name,
        env: [
          { name: 'FROM_TEMPLATE', value: 'kept' },
          { name: 'FROM_SECRET', valueFrom: { secretKeyRef: { name: 'conformance-template', key: 'key' } } },
        ],
      },
      {
        name: 'conformance-sidecar',
        image,
        imagePullPolicy: 'IfNotPresent',
        command: ['/bin/sh', '-c', 'exit 0'],
        securityContext: RESTRICTED,
        resources: { requests: { cpu: '10m', memory: '16Mi' }, limits: { cpu: '100m', memory: '32Mi' } },
      },
    ],
  };
}

// ---- The deployment's own pod and claim (JL-41, JL-43, PV-20 to PV-25)

export interface DeploymentRecord extends RunnerRecord {
  /** The deployment's pod, as it was created. */
  pod: KubernetesObject;
  /** The claim, as it was seen last; absent where none is shared. */
  claim?: KubernetesObject;
  /** Logs of the agents by the task's label. */
  logs: Record<string, string>;
  /** What an agent wrote on the claim, read from the deployment's pod. */
  readBack?: string;
  written: { fromDeployment: string; fromAgent: string };
}

const DEPLOYMENT_SECONDS = 120;

/** Two agents' tasks beside the runner's own deployment, then a second task of the first agent, in its session. */
export function observeDeployment(t: RequirementContext): Promise<DeploymentRecord> {
  return t.sharedByAllFiles('job runner: deployment', () => {
    const { deployment, capabilities } = jobRunnerTarget(t);
    if (deployment === undefined) {
      throw new NotTestable('the target file declares `inherit`, `shared-claim` or `session`, and has no `deployment`');
    }
    return withDeployment(t, async (runner) => {
      const { pod: name, container, claimMountPath, claim } = deployment;
      const { core } = runner.cluster;
      const pod = await rawPod(runner, name);
      const written = { fromDeployment: randomBytes(8).toString('hex'), fromAgent: randomBytes(8).toString('hex') };
      const exec = (script: string) =>
        runner.cluster.exec(runner.namespace, name, container, ['/bin/sh', '-c', script]);
      if (claimMountPath !== undefined) await exec(`echo ${written.fromDeployment} >${claimMountPath}/from-deployment`);
      const env = {
        WORKLOAD_PRINT_ENV: 'HOME INHERITED_VALUE INHERITED_SECRET INHERITED_MAP',
        WORKLOAD_SLEEP_SECONDS: '1',
        ...(claimMountPath === undefined
          ? {}
          : {
              WORKLOAD_READ: `${claimMountPath}/from-deployment`,
              WORKLOAD_WRITE: `${claimMountPath}/from-agent`,
              WORKLOAD_WRITE_TEXT: written.fromAgent,
            }),
      };
      const first = await runner.submit('first', { agent: 'agent-one', env });
      const other = await runner.submit('other', { agent: 'agent-two', env });
      const logs: DeploymentRecord['logs'] = {};
      await Promise.all(
        [first, other].map(async (task) => {
          logs[task.label] = await logOf(runner, task);
        }),
      );
      await runner.until(allOver(runner), TASK_SECONDS);
      const session = endsOf(runner, first)[0]?.session;
      if (capabilities.includes('session') && session !== undefined) {
        const again = await runner.submit('again', { agent: 'agent-one', session, env });
        logs.again = await logOf(runner, again);
        await runner.until(allOver(runner), TASK_SECONDS);
      }
      const read = claimMountPath === undefined ? undefined : await exec(`cat ${claimMountPath}/from-agent`);
      const seen =
        claim === undefined
          ? undefined
          : await core.readNamespacedPersistentVolumeClaim({ namespace: runner.namespace, name: claim });
      return {
        ...runner.record(),
        pod,
        ...(seen === undefined ? {} : { claim: seen }),
        logs,
        ...(read === undefined ? {} : { readBack: read.stdout.trim() }),
        written,
      };
    });
  });
}

/** A pod as the API server writes it: to be compared with one that a watch told of. */
async function rawPod({ cluster, namespace }: LaunchedRunner, name: string): Promise<KubernetesObject> {
  const response = await cluster.request(`/api/v1/namespaces/${namespace}/pods/${name}`);
  return (await response.json()) as KubernetesObject;
}

/** Starts the runner beside its deployment's pod, which runs by then. */
async function withDeployment<R>(t: RequirementContext, act: (runner: LaunchedRunner) => Promise<R>): Promise<R> {
  const name = jobRunnerTarget(t).deployment?.pod ?? '';
  return withReadyJobRunner(t, { purpose: 'deployment', deployment: {} }, async (runner) => {
    await runner.cluster.podReady(runner.namespace, name, DEPLOYMENT_SECONDS);
    return act(runner);
  });
}

/** The runner is started where the claim of its deployment's pod is missing. */
export function observeMissingClaim(t: RequirementContext): Promise<RefusalRecord[]> {
  return t.shared('job runner: missing claim', async () => {
    const claim = jobRunnerTarget(t).deployment?.claim ?? '';
    const options = { purpose: 'no-claim', deployment: { without: 'PersistentVolumeClaim' } };
    const seen = await withJobRunner(t, options, async (runner) => ({
      ...runner.record(),
      cause: `the claim ${claim} missing`,
      named: escaped(claim),
    }));
    return [seen];
  });
}
