import type { CoreV1Event, V1StorageClassList } from '@kubernetes/client-node';
import { expect } from 'vitest';
import {
  DeadlineExceeded,
  describeError,
  expectBefore,
  expectWithin,
  TookTooLong,
  Violation,
} from '../../harness/core/errors.ts';
import { FollowedLog, readLog } from '../../harness/kubernetes/logs.ts';
import { isReady } from '../../harness/kubernetes/pod-status.ts';
import { Recorder } from '../../harness/kubernetes/recorder.ts';
import { START_SECONDS } from '../../harness/probes/pods.ts';
import { requirement } from '../../harness/run/worker/requirement.ts';
import { CronJobs } from './cronjobs.ts';
import {
  ended,
  eventsOf,
  gone,
  IGNORES_TERM,
  jobFixture,
  podsOf,
  RUNS_UNTIL_TERM,
  ranLast,
  SCRIPT,
  scriptPod,
  secondsBetween,
  terminationOf,
  withContainer,
} from './jobs.ts';
import { POD_FAULTS } from './pod-faults.ts';
import { HOUR_MS, lastRecipeSlot, RECIPE_CACHE, runRecipes } from './recipes.ts';
import { expectExit, KILL_SLACK_SECONDS, KILLED, secondsFromTerm, terminate } from './termination.ts';

requirement('JL-01', async (t) => {
  const own = await jobFixture(t, 'jl-01');
  await using jobs = await own.recordJobs();
  await using pods = await own.recordPods();
  const cases = [
    { name: 'jl-01-ok', script: 'exit 0', backoffLimit: 0, end: { type: 'Complete' }, failures: 0 },
    {
      name: 'jl-01-once',
      script: 'exit 1',
      backoffLimit: 0,
      end: { type: 'Failed', reason: 'BackoffLimitExceeded' },
      failures: 1,
    },
    {
      name: 'jl-01-twice',
      script: 'exit 1',
      backoffLimit: 1,
      end: { type: 'Failed', reason: 'BackoffLimitExceeded' },
      failures: 2,
    },
  ];
  for (const { name, script, backoffLimit } of cases) {
    await own.createJob(name, script, { backoffLimit });
  }
  const ends = await Promise.all(cases.map(({ name }) => ended(jobs, name)));
  for (const [index, expected] of cases.entries()) {
    const { name, backoffLimit, failures } = expected;
    const end = ends[index]?.end;
    // The Jobs are watched by another connection, which may be ahead of that of the pods.
    await pods.until(
      (events) => {
        const own = podsOf(events, name);
        const over = own.filter(({ object }) => ['Failed', 'Succeeded'].includes(object.status?.phase ?? ''));
        return over.length === own.length && own.length >= Math.max(1, failures) ? true : undefined;
      },
      { what: `each of ${Math.max(1, failures)} pods of the Job ${name} to be over`, deadlineSeconds: START_SECONDS },
    );
    const seen = podsOf(pods.events, name).map(({ object }) => ({
      pod: object.metadata?.name,
      phase: object.status?.phase,
    }));
    t.evidence(name, { backoffLimit, end, pods: seen });
    expect(end, `the end of ${name}`).toMatchObject(expected.end);
    expect(seen, `pods of ${name} with backoffLimit ${backoffLimit}`).toHaveLength(Math.max(1, failures));
    expect(
      seen.filter(({ phase }) => phase === 'Failed'),
      `failed pods of ${name}`,
    ).toHaveLength(failures);
  }
});

/** Life of a finished Job in seconds, and how long after it the clean-up may take. */
const TTL_SECONDS = 5;
const CLEAN_UP_SECONDS = 30;

requirement('JL-02', async (t) => {
  const own = await jobFixture(t, 'jl-02');
  await using jobs = await own.recordJobs();
  await using pods = await own.recordPods();
  const names = { 'jl-02-complete': 'exit 0', 'jl-02-failed': 'exit 1' };
  for (const [name, script] of Object.entries(names)) {
    await own.createJob(name, script, { backoffLimit: 0, ttlSecondsAfterFinished: TTL_SECONDS });
  }
  await Promise.all(
    Object.keys(names).map(async (name) => {
      const { end } = await ended(jobs, name);
      const jobGone = await gone(jobs, name, TTL_SECONDS + CLEAN_UP_SECONDS);
      const [pod] = podsOf(pods.events, name);
      await gone(pods, pod?.object.metadata?.name ?? '', CLEAN_UP_SECONDS);
      // Both are the cluster's own times: how late the harness sees an event does not matter.
      const deletedAt = new Date(jobGone.object.metadata?.deletionTimestamp ?? jobGone.at);
      const after = secondsBetween(end.at, deletedAt);
      t.evidence(name, { end, deletedAt, secondsAfterTheEnd: after });
      expect(after, `seconds from the end of ${name} to its deletion`).toBeGreaterThanOrEqual(TTL_SECONDS);
    }),
  );
});

const DEADLINE_SECONDS = 3;
const DEADLINE_GRACE_SECONDS = 3;
const DEADLINE_SLACK_SECONDS = 15;

requirement('JL-03', async (t) => {
  const own = await jobFixture(t, 'jl-03');
  await using jobs = await own.recordJobs();
  await using pods = await own.recordPods();
  const names = { 'jl-03-ends-on-term': RUNS_UNTIL_TERM, 'jl-03-ignores-term': IGNORES_TERM };
  for (const [name, script] of Object.entries(names)) {
    await own.createJob(
      name,
      script,
      { backoffLimit: 0, activeDeadlineSeconds: DEADLINE_SECONDS },
      { pod: { terminationGracePeriodSeconds: DEADLINE_GRACE_SECONDS } },
    );
  }
  const latest = DEADLINE_SECONDS + DEADLINE_GRACE_SECONDS + DEADLINE_SLACK_SECONDS;
  await Promise.all(
    Object.keys(names).map(async (name) => {
      const running = await jobs.until(
        (events) => eventsOf(events, name).find(({ object }) => object.status?.startTime !== undefined),
        { what: `Job ${name} to start`, deadlineSeconds: START_SECONDS },
      );
      const startedAt = new Date(running.object.status?.startTime ?? Number.NaN);
      const { end } = await ended(jobs, name);
      const after = secondsBetween(startedAt, end.at);
      t.evidence(name, { startedAt, end, secondsAfterTheStart: after });
      expect(end, `the end of ${name}`).toMatchObject({ type: 'Failed', reason: 'DeadlineExceeded' });
      expect(after, `seconds from the start of ${name} to its end`).toBeGreaterThanOrEqual(DEADLINE_SECONDS);
      expectWithin(`the end of ${name} (deadline + grace + ${DEADLINE_SLACK_SECONDS} s)`, after, latest);
      const stopped = await pods.until(
        (events) =>
          podsOf(events, name).find(({ type, object }) => type === 'DELETED' || terminationOf(object) !== undefined),
        { what: `the pod of ${name} to be stopped`, deadlineSeconds: CLEAN_UP_SECONDS },
      );
      t.evidence(`${name}: its pod`, { type: stopped.type, termination: terminationOf(stopped.object) });
    }),
  );
});

requirement('JL-05', async (t) => {
  const cluster = await t.cluster();
  const own = await jobFixture(t, 'jl-05');
  await using jobs = await own.recordJobs();
  await using pods = await own.recordPods();
  const name = 'jl-05';
  await own.createJob(name, RUNS_UNTIL_TERM, { backoffLimit: 0 });
  const running = await pods.until(
    (events) => podsOf(events, name).find(({ object }) => object.status?.phase === 'Running'),
    { what: `the pod of ${name} to run`, deadlineSeconds: START_SECONDS },
  );
  const deletedAt = new Date();
  const answer = await cluster.request(
    `/apis/batch/v1/namespaces/${own.namespace}/jobs/${name}?propagationPolicy=Background`,
    { method: 'DELETE' },
  );
  expect(answer.status, 'DELETE of the Job').toBe(200);
  await answer.arrayBuffer();
  const jobGone = await gone(jobs, name, CLEAN_UP_SECONDS);
  const podGone = await gone(pods, running.object.metadata?.name ?? '', CLEAN_UP_SECONDS);
  t.evidence('after the deletion in the background', {
    jobGoneAfter: secondsBetween(deletedAt, jobGone.at),
    podGoneAfter: secondsBetween(deletedAt, podGone.at),
  });
});

/** Grace of a pod that ignores SIGTERM, of one that needs some of it, and of one that needs none, in seconds. */
const GRACE = { ignores: 8, cleansUp: 20, ends: 60 } as const;
/** Times in whole seconds: a difference of two of them is off by less than one. */
const ROUNDING_SECONDS = 1;
/** What ends at once is gone long before a grace of a minute has passed. */
const AT_ONCE_SECONDS = 45;
/** Exit code of a process that got to the end of its clean-up: what it printed last may be lost with its pod. */
const CLEANED_UP = 42;

requirement('JL-08', async (t) => {
  const own = await jobFixture(t, 'jl-08');
  // Kubernetes takes `$$` in a command for an escaped `$`.
  const onTerm = (act: string): string =>
    `echo "pid $$$$"; trap 'echo "TERM $(date +%s)"; ${act}' TERM; while :; do sleep 0.2; done`;
  const [ignores, cleansUp, ends] = await Promise.all([
    // One that lives on is there to be read.
    terminate(t, own, 'ignores', { script: onTerm(':'), graceSeconds: GRACE.ignores, saysTerm: true }),
    terminate(t, own, 'cleans-up', { script: onTerm(`sleep 3; exit ${CLEANED_UP}`), graceSeconds: GRACE.cleansUp }),
    terminate(t, own, 'ends', { script: onTerm('exit 0'), graceSeconds: GRACE.ends }),
  ]);
  t.evidence('after deletion', { ignores, cleansUp, ends });
  const lived = secondsFromTerm(ignores);
  expect(ignores.firstLine, 'the process that is told').toBe('pid 1');
  expect(lived, 'seconds that a container lives that ignores SIGTERM').toBeGreaterThanOrEqual(
    GRACE.ignores - ROUNDING_SECONDS,
  );
  expectWithin('its end (grace, and slack)', lived, GRACE.ignores + KILL_SLACK_SECONDS);
  expect(ignores.termination?.exitCode, 'exit code of a container that was killed').toBe(KILLED);
  expectExit('exit code after a clean-up that takes 3 s', cleansUp, CLEANED_UP);
  expectExit('exit code of a container that ends on SIGTERM', ends, 0);
  expectBefore(`a pod is gone that ends at once, of a grace of ${GRACE.ends}`, ends.goneAfter, AT_ONCE_SECONDS);
});

/**
 * A status may take so long: the kubelet looks for evictions every ten seconds, and everything else goes on meanwhile.
 */
const STATUS_SECONDS = 120;

requirement('JL-06', async (t) => {
  const cluster = await t.cluster();
  const own = await jobFixture(t, 'jl-06');
  await using pods = await own.recordPods();
  const unmounted = 'jl-06-mount';
  await using events = await Recorder.open<CoreV1Event>(cluster, `/api/v1/namespaces/${own.namespace}/events`, {
    fieldSelector: `involvedObject.name=${unmounted}`,
    describe: ({ reason, message }) => `${reason}: ${message}`,
    signal: t.signal,
  });
  for (const { name, spec } of POD_FAULTS) {
    await own.createPod(`jl-06-${name}`, spec(own.image));
  }
  await own.createPod(unmounted, {
    ...withContainer(scriptPod(own.image, 'exit 0'), { volumeMounts: [{ name: 'secret', mountPath: '/secret' }] }),
    volumes: [{ name: 'secret', secret: { secretName: 'no-such-secret' } }],
  });
  const results = await Promise.allSettled([
    ...POD_FAULTS.map(async ({ name, told }) => {
      const pod = `jl-06-${name}`;
      const words = await pods.until((seen) => eventsOf(seen, pod).flatMap(({ object }) => told(object) ?? [])[0], {
        what: `the status of pod ${pod} to tell its fault`,
        deadlineSeconds: STATUS_SECONDS,
      });
      t.evidence(name, words);
    }),
    (async () => {
      const failed = await events.until((seen) => seen.find(({ object }) => object.reason === 'FailedMount'), {
        what: `an event FailedMount of pod ${unmounted}`,
        deadlineSeconds: STATUS_SECONDS,
      });
      t.evidence('mount', failed.object.message);
    })(),
  ]);
  const reasons = results.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : []));
  const broken = reasons.find((reason) => !(reason instanceof DeadlineExceeded));
  if (broken !== undefined) {
    throw broken;
  }
  if (reasons.length > 0) {
    throw new TookTooLong(`neither the status nor an event tells: ${reasons.map(describeError).join('; ')}`);
  }
});

/** Lines that a pod prints on demand: a stall of the machine delays some of them, a log that lags all. */
const FOLLOWED_LINES = 5;
const FOLLOW_SECONDS = 2;

/** Prints what it is sent, and answers when it has. */
const PRINTER = `
require('node:http').createServer((request, response) => {
  let text = '';
  request.on('data', (chunk) => { text += chunk; });
  request.on('end', () => process.stdout.write(text === '' ? '' : text + '\\n', () => response.end()));
}).listen(8080);
process.on('SIGTERM', () => process.exit(0));
`;

/** What a pod has printed that is evaluated by its length: three bytes a character, so that a limit falls into one. */
const WIDE_LINE = '€'.repeat(33);
const WIDE_LINES = 2000;

requirement('JL-07', async (t) => {
  const cluster = await t.cluster();
  const own = await jobFixture(t, 'jl-07');
  await using pods = await own.recordPods();
  const [printer, finished] = ['jl-07-prints', 'jl-07-finished'];
  await own.createPod(
    printer,
    withContainer(scriptPod(own.image, ''), {
      command: ['node', '--eval', PRINTER],
      readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
    }),
  );
  await own.createPod(
    finished,
    scriptPod(own.image, `i=0; while [ $i -lt ${WIDE_LINES} ]; do echo "${WIDE_LINE}"; i=$((i+1)); done`),
  );
  await cluster.podReady(own.namespace, printer, START_SECONDS);
  await using followed = FollowedLog.open(cluster, { namespace: own.namespace, pod: printer, container: SCRIPT });
  const lags: number[] = [];
  for (let number = 1; number <= FOLLOWED_LINES; number += 1) {
    const line = `line ${number}`;
    const asked = await cluster.podFetch(own.namespace, printer, 8080, '/', { method: 'POST', body: line });
    expect(asked.status, 'the pod that prints').toBe(200);
    const printedAt = new Date();
    const seen = await followed.line((text) => text === line, {
      what: `"${line}"`,
      deadlineSeconds: STATUS_SECONDS / 4,
    });
    lags.push(secondsBetween(printedAt, seen.at));
  }
  t.evidence('seconds from the print of a line to its sight in a followed log', lags);
  expect(
    followed.lines.map(({ text }) => text),
    'the followed log',
  ).toEqual(Array.from({ length: FOLLOWED_LINES }, (_, index) => `line ${index + 1}`));
  expectBefore(`the best of ${FOLLOWED_LINES} lines in a followed log`, Math.min(...lags), FOLLOW_SECONDS);

  await pods.until((events) => eventsOf(events, finished).find(({ object }) => object.status?.phase === 'Succeeded'), {
    what: `pod ${finished} to end`,
    deadlineSeconds: START_SECONDS,
  });
  const contents = {
    [printer]: Buffer.from(Array.from({ length: FOLLOWED_LINES }, (_, index) => `line ${index + 1}\n`).join('')),
    [finished]: Buffer.from(`${WIDE_LINE}\n`.repeat(WIDE_LINES)),
  };
  for (const [pod, expected] of Object.entries(contents)) {
    const whole = await readLog(cluster, own.namespace, pod, { container: SCRIPT });
    t.evidence(`log of ${pod}`, { status: whole.status, bytes: whole.body.length, expected: expected.length });
    expect(whole.status, `GET of the log of ${pod}`).toBe(200);
    // A lost log file comes back as 200 with the error for a body.
    expect(whole.body.subarray(0, 200).toString(), `the log of ${pod}`).toBe(expected.subarray(0, 200).toString());
    expect(whole.body.equals(expected), `the whole log of ${pod}, byte for byte`).toBe(true);
    for (const limitBytes of [1, 10, 1000, 100_000]) {
      const { body } = await readLog(cluster, own.namespace, pod, { container: SCRIPT, limitBytes });
      expect(body.length, `bytes of the log of ${pod} with limitBytes ${limitBytes}`).toBe(
        Math.min(limitBytes, expected.length),
      );
      expect(body.equals(expected.subarray(0, limitBytes)), `its first ${limitBytes} bytes`).toBe(true);
    }
  }
});

/** Looks a Service's names up as programs do, with the pod's own search list, and prints what it found. */
const LOOKUPS = `
const { lookup } = require('node:dns').promises;
const [service, namespace] = process.argv.slice(1);
const resolvConf = require('node:fs').readFileSync('/etc/resolv.conf', 'utf8');
const search = (/^search (.*)$/m.exec(resolvConf) ?? ['', ''])[1].split(' ');
const domain = search.find((one) => one.startsWith(namespace + '.svc.'));
const names = [service, service + '.' + namespace, service + '.' + namespace + '.svc', ...(domain ? [service + '.' + domain] : [])];
const look = (name) => lookup(name).then(({ address }) => [name, address], ({ code }) => [name, code]);
Promise.all(names.map(look)).then((found) => console.log(JSON.stringify({ domain, search, found: Object.fromEntries(found) })));
`;

/** Codes of a look-up that found nothing, or nobody who answered in time (getaddrinfo, EAI_NONAME and EAI_AGAIN). */
const UNKNOWN: ReadonlySet<string> = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ENODATA']);

interface Lookups {
  /** `NAMESPACE.svc.CLUSTERDOMAIN`, from the pod's search list. */
  domain?: string;
  search: string[];
  /** Address, or the code of the error, by the name that was looked up. */
  found: Record<string, string>;
}

requirement('JL-10', async (t) => {
  const cluster = await t.cluster();
  const own = await jobFixture(t, 'jl-10');
  await using pods = await own.recordPods();
  const [service, pod] = ['jl-10-service', 'jl-10'];
  const made = await cluster.core.createNamespacedService({
    namespace: own.namespace,
    body: { metadata: { name: service }, spec: { selector: { app: 'nobody' }, ports: [{ port: 80 }] } },
  });
  await own.createPod(
    pod,
    withContainer(scriptPod(own.image, ''), { command: ['node', '--eval', LOOKUPS, service, own.namespace] }),
  );
  await pods.until((events) => eventsOf(events, pod).find(({ object }) => terminationOf(object) !== undefined), {
    what: `pod ${pod} to end`,
    deadlineSeconds: START_SECONDS,
  });
  const { body } = await readLog(cluster, own.namespace, pod, { container: SCRIPT });
  const lookups = JSON.parse(body.toString()) as Lookups;
  t.evidence('seen by the pod', { address: made.spec?.clusterIP, ...lookups });
  expect(lookups.domain, `a domain ${own.namespace}.svc.CLUSTERDOMAIN in the pod's search list`).toBeDefined();
  const names = [
    service,
    `${service}.${own.namespace}`,
    `${service}.${own.namespace}.svc`,
    `${service}.${lookups.domain}`,
  ];
  const expected = Object.fromEntries(names.map((name) => [name, made.spec?.clusterIP]));
  const unknown = names.filter((name) => UNKNOWN.has(lookups.found[name] ?? ''));
  const others = Object.entries(lookups.found).filter(([name]) => !unknown.includes(name));
  expect(
    { ...expected, ...Object.fromEntries(others) },
    'the address of the Service by each of its names that is known',
  ).toEqual(expected);
  if (unknown.length > 0) {
    const list = unknown.map((name) => `${name} (${lookups.found[name]})`).join(', ');
    // A name server learns of a Service when it is there, and may be asked before.
    throw new Violation(`no address of the Service by ${list}`, true);
  }
});

/** Where the hour is never the same as in Etc/UTC, nor near it. */
const FAR_ZONE = 'Asia/Tokyo';
const SLOT_SECONDS = 60;
/** A slot that is due is started within so many seconds. */
const DUE_SECONDS = 60;
/** How much later than another's slot a CronJob may still be seen to start its own. */
const LATER_SECONDS = 5;

requirement('JL-04', async (t) => {
  const hour =
    Number(new Intl.DateTimeFormat('en-GB', { hour: 'numeric', timeZone: FAR_ZONE }).format(new Date())) % 24;
  const inFarZone = `* ${hour},${(hour + 1) % 24} * * *`;
  const everyMinute = { schedule: '* * * * *' };
  await using cronJobs = await CronJobs.create(t, {
    forbids: { ...everyMinute, concurrencyPolicy: 'Forbid' },
    allows: { ...everyMinute, concurrencyPolicy: 'Allow' },
    far: { schedule: inFarZone, timeZone: FAR_ZONE },
    utc: { schedule: inFarZone, timeZone: 'Etc/UTC' },
    suspended: { ...everyMinute, suspend: true, successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 1 },
  });
  const [first, , , left] = await Promise.all([
    cronJobs.haveStarted('forbids', 1, DUE_SECONDS),
    cronJobs.haveStarted('allows', 1, DUE_SECONDS),
    cronJobs.haveStarted('far', 1, DUE_SECONDS),
    cronJobs.historyOf('suspended', DUE_SECONDS),
  ]);
  // The CronJob that allows it shows that the next slot has come.
  await cronJobs.haveStarted('allows', 2, SLOT_SECONDS + DUE_SECONDS);
  await cronJobs.haveStarted('forbids', 2, LATER_SECONDS).catch((error: unknown) => {
    if (!(error instanceof DeadlineExceeded)) {
      throw error;
    }
  });
  const started = cronJobs.started();
  t.evidence('Jobs that were started', { ...started, zone: FAR_ZONE, schedule: inFarZone });
  t.evidence('history limit 1, three Jobs of each kind', left);
  expect(started.forbids, 'Jobs of the CronJob with Forbid, whose first one is active').toEqual(first);
  expect(started.utc, `Jobs of the schedule ${inFarZone} in Etc/UTC`).toEqual([]);
  expect(started.suspended, 'Jobs that a suspended CronJob started').toEqual([]);
  expect(left.complete, 'Jobs that are complete and left').toHaveLength(1);
  expect(left.failed, 'Jobs that are failed and left').toHaveLength(1);
});

requirement('JL-09', async (t) => {
  const cluster = await t.cluster();
  await using single = await runRecipes(t, 'recipes', 'configmap', ['only']);
  await using multiple = await runRecipes(t, 'recipes-multiple', 'configmap-multiple-providers', [
    'production',
    'staging',
  ]);
  const job = async (recipes: typeof single, recipe: string, ...words: string[]): Promise<void> => {
    const objects = recipes.load(recipe, 'once', ...words);
    await cluster.create(objects);
    recipes.evaluate(recipe, await recipes.ended(objects.at(-1)?.metadata?.name ?? ''));
  };
  const cronJob = async (): Promise<void> => {
    const objects = single.load('cronjob', 'once', RECIPE_CACHE);
    await cluster.create(objects);
    const name = objects[0]?.metadata?.name ?? '';
    // One slot is missed, not several: across a weekend the controller does not find the last one of many.
    await ranLast(cluster, single.namespace, name, new Date(lastRecipeSlot(new Date()).getTime() - HOUR_MS));
    const started = await single.jobs.until(
      (events) =>
        events.find(({ object }) => object.metadata?.ownerReferences?.some((owner) => owner.name === name))?.object
          .metadata?.name,
      { what: `CronJob ${name} to start the Job of its last slot`, deadlineSeconds: DUE_SECONDS },
    );
    single.evaluate('cronjob', await single.ended(started));
  };
  const deployment = async (): Promise<void> => {
    const objects = single.load('deployment', 'serve');
    await cluster.create(objects);
    const app = objects[0]?.metadata?.name ?? '';
    const ready = await single.pods.until(
      () => {
        const own = [...single.pods.latest().values()].filter(
          ({ type, object }) => type !== 'DELETED' && object.metadata?.labels?.app === app && isReady(object),
        );
        return own.length === 2 ? own.map(({ object }) => object.metadata?.name ?? '') : undefined;
      },
      { what: `two pods of ${app} to be Ready`, deadlineSeconds: START_SECONDS },
    );
    for (const pod of ready) {
      const answer = await cluster.podFetch(single.namespace, pod, 8080, '/');
      expect(answer.status, `the answer of ${pod}`).toBe(200);
      single.evaluate(`deployment, ${pod}`, await answer.text());
    }
  };
  const { items: classes } = (await (
    await cluster.request('/apis/storage.k8s.io/v1/storageclasses')
  ).json()) as V1StorageClassList;
  const hasDefaultClass = classes.some(
    ({ metadata }) => metadata?.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true',
  );
  if (!hasDefaultClass) {
    t.evidence('pvc-cache', 'not run: the cluster has no default StorageClass');
  }
  await Promise.all([
    job(single, 'job'),
    cronJob(),
    deployment(),
    job(multiple, 'multiple-providers'),
    ...(hasDefaultClass ? [job(single, 'pvc-cache', RECIPE_CACHE)] : []),
  ]);
});
