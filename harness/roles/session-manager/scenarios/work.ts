import { createHash, randomBytes } from 'node:crypto';
import type { PolicyRule } from '../../../core/policy-rule.ts';
import type { ApiRecord } from '../../../kubernetes/api-record.ts';
import { whileNoPodsAreMade } from '../../../probes/quotas.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Call, PodInput } from '../driver.ts';
import { observed } from '../evidence.ts';
import { type LaunchedManager, type ManagerRecord, withSessionManager } from '../launch.ts';
import { deletedAt, first, GONE_SECONDS, latest, untilEnded, untilReady } from '../record.ts';
import { takes } from '../target.ts';

/** Arguments that a shell, a query string or a line would change. */
export const ARGUMENTS = [
  "it's",
  'say "hello"',
  'two  words',
  '$HOME `id` $(id)',
  'line\nbreak',
  'ünï ☃ 🎉',
  '-n',
  '*',
  'back\\slash',
  'a&b=c%20d+e',
];

/** Ten MiB and more, of characters that have two and three bytes, so that some lie across any border. */
export const LONG_LINE = 'ünï☃ 0123456789\n';
export const LONG_LINES = 550_000;

/** What is typed to a command. */
export const STDIN = 'first line\nit\'s "the second" ☃\n';

export const LOG_LINES = 30;
export const TAIL_LINES = 5;

/** What the page of the pod `server` says. */
export const PAGE = 'served by name';
const PAGE_PORT = 8080;
const PAGE_TRIES = 10;

/** A command that was run in the pod `agent`. Long output is measured: its digest stands for it. */
export interface ExecSeen {
  call: Call<'exec'>;
  stdout: Digest;
}

export interface Digest {
  bytes: number;
  sha256: string;
  /** The first byte in which it differs from what was sent, from 0; absent where it does not. */
  differsAt?: number;
}

/** Everything that a manager is used for, once, and what came of it. Plain data; a call is looked up by its key. */
export interface WorkRecord extends ManagerRecord {
  image: string;
  secret: string;
  /** What each pod was asked to be. */
  asked: Record<string, PodInput>;
  /** By the names of the steps below; a step of a capability that is not declared is not there. */
  steps: Partial<Record<Step, Call>>;
  execs: Partial<Record<'arguments' | 'streams' | 'success' | 'long' | 'stdin', ExecSeen>>;
  /** Requests at the API server, in the order of their arrival. */
  requests: ApiRecord[];
  /** Audiences that the cluster's API server takes. */
  apiAudiences: string[];
}

export type Step =
  | 'test'
  | 'get'
  | 'list'
  | 'list by label'
  | 'get unknown'
  | 'delete unknown'
  | 'logs unknown'
  | 'exec unknown'
  | 'create without image'
  | 'create malformed'
  | 'create again'
  | 'create over quota'
  | 'logs'
  | 'logs tail'
  | 'create service'
  | 'get service'
  | 'list services'
  | 'page by name'
  | 'delete service'
  | 'get deleted service'
  | 'delete'
  | 'get deleted'
  | 'clean up'
  | 'exec anonymous';

/**
 * Uses a manager in all ways that it declares.
 *
 * @param rules instead of the documented ones of its namespace
 */
export function useManager(t: RequirementContext, purpose: string, rules?: PolicyRule[]): Promise<WorkRecord> {
  return withSessionManager(t, { purpose, ...(rules === undefined ? {} : { rules }) }, async (manager) => {
    const { target, namespace, image } = manager;
    const capabilities = new Set<string>(target.capabilities);
    const secret = `not-to-be-seen-${randomBytes(8).toString('hex')}`;
    const steps: WorkRecord['steps'] = {};
    const execs: WorkRecord['execs'] = {};
    const asked = podsAsked(manager, secret);
    if (capabilities.has('connection-test')) {
      steps.test = await manager.call('testConnection', { namespace });
    }
    if (capabilities.has('pods')) {
      await Promise.all(Object.values(asked).map((pod) => manager.call('createPod', pod)));
      await Promise.all([untilReady(manager, 'agent'), untilReady(manager, 'server'), untilEnded(manager, ['done'])]);
      steps.get = await manager.call('getPod', { name: 'agent', namespace });
      steps.list = await manager.call('listPods', { namespace });
      if (takes(target, 'listPods', 'labelSelector') && takes(target, 'createPod', 'labels')) {
        steps['list by label'] = await manager.call('listPods', { namespace, labelSelector: 'app=server' });
      }
      await faultyRequests(manager, steps, asked);
    }
    if (capabilities.has('logs')) {
      steps.logs = await manager.call('readLogs', { name: 'agent', namespace });
      steps['logs tail'] = await manager.call('readLogs', { name: 'agent', namespace, tailLines: TAIL_LINES });
      steps['logs unknown'] = await manager.call('readLogs', { name: 'unknown', namespace });
    }
    if (capabilities.has('exec')) {
      await runCommands(manager, execs);
      steps['exec anonymous'] = await manager.call(
        'exec',
        { name: 'agent', namespace, command: ['echo', 'anybody'] },
        { anonymous: true },
      );
    }
    if (capabilities.has('services')) {
      await useServices(manager, steps);
    }
    if (capabilities.has('pods')) {
      steps.delete = await manager.call('deletePod', { name: 'done', namespace });
      const isGone = (): true | undefined => (latest(manager.objects, 'Pod', 'done') === undefined ? true : undefined);
      await manager.until(isGone, GONE_SECONDS);
      steps['get deleted'] = await manager.call('getPod', { name: 'done', namespace });
    }
    if (capabilities.has('clean-up')) {
      await untilEnded(manager, ['finished']);
      steps['clean up'] = await manager.call('cleanUp', { namespace, maxAgeMs: 0 });
      await manager.until(() => deletedAt(manager.objects, 'Pod', 'finished'), 1);
    }
    const { apiAudiences } = manager.cluster;
    const requests = await manager.access.records();
    return { ...manager.record(), image, secret, asked, steps, execs, requests, apiAudiences };
  });
}

/** The same of the documented rights, which most rows are evaluated from. */
export function observeWork(t: RequirementContext): Promise<WorkRecord> {
  return observed(t, 'work', () => useManager(t, 'work'));
}

function podsAsked({ namespace, image, target }: LaunchedManager, secret: string): Record<string, PodInput> {
  const labelled = takes(target, 'createPod', 'labels');
  const pod = (name: string, { labels, ...rest }: Partial<PodInput>): PodInput => ({
    ...{ name, namespace, image },
    ...rest,
    ...(labels === undefined || !labelled ? {} : { labels }),
  });
  const { ownerLabel } = target.documented;
  const page = `mkdir -p /tmp/www && echo '${PAGE}' >/tmp/www/index.html && exec busybox httpd -f -p ${PAGE_PORT} -h /tmp/www`;
  return {
    agent: pod('agent', {
      env: { WORKLOAD_LINES: String(LOG_LINES), WORKLOAD_SLEEP_SECONDS: '600', GREETING: `it's "$HOME" ☃` },
      secretEnv: { AGENT_KEY: secret },
      labels: { app: 'agent' },
    }),
    server: pod('server', { command: ['/bin/sh', '-c', page], labels: { app: 'server' } }),
    done: pod('done', { command: ['/bin/sh', '-c'], args: ['echo "$0"; exit 0', ...ARGUMENTS] }),
    finished: pod('finished', { command: ['/bin/true'] }),
    ...(ownerLabel === undefined || !labelled
      ? {}
      : { labelled: pod('labelled', { labels: { [ownerLabel]: 'somebody-else' } }) }),
  };
}

async function faultyRequests(
  manager: LaunchedManager,
  steps: WorkRecord['steps'],
  asked: Record<string, PodInput>,
): Promise<void> {
  const { namespace, image, cluster } = manager;
  steps['get unknown'] = await manager.call('getPod', { name: 'unknown', namespace });
  steps['delete unknown'] = await manager.call('deletePod', { name: 'unknown', namespace });
  steps['create without image'] = await manager.call('createPod', { name: 'incomplete', namespace });
  steps['create malformed'] = await manager.call('createPod', { name: 'Not A Name', namespace, image });
  steps['create again'] = await manager.call('createPod', asked.agent ?? {});
  await whileNoPodsAreMade(cluster, namespace, async () => {
    steps['create over quota'] = await manager.call('createPod', { name: 'surplus', namespace, image });
  });
}

async function runCommands(manager: LaunchedManager, execs: WorkRecord['execs']): Promise<void> {
  const { namespace, target } = manager;
  const run = async (
    command: string[],
    { stdin, expected }: { stdin?: string; expected?: string } = {},
  ): Promise<ExecSeen> => {
    const call = await manager.call('exec', {
      name: 'agent',
      namespace,
      command,
      ...(stdin === undefined ? {} : { stdin }),
    });
    const stdout = String(call.value?.stdout ?? '');
    // Ten MiB are not sent from worker to worker, nor reported.
    if (stdout.length > 10_000) {
      call.value = { ...call.value, stdout: `${stdout.slice(0, 1_000)}…` };
    }
    const differsAt = expected === undefined ? -1 : firstDifference(Buffer.from(expected), Buffer.from(stdout));
    return { call, stdout: { ...digestOf(stdout), ...(differsAt === -1 ? {} : { differsAt }) } };
  };
  execs.arguments = await run(['printf', '[%s]\n', ...ARGUMENTS]);
  execs.streams = await run(['/bin/sh', '-c', 'echo out; echo err >&2; exit 7']);
  execs.success = await run(['true']);
  execs.long = await run(['/bin/sh', '-c', `yes '${LONG_LINE.trimEnd()}' | head -n ${LONG_LINES}`], {
    expected: LONG_LINE.repeat(LONG_LINES),
  });
  if (takes(target, 'exec', 'stdin')) {
    execs.stdin = await run(['cat'], { stdin: STDIN });
  }
}

async function useServices(manager: LaunchedManager, steps: WorkRecord['steps']): Promise<void> {
  const { namespace } = manager;
  const name = 'pages';
  steps['create service'] = await manager.call('createService', {
    name,
    namespace,
    selector: { app: 'server' },
    ports: [{ port: 80, targetPort: PAGE_PORT }],
  });
  steps['get service'] = await manager.call('getService', { name, namespace });
  steps['list services'] = await manager.call('listServices', { namespace });
  if (manager.target.capabilities.includes('exec')) {
    const command = ['wget', '-qO-', `http://${name}/`];
    // A Service that has just been made needs some time until every node sends its traffic, and nothing says when.
    for (let times = 1; times <= PAGE_TRIES; times += 1) {
      steps['page by name'] = await manager.call('exec', { name: 'agent', namespace, command });
      if (String(steps['page by name'].value?.stdout ?? '').includes(PAGE)) {
        break;
      }
      await manager.until(() => undefined, 1);
    }
  }
  steps['delete service'] = await manager.call('deleteService', { name, namespace });
  // Its watch may report that later than the answer comes.
  if (first(manager.objects, 'Service', name) !== undefined) {
    await manager.until(() => deletedAt(manager.objects, 'Service', name), GONE_SECONDS);
  }
  steps['get deleted service'] = await manager.call('getService', { name, namespace });
}

/** The first byte in which one differs from the other, from 0; -1 where they are the same. */
function firstDifference(one: Buffer, other: Buffer): number {
  if (one.equals(other)) {
    return -1;
  }
  const shorter = Math.min(one.length, other.length);
  const at = one.subarray(0, shorter).findIndex((byte, index) => byte !== other[index]);
  return at === -1 ? shorter : at;
}

export function digestOf(text: string): Digest {
  return { bytes: Buffer.byteLength(text), sha256: createHash('sha256').update(text).digest('hex') };
}
