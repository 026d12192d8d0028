/** The requirements of session managers, as functions of what was seen; nothing wrong is an empty list. */

import type { V1Pod } from '@kubernetes/client-node';
import { type Finding, missing, missingIf, presupposing } from '../../harness/core/findings.ts';
import { lastErrorLines, quoting } from '../../harness/core/quotation.ts';
import { tellsOfRefusal } from '../../harness/kubernetes/refusals.ts';
import { type Call, describeCall, isRefusal, isSuccess } from '../../harness/roles/session-manager/driver.ts';
import type { ManagerRecord } from '../../harness/roles/session-manager/launch.ts';
import {
  callsOf,
  deletedAt,
  first,
  hasEnded,
  ownPodOf,
  ranDuring,
} from '../../harness/roles/session-manager/record.ts';
import {
  type CleanUpRecord,
  KEPT_PODS,
  OLD_PODS,
  YOUNGER_SECONDS,
} from '../../harness/roles/session-manager/scenarios/clean-up.ts';
import type {
  BadKubeconfig,
  ConfigurationRecord,
} from '../../harness/roles/session-manager/scenarios/configuration.ts';
import type { ConnectionRecord } from '../../harness/roles/session-manager/scenarios/connection.ts';
import type { FailedCommandsRecord } from '../../harness/roles/session-manager/scenarios/failed-commands.ts';
import type { InClusterRecord } from '../../harness/roles/session-manager/scenarios/in-cluster.ts';
import { AT_ONCE, type ManyRecord } from '../../harness/roles/session-manager/scenarios/many.ts';
import {
  ARGUMENTS,
  type Digest,
  digestOf,
  LOG_LINES,
  LONG_LINE,
  LONG_LINES,
  PAGE,
  STDIN,
  TAIL_LINES,
  type WorkRecord,
} from '../../harness/roles/session-manager/scenarios/work.ts';
import type { HttpTarget } from '../../harness/roles/session-manager/target.ts';

type Documented = HttpTarget['documented'];

/** SM-01 */
export function keepsItsConfiguration(record: ConfigurationRecord): Finding[] {
  const { configuration } = record.target.documented;
  const { initial, configured, changed, startsAgain, afterRestart, listAfterRestart, disabled, namespace, kubeconfig } =
    record;
  const wanted = { enabled: true, namespace, kubeconfig };
  const reports = (call: Call | undefined, what: string, should: Record<string, unknown>): Finding[] => {
    const failures = failed(call, what);
    return failures.length > 0
      ? failures
      : Object.entries(should)
          .filter(([key, value]) => call?.value !== undefined && key in call.value && call.value[key] !== value)
          .map(
            ([key, value]) =>
              `${what}: ${key} is ${JSON.stringify(call?.value?.[key])} (expected: ${JSON.stringify(value)})`,
          );
  };
  return [
    ...reports(initial, 'the initial configuration', configuration),
    ...failed(configured, 'configuring'),
    ...reports(changed, 'the configuration after a change', wanted),
    ...(startsAgain
      ? reports(afterRestart, 'the configuration after a restart', wanted)
      : [
          // One that ended says so; one that was not ready yet may come to it.
          missingIf(record.deaths.length === 0, 'it did not start again with the configuration that it was given'),
        ]),
    ...(listAfterRestart === undefined ? [] : failed(listAfterRestart, 'listing pods after a restart')),
    ...reports(disabled, 'the configuration that was switched off', { enabled: false }),
  ];
}

/** SM-02 */
export function testsItsConnection({ full, none, unreachable }: ConnectionRecord): Finding[] {
  const answered = (call: Call, what: string): Finding[] => {
    const failures: Finding[] =
      call.status === undefined || call.unreadable !== undefined ? [withAnswer(call, what)] : [];
    // A test that failed may be answered by an error, too.
    return failures;
  };
  const isConnected = (call: Call): boolean => isSuccess(call) && call.value?.connected === true;
  return [
    ...answered(full, 'a test with every documented right'),
    ...(isConnected(full) ? [] : [withAnswer(full, 'with every documented right it is not connected')]),
    ...answered(none, 'a test without any right'),
    ...(isConnected(none) ? [withAnswer(none, 'without any right it is connected')] : []),
    ...(isConnected(none) || tellsOfRefusal(none.text)
      ? []
      : [withAnswer(none, 'it does not say that it was refused')]),
    ...answered(unreachable, 'a test while the API server is away'),
    ...(isConnected(unreachable) ? [withAnswer(unreachable, 'while the API server is away it is connected')] : []),
  ];
}

/** SM-07 */
export function answersFailedCommands(record: FailedCommandsRecord): Finding[] {
  return [
    ...record.commands.flatMap(({ what, call, abandoned, next }) => [
      ...(abandoned === true ? [] : answersFailure(record, what, call)),
      ...(String(next.value?.stdout ?? '').includes('still here')
        ? []
        : presupposing(ranDuring(record, 'agent', next), [
            withAnswer(next, `after a command ${what} the next one failed`),
          ])),
    ]),
    ...deaths(record),
  ];
}

/** An error, or what a command that was killed gives: an exit code other than 0. */
function answersFailure(record: ManagerRecord, what: string, call: Call): Finding[] {
  if (call.status === undefined) {
    return [withAnswer(call, `a command ${what} was not answered`)];
  }
  const isTold = isRefusal(call) || (typeof call.value?.exitCode === 'number' && call.value.exitCode !== 0);
  const { name = '' } = call.input as { name?: string };
  // A pod that was to have ended by then may run yet.
  return isTold
    ? []
    : presupposing(name !== 'done' || !runsYet(record, name, call), [
        withAnswer(call, `a command ${what} was answered as a success`),
      ]);
}

/** True when a pod had not been seen to have ended when a call was answered. */
function runsYet({ objects }: ManagerRecord, name: string, { endedAt }: Call): boolean {
  return !objects.some(
    ({ at, kind, object }) =>
      kind === 'Pod' && object.metadata?.name === name && at <= endedAt && hasEnded(object as V1Pod),
  );
}

/** SM-08 */
export function cleansUp({ early, goneEarly, call, gone }: CleanUpRecord): Finding[] {
  const wrong = gone.filter((name) => KEPT_PODS.includes(name) && !goneEarly.includes(name));
  const left = OLD_PODS.filter((name) => !gone.includes(name));
  const count = call.value?.deleted;
  const deleted = gone.length - goneEarly.length;
  // Ages go by when it looks: the young pod is old for one that came to look much later than it was asked.
  const lookedLate = wrong.every((name) => name === 'young') && call.endedAt - call.at > YOUNGER_SECONDS * 1000;
  return [
    ...failed(early, 'a clean-up of pods older than an hour'),
    ...(goneEarly.length > 0
      ? [`asked for pods older than an hour, it deleted younger ones: ${named(goneEarly)}`]
      : []),
    ...failed(call, 'a clean-up'),
    ...(left.length > 0
      ? [
          missingIf(
            // One that says itself how many it deleted will delete no more.
            !(isSuccess(call) && count === deleted),
            `the clean-up should have deleted ${named(left)} (its own, ended, older than the limit); it did not. ` +
              `Expected to be deleted: ${OLD_PODS.join(', ')}; deleted: ${gone.join(', ') || 'none'}`,
          ),
        ]
      : []),
    ...(wrong.length > 0
      ? [missingIf(lookedLate, `the clean-up deleted ${named(wrong)}, which is running, too young, or not its own`)]
      : []),
    ...(isSuccess(call) && count !== undefined && count !== deleted
      ? [
          missingIf(
            Number(count) > deleted,
            `it reports ${JSON.stringify(count)} deleted pods; ${deleted} were deleted`,
          ),
        ]
      : []),
  ];
}

function named(pods: readonly string[]): string {
  return `pod${pods.length === 1 ? '' : 's'} ${pods.map((name) => `\`${name}\``).join(', ')}`;
}

/** SM-11 */
export function survivesBadKubeconfigs(record: ConfigurationRecord): Finding[] {
  return [
    ...withKubeconfigs(
      record,
      'the manager stopped answering',
      ({ answersAfter }) => !answersAfter,
      ({ isLate }) => isLate === true,
    ),
    ...withKubeconfigs(
      record,
      'the manager does not start again',
      ({ startsAgain }) => !startsAgain,
      ({ isLate }) => isLate === true,
    ),
    // A manager that answers nothing is said above; here only this answer is missing.
    ...withKubeconfigs(
      record,
      'the connection test was not answered',
      ({ test, answersAfter }) => answersAfter && test !== undefined && test.status === undefined,
      ({ test }) => test?.late === true,
    ),
    ...withKubeconfigs(record, 'the connection test reports connected', ({ test }) => test?.value?.connected === true),
    ...(record.listAtTheEnd === undefined
      ? []
      : failed(record.listAtTheEnd, 'listing pods with a good kubeconfig again')),
    ...deaths(record),
  ];
}

/**
 * What goes wrong with some of the kubeconfigs that cannot work: one finding that names them.
 *
 * @param isLate it went wrong with this one because something came too late: each time, it may be the machine's fault
 */
function withKubeconfigs(
  { bad }: Pick<ConfigurationRecord, 'bad'>,
  what: string,
  isWrong: (seen: BadKubeconfig) => boolean,
  isLate: (seen: BadKubeconfig) => boolean = () => false,
): Finding[] {
  const wrong = bad.filter(isWrong);
  if (wrong.length === 0) {
    return [];
  }
  const text = `${what}, with ${wrong.length} of ${bad.length} broken kubeconfigs: ${wrong.map((one) => one.what).join('; ')}`;
  return [missingIf(wrong.every(isLate), text)];
}

/** SM-14 */
export function answersManyAtOnce(record: ManyRecord): Finding[] {
  return [
    ...record.execs.flatMap((call, number) => {
      const { exitCode, stdout, stderr } = call.value ?? {};
      const right = exitCode === 0 && stdout === `out-${number}\n` && stderr === `err-${number}\n`;
      return right
        ? []
        : presupposing(ranDuring(record, 'agent', call), [
            withAnswer(call, `of ${AT_ONCE} requests at once: command ${number}`),
          ]);
    }),
    ...record.gets.flatMap((call) => {
      const { name } = call.input;
      const right = name === 'agent' ? isSuccess(call) && call.value?.name === name : isRefusal(call);
      return right
        ? []
        : presupposing(name !== 'agent' || ranDuring(record, 'agent', call), [
            withAnswer(call, `of ${AT_ONCE} requests at once`),
          ]);
    }),
    ...deaths(record),
  ];
}

/** An answer that takes so long met a time limit on its way: the manager’s own to the API server, for example. */
const SLOW_MS = 5_000;

/**
 * What is wrong with a call, and its answer. One that did not come in time, or an error that took long to come, may be
 * the machine's fault.
 */
function withAnswer(call: Call, what: string): Finding {
  const text = quoting(what, describeCall(call), call.status === undefined ? 'The call' : 'It answered');
  const { succeeded, connected } = call.value ?? {};
  const isError = (call.status ?? 0) >= 500 || succeeded === false || connected === false;
  const isSlowError = isError && call.endedAt - call.at > SLOW_MS;
  return call.late === true || isSlowError ? missing(text) : text;
}

/** That its process ended though nobody had asked for it: one finding, whatever the number of calls. */
function deaths({ calls }: ManagerRecord): Finding[] {
  const dead = calls.filter(({ died }) => died !== undefined);
  if (dead.length === 0) {
    return [];
  }
  const how = [...new Set(dead.map(({ died }) => died))].join(', ');
  const during = dead.map(({ operation, input }) =>
    [operation, (input as { name?: string }).name ?? ''].join(' ').trim(),
  );
  return [
    quoting(
      `${how}, during ${dead.length} of ${calls.length} calls: ${[...new Set(during)].join(', ')}`,
      lastErrorLines(dead[0]?.lastOutput ?? []),
    ),
  ];
}

/** What is wrong with a call that should have been a success. */
function failed(call: Call | undefined, what: string): Finding[] {
  if (call === undefined) {
    return [`${what}: it was not asked`];
  }
  return isSuccess(call) ? [] : [withAnswer(call, `${what} did not succeed`)];
}

/** What is wrong with a call that should have been refused, with a status and perhaps certain words. */
function notRefused(
  call: Call | undefined,
  what: string,
  statuses: readonly number[] | undefined,
  words?: RegExp,
): Finding[] {
  if (call === undefined) {
    return [`${what}: it was not asked`];
  }
  if (!isRefusal(call)) {
    return [withAnswer(call, `${what} was not refused`)];
  }
  if (statuses !== undefined && !statuses.includes(call.status ?? 0)) {
    return [withAnswer(call, `${what} was answered ${call.status} (expected: ${statuses.join(' or ')})`)];
  }
  return words === undefined || words.test(call.text) ? [] : [withAnswer(call, `${what}: the answer does not say why`)];
}

/** SM-03 */
export function managesPods(record: WorkRecord): Finding[] {
  const { pod: documented } = record.target.documented;
  const { steps, asked } = record;
  const items = steps.list?.value?.items ?? [];
  const byLabel = steps['list by label']?.value?.items ?? [];
  return [
    ...Object.keys(asked).flatMap((name) => failed(callsOf(record, 'createPod', name)[0], `creating the pod ${name}`)),
    ...Object.values(asked).flatMap(({ name }) => shapeOf(record, name, documented)),
    ...presupposing(ranDuring(record, 'agent', steps.get), [
      ...failed(steps.get, 'getting a pod'),
      ...(isSuccess(steps.get as Call) && (steps.get?.value?.name !== 'agent' || steps.get.value.phase !== 'Running')
        ? [`the pod agent is Running, and was given as ${JSON.stringify(steps.get?.value)}`]
        : []),
    ]),
    ...failed(steps.list, 'listing the pods'),
    ...Object.keys(asked)
      .filter((name) => name !== 'labelled' && !items.some((item) => item.name === name))
      .flatMap((name) =>
        presupposing(steps.list !== undefined && isSuccess(steps.list) && wasThere(record, name, steps.list), [
          `the list of pods lacks ${name}; it has: ${items.map((item) => item.name).join(', ') || 'none'}`,
        ]),
      ),
    ...(steps['list by label'] === undefined ? [] : failed(steps['list by label'], 'listing the pods of a label')),
    ...(steps['list by label'] !== undefined &&
    isSuccess(steps['list by label']) &&
    byLabel.map((item) => item.name).join() !== 'server'
      ? presupposing(wasThere(record, 'server', steps['list by label']), [
          `the list of the pods with app=server has ${byLabel.map((item) => item.name).join(', ') || 'none'}`,
        ])
      : []),
    ...presupposing(wasThere(record, 'done', steps.delete), failed(steps.delete, 'deleting a pod')),
    ...(deletedAt(record.objects, 'Pod', 'done') === undefined ? [missing('the pod done was not deleted')] : []),
  ];
}

/** True when the harness had seen an object of this name when a call was made. */
function wasThere({ objects }: ManagerRecord, name: string, call: Call | undefined): boolean {
  return objects.some(({ at, object }) => object.metadata?.name === name && at <= (call?.at ?? 0));
}

function shapeOf(record: WorkRecord, name: string, documented: Documented['pod']): Finding[] {
  const pod = first(record.objects, 'Pod', name);
  const own = ownPodOf(record, name);
  const wanted = record.asked[name];
  if (pod === undefined || own === undefined || wanted === undefined) {
    return [missing(`the pod ${name} was never there`)];
  }
  const spec = pod.spec as V1Pod['spec'];
  const [asked, ...others] = own.containers;
  // A cluster may put a container of its own before it.
  const container = spec?.containers.find((each) => each.name === asked?.name);
  const labels = { ...documented?.labels, ...wanted.labels };
  const seen: [what: string, is: unknown, should: unknown][] = [
    ['containers', others.length + 1, 1],
    ['the container’s name', container?.name, documented?.container],
    ['restartPolicy', spec?.restartPolicy, documented?.restartPolicy],
    ['the image', asked?.image, wanted.image],
    ['the command', container?.command ?? [], wanted.command ?? []],
    ['the arguments', container?.args ?? [], wanted.args ?? []],
    ['hostPath volumes', (own.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined).length, 0],
    ...Object.entries(wanted.env ?? {}).map(([key, value]): [string, unknown, unknown] => [
      `the variable ${key}`,
      container?.env?.find((variable) => variable.name === key)?.value?.replaceAll('$$', '$'),
      value,
    ]),
    // What a caller may say of the owner's label is a row of its own.
    ...Object.entries(name === 'labelled' ? {} : labels).map(([key, value]): [string, unknown, unknown] => [
      `the label ${key}`,
      pod.metadata?.labels?.[key],
      value,
    ]),
  ];
  return seen
    .filter(([, is, should]) => JSON.stringify(is) !== JSON.stringify(should))
    .map(([what, is, should]) => `pod ${name}: ${what}: ${JSON.stringify(is)}, expected ${JSON.stringify(should)}`);
}

const ALREADY = /already exists/i;
const OVER_QUOTA = /exceeded quota/i;

/** SM-04 */
export function refusesWithReasons(record: WorkRecord): Finding[] {
  const { steps, objects } = record;
  const goneAt = objects.find(({ type, object }) => type === 'DELETED' && object.metadata?.name === 'done')?.at;
  return [
    ...notRefused(steps['create without image'], 'a pod without an image', [400, 422], /image/),
    ...notRefused(steps['create malformed'], 'a pod with the name `Not A Name`', [400, 422], /name/),
    ...(first(objects, 'Pod', 'incomplete') === undefined ? [] : ['a pod was created without an image']),
    ...notRefused(steps['get unknown'], 'getting an unknown pod', [404]),
    ...notRefused(steps['delete unknown'], 'deleting an unknown pod', [404]),
    ...presupposing(
      wasThere(record, 'agent', steps['create again']),
      notRefused(steps['create again'], 'creating a pod whose name is taken', undefined, ALREADY),
    ),
    // Where the harness may make no quotas, nothing is over one.
    ...(steps['create over quota'] === undefined
      ? []
      : notRefused(steps['create over quota'], 'creating a pod that the API server refuses', undefined, OVER_QUOTA)),
    ...presupposing(
      goneAt !== undefined && goneAt <= (steps['get deleted']?.at ?? 0),
      notRefused(steps['get deleted'], 'getting a pod that was deleted', [404]),
    ),
  ];
}

/** SM-05. A line may have a time before it. */
export function servesLogs(record: WorkRecord): Finding[] {
  const { steps } = record;
  const linesOf = (call: Call | undefined): string[] =>
    String(call?.value?.text ?? '')
      .split('\n')
      .filter(Boolean);
  const ends = (lines: string[], from: number): boolean =>
    lines.every((line, index) => line.endsWith(`line ${from + index}`));
  const all = linesOf(steps.logs);
  const tail = linesOf(steps['logs tail']);
  // A pod that runs may have printed the first lines only.
  const isBeginning = all.length < LOG_LINES && ends(all, 1);
  return [
    ...presupposing(ranDuring(record, 'agent', steps.logs), failed(steps.logs, 'reading a log')),
    ...(isSuccess(steps.logs as Call) && (all.length !== LOG_LINES || !ends(all, 1))
      ? [
          missingIf(
            isBeginning,
            `of ${LOG_LINES} lines of the log ${all.length} came: ${all.slice(0, 3).join(' / ')} …`,
          ),
        ]
      : []),
    ...presupposing(
      ranDuring(record, 'agent', steps['logs tail']),
      failed(steps['logs tail'], `reading the last ${TAIL_LINES} lines`),
    ),
    ...(isSuccess(steps['logs tail'] as Call) && (tail.length !== TAIL_LINES || !ends(tail, LOG_LINES - TAIL_LINES + 1))
      ? presupposing(!isBeginning || tail.length > TAIL_LINES, [
          `asked for the last ${TAIL_LINES} lines, ${tail.length} came: ${tail.slice(0, 3).join(' / ')}`,
        ])
      : []),
    ...notRefused(steps['logs unknown'], 'reading the log of an unknown pod', undefined),
  ];
}

/** SM-06 */
export function runsCommands(record: WorkRecord): Finding[] {
  const { execs } = record;
  const { streams, success, long, stdin } = execs;
  const text = (call: Call | undefined, key: string): string => String(call?.value?.[key] ?? '');
  const wanted = `${ARGUMENTS.map((argument) => `[${argument}]`).join('\n')}\n`;
  const longest = digestOf(LONG_LINE.repeat(LONG_LINES));
  const answered = (what: string, seen: { call: Call } | undefined, evaluate: (call: Call) => Finding[]): Finding[] => {
    const failures = failed(seen?.call.value === undefined ? seen?.call : { ...seen.call, value: {} }, what);
    return presupposing(
      seen === undefined || ranDuring(record, 'agent', seen.call),
      failures.length > 0 || seen === undefined ? failures : evaluate(seen.call),
    );
  };
  return [
    ...answered('a command with difficult arguments', execs.arguments, (call) =>
      text(call, 'stdout') === wanted
        ? []
        : [`arguments arrived changed: ${JSON.stringify(text(call, 'stdout'))}, expected ${JSON.stringify(wanted)}`],
    ),
    ...answered('a command that fails', streams, (call) => [
      ...(call.value?.exitCode === 7
        ? []
        : [withAnswer(call, `exit code 7 was reported as ${JSON.stringify(call.value?.exitCode)}`)]),
      ...(text(call, 'stdout').trim() === 'out' && text(call, 'stderr').trim() === 'err'
        ? []
        : [
            `stdout \`out\` and stderr \`err\` came as ${JSON.stringify([text(call, 'stdout'), text(call, 'stderr')])}`,
          ]),
    ]),
    ...answered('a command that succeeds', success, (call) =>
      call.value?.exitCode === 0
        ? []
        : [withAnswer(call, `exit code 0 was reported as ${JSON.stringify(call.value?.exitCode)}`)],
    ),
    ...answered('a command with ten MiB of output', long, () =>
      long?.stdout.sha256 === longest.sha256 ? [] : [describeDifference(long?.stdout, longest.bytes)],
    ),
    ...(stdin === undefined
      ? []
      : answered('a command that reads stdin', stdin, (call) =>
          text(call, 'stdout') === STDIN ? [] : [`stdin came back as ${JSON.stringify(text(call, 'stdout'))}`],
        )),
  ];
}

/** How an output that came otherwise than it was sent differs from it. */
function describeDifference(seen: Digest | undefined, bytes: number): string {
  const sent = `sent ${bytes.toLocaleString('en')} bytes of output, received ${(seen?.bytes ?? 0).toLocaleString('en')}`;
  return seen?.differsAt === undefined
    ? `${sent}, with other content`
    : `${sent}; first difference at byte ${seen.differsAt.toLocaleString('en')}`;
}

/** SM-09 */
export function managesServices(record: WorkRecord): Finding[] {
  const { steps, objects, target } = record;
  const { service: documented } = target.documented;
  const service = first(objects, 'Service', 'pages');
  const [port] = service?.spec?.ports ?? [];
  const seen: [what: string, is: unknown, should: unknown][] =
    service === undefined
      ? []
      : [
          ['the selector', service.spec?.selector, { app: 'server' }],
          ['the type', service.spec?.type, documented.type],
          ['the port', port?.port, 80],
          ['the target port', port?.targetPort, 8080],
          ['the protocol', port?.protocol, documented.protocol],
          ...Object.entries(documented.labels).map(([key, value]): [string, unknown, unknown] => [
            `the label ${key}`,
            service.metadata?.labels?.[key],
            value,
          ]),
        ];
  const items = steps['list services']?.value?.items ?? [];
  const page = steps['page by name'];
  return [
    ...failed(steps['create service'], 'creating a service'),
    ...(service === undefined ? [missing('the service was never there')] : []),
    ...seen
      .filter(([, is, should]) => JSON.stringify(is) !== JSON.stringify(should))
      .map(([what, is, should]) => `${what} of the service: ${JSON.stringify(is)}, expected ${JSON.stringify(should)}`),
    ...presupposing(service !== undefined, [
      ...failed(steps['get service'], 'getting a service'),
      ...failed(steps['list services'], 'listing the services'),
      ...(isSuccess(steps['list services'] as Call) && !items.some(({ name }) => name === 'pages')
        ? ['the list of services lacks the one that was created']
        : []),
      ...failed(steps['delete service'], 'deleting a service'),
    ]),
    // It is tried for some seconds only.
    ...(page !== undefined && !String(page.value?.stdout ?? '').includes(PAGE)
      ? presupposing(false, [withAnswer(page, 'a pod does not reach another by the service’s name')])
      : []),
    ...(deletedAt(objects, 'Service', 'pages') === undefined ? [missing('the service was not deleted')] : []),
    ...presupposing(
      deletedAt(objects, 'Service', 'pages') !== undefined,
      notRefused(steps['get deleted service'], 'getting a service that was deleted', undefined),
    ),
  ];
}

/** SM-10 */
export function keepsItsLabel(record: WorkRecord): Finding[] {
  const { ownerLabel = '', pod } = record.target.documented;
  const [asked] = callsOf(record, 'createPod', 'labelled');
  // One that takes no labels of a caller has its own on every pod.
  const made = first(record.objects, 'Pod', asked === undefined ? 'agent' : 'labelled');
  if (made === undefined) {
    // To refuse is right, too; not to be able to make a pod is not.
    return presupposing(
      asked !== undefined && !isSuccess(asked),
      notRefused(asked, `a pod whose label ${ownerLabel} is a caller’s`, [400, 403, 409, 422]),
    );
  }
  const is = made.metadata?.labels?.[ownerLabel];
  const owner = pod?.labels[ownerLabel];
  if (is === owner) {
    return [];
  }
  return asked === undefined
    ? [`the label \`${ownerLabel}\` of its pods: expected \`${owner}\`, seen \`${is}\``]
    : [
        `a caller asked for another value of the ownership label and got it: on the pod \`labelled\`, ` +
          `\`${ownerLabel}\` is \`${is}\` (expected \`${owner}\`)`,
      ];
}

/** SM-12 */
export function worksInTheCluster({ configured, created, listed, deleted }: InClusterRecord): Finding[] {
  return [
    ...(configured === undefined ? [] : failed(configured, 'configuring it without a kubeconfig')),
    ...failed(created, 'creating a pod'),
    ...failed(listed, 'listing the pods'),
    ...(isSuccess(listed) && !listed.value?.items?.some(({ name }) => name === 'agent')
      ? presupposing(isSuccess(created), ['the list of pods lacks the one that was created'])
      : []),
    ...presupposing(isSuccess(created), failed(deleted, 'deleting a pod')),
  ];
}

/** SM-13 */
export function knowsItsCallers({ steps }: WorkRecord): Finding[] {
  return notRefused(steps['exec anonymous'], 'a command of a caller without credentials', [401, 403]);
}
