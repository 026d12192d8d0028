import type { KubernetesObject } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import { textOf } from '../../../core/findings.ts';
import type { Target } from '../../../targets/load.ts';
import type { RunnerEvent } from '../driver.ts';
import { lackedRoom, type ObjectEvent, type RunnerRecord, type SubmittedTask } from '../launch.ts';
import type { TasksRecord } from '../scenarios/tasks.ts';
import { boundsLogs, boundsMemory, checksTheClaim, keepsLimits, obeysSigterm, streamsOutput } from './parts.ts';
import {
  keepsJobs,
  keepsToItsOwn,
  leavesNothingRunning,
  quantity,
  reportsEndsOnce,
  runsEachTaskOnce,
  timesOut,
  waitsForTheSilent,
  writesTheSamePod,
} from './tasks.ts';

const START = Date.UTC(2026, 0, 1);
const at = (seconds: number): number => START + seconds * 1000;
const task = (label: string, agent = 'agent'): SubmittedTask => ({
  label,
  marker: `conformance-task-${label}-1`,
  at: at(0),
  task: { id: `${label}-abc`, agent, prompt: 'p' },
});
const seen = (
  second: number,
  type: ObjectEvent['type'],
  kind: ObjectEvent['kind'],
  of: SubmittedTask,
  change: Partial<KubernetesObject> & { spec?: object; status?: object; name?: string } = {},
): ObjectEvent => {
  const { name = `${kind}-${of.label}`, ...rest } = change;
  return { at: at(second), type, kind, markers: [of.marker], object: { metadata: { name, uid: name }, ...rest } };
};
const ended = (
  second: number,
  of: SubmittedTask,
  end: Partial<Extract<RunnerEvent, { type: 'ended' }>>,
): RunnerEvent => ({
  at: at(second),
  type: 'ended',
  task: of.task.id,
  outcome: 'succeeded',
  ...end,
});
const record = (change: Partial<RunnerRecord>): RunnerRecord => ({
  namespace: 'n',
  startedAt: at(0),
  tasks: [],
  cancelled: [],
  events: [],
  objects: [],
  stalls: [],
  endedAt: at(60),
  ...change,
});

test.each([
  ['1000m', 1],
  ['1Gi', 2 ** 30],
  ['1.5', 1.5],
  ['2G', 2e9],
])('the quantity %s', (text, number) => {
  expect(quantity(text)).toBe(number);
});

test('JL-22: a second pod of a task is one too many, and a task without any is one too few', () => {
  const [one, two] = [task('one'), task('two')];
  const objects = [
    seen(1, 'ADDED', 'Job', one),
    seen(1, 'ADDED', 'Pod', one),
    seen(9, 'ADDED', 'Pod', one, { name: 'again' }),
    seen(1, 'ADDED', 'Job', two),
  ];
  expect(runsEachTaskOnce(record({ tasks: [one, two], objects })).map(textOf)).toEqual([
    expect.stringContaining('the task one had 2 pods'),
    expect.stringContaining('the task two had 0 pods'),
  ]);
});

test('JL-25: an end that is told twice, one that is told wrong, and one without its exit code', () => {
  const [first, second, fails] = [task('first'), task('second'), task('fails')];
  const tasks = [first, second, fails];
  const good = [
    ended(1, first, {}),
    ended(1, second, {}),
    ended(1, fails, { outcome: 'failed', reason: 'exit code 7' }),
  ];
  expect(reportsEndsOnce(record({ tasks, events: good }))).toEqual([]);
  const bad = [
    ended(1, first, {}),
    ended(2, first, {}),
    ended(1, second, { outcome: 'failed' }),
    ended(1, fails, { outcome: 'failed' }),
  ];
  expect(reportsEndsOnce(record({ tasks, events: bad }))).toHaveLength(3);
  const masked = [...good.slice(0, 2), ended(1, fails, { outcome: 'failed', exitCode: 1, reason: '7 lines' })];
  expect(reportsEndsOnce(record({ tasks, events: masked }))).toHaveLength(1);
});

test('JL-25a: a silent task that is given up, and one that is told before its end', () => {
  const thinks = task('thinks');
  const judged = (...events: RunnerEvent[]) =>
    waitsForTheSilent(record({ tasks: [thinks], events, objects: [seen(1, 'ADDED', 'Pod', thinks)] }), 45);
  expect(judged(ended(50, thinks, {}))).toEqual([]);
  expect(judged(ended(30, thinks, { outcome: 'timeout' }))).toHaveLength(2);
  expect(judged(ended(30, thinks, {}))).toHaveLength(1);
  expect(judged()).toHaveLength(1);
  const limited = task('thinks-within-its-limit');
  limited.task.timeoutSeconds = 600;
  const both = record({
    tasks: [thinks, limited],
    events: [ended(50, thinks, {}), ended(50, limited, { outcome: 'timeout' })],
    objects: [seen(1, 'ADDED', 'Pod', thinks), seen(1, 'ADDED', 'Pod', limited)],
  });
  expect(waitsForTheSilent(both, 45)).toEqual([expect.stringContaining('the task with a time limit of 600 s')]);
});

test('JL-34, JL-35: output that comes from elsewhere than the log', () => {
  const talks = task('talks');
  const output = (text: string): RunnerEvent => ({ at: at(3), type: 'output', task: talks.task.id, text });
  const seenOutput = (events: RunnerEvent[]) => ({ ...record({ tasks: [talks], events }), lines: 2, logs: [] });
  const target = { container: 'agent', documented: { logLimitBytes: 10 } } as Target<'job-runner'>;
  expect(streamsOutput(seenOutput([output('line 1\nline 2\n')]), target)).toEqual([]);
  expect(streamsOutput(seenOutput([]), target)).toHaveLength(2);
  const end = ended(9, talks, { outcome: 'failed' });
  expect(boundsLogs(seenOutput([output('9'), end]), target)).toEqual([]);
  expect(boundsLogs(seenOutput([output('99'), end]), target)).toHaveLength(1);
  expect(boundsLogs(seenOutput([end]), target)).toEqual(['it read no log']);
});

describe('JL-27', () => {
  const one = task('one');
  const events = [ended(10, one, { outcome: 'failed' })];
  const pod = (second: number, phase: string) => seen(second, 'MODIFIED', 'Pod', one, { status: { phase } });

  test('a pod that waits on is found, one that ends soon is not', () => {
    const waits = record({
      tasks: [one],
      events,
      objects: [seen(1, 'ADDED', 'Pod', one, { status: { phase: 'Pending' } })],
    });
    expect(leavesNothingRunning(waits).map(textOf)).toEqual([
      expect.stringContaining('(Pending) was there after that, to the end'),
    ]);
    const ends = record({ tasks: [one], events, objects: [pod(1, 'Pending'), pod(12, 'Failed')] });
    expect(leavesNothingRunning(ends)).toEqual([]);
  });

  test('what was not looked on for long enough is not judged', () => {
    expect(
      leavesNothingRunning(record({ tasks: [one], events, objects: [pod(1, 'Pending')], endedAt: at(12) })),
    ).toEqual([]);
  });
});

describe('JL-33', () => {
  const tasks = [task('one', 'a'), task('two', 'a')] as const;
  const run = (of: SubmittedTask, from: number, to: number): ObjectEvent[] => [
    seen(from, 'ADDED', 'Pod', of, { status: { phase: 'Pending' } }),
    seen(to, 'MODIFIED', 'Pod', of, { status: { phase: 'Succeeded' } }),
  ];
  const events = tasks.map((each) => ended(9, each, {}));
  const limits = (objects: ObjectEvent[]) =>
    keepsLimits([
      {
        ...record({ tasks: [...tasks], events, objects: objects.toSorted((a, b) => a.at - b.at) }),
        per: 'agent',
        count: 1,
        surplus: 'queued',
        seed: 1,
      },
    ]).map(textOf);

  test('pods one after the other keep it, pods at the same time do not', () => {
    expect(limits([...run(tasks[0], 1, 3), ...run(tasks[1], 4, 6)])).toEqual([]);
    expect(limits([...run(tasks[0], 1, 4), ...run(tasks[1], 3, 6)])).toEqual([
      expect.stringContaining('had 2 pods at once'),
    ]);
  });
});

test('JL-33: an agent for which no Job can be made breaks no limit, but one with a UUID must have one', () => {
  const limits = (agent: string) => {
    const tasks = [task('one', agent), task('two', agent)];
    const events = tasks.map((each) => ended(9, each, { outcome: 'failed' }));
    return keepsLimits([{ ...record({ tasks, events }), per: 'agent', count: 1, surplus: 'refused', seed: 1 }]);
  };
  expect(limits('an agent')).toEqual([]);
  expect(limits('0b1c2d3e-0000-4000-8000-000000000000')).not.toEqual([]);
});

test('JL-29: a time limit is told as one, and not as a success because the pod is gone', () => {
  const late = task('runs-out');
  late.task.timeoutSeconds = 15;
  const objects = [seen(1, 'ADDED', 'Pod', late), seen(46, 'DELETED', 'Pod', late)];
  const judged = (end: Parameters<typeof ended>[2], seenObjects = objects) =>
    timesOut(record({ tasks: [late], events: [ended(50, late, end)], objects: seenObjects }), ', late').map(textOf);
  expect(judged({ outcome: 'timeout' })).toEqual([]);
  expect(judged({ outcome: 'failed', reason: 'DeadlineExceeded: it was active too long' })).toEqual([]);
  const gaveUp = { outcome: 'failed', reason: 'its pod is gone' } as const;
  expect(judged(gaveUp)).toEqual([]);
  expect(timesOut(record({ tasks: [late], events: [ended(50, late, gaveUp)], objects }))).toHaveLength(1);
  expect(judged({ outcome: 'succeeded' })).toEqual([
    'the task with a time limit of 15 s was reported as succeeded, late',
  ]);
  expect(judged({ outcome: 'timeout' }, objects.slice(0, 1))).toEqual([expect.stringContaining('its pod')]);
});

test('JL-30: a Job that is to be kept is there, and nothing will remove it', () => {
  const kept = task('kept');
  const judged = (objects: ObjectEvent[], retainedSeconds?: number) =>
    keepsJobs(record({ tasks: [kept], objects }), [kept], {
      documented: {
        cleanUp: { withinSeconds: 1, retain: 'task', ...(retainedSeconds === undefined ? {} : { retainedSeconds }) },
      },
    } as Target<'job-runner'>).map(textOf);
  const job = (spec: object) => seen(1, 'ADDED', 'Job', kept, { spec });
  expect(judged([job({})])).toEqual([]);
  expect(judged([])).toEqual([expect.stringContaining('it had no Job')]);
  expect(judged([job({}), seen(5, 'DELETED', 'Job', kept)])).toEqual([expect.stringContaining('was deleted')]);
  expect(judged([job({ ttlSecondsAfterFinished: 300 })])).toEqual([expect.stringContaining('is 300')]);
  expect(judged([job({ ttlSecondsAfterFinished: 300 })], 300)).toEqual([]);
  expect(judged([job({ ttlSecondsAfterFinished: 300 })], 3600)).toHaveLength(1);
});

test('JL-35a: memory that grows with the output, and a runner that dies of it', () => {
  const floods = task('floods');
  const MIB = 2 ** 20;
  const ran = { containerStatuses: [{ name: 'agent', state: { running: {} } }] };
  const judged = (most: number, change: Partial<RunnerRecord> = {}) =>
    boundsMemory(
      {
        ...record({
          tasks: [floods],
          objects: [seen(1, 'ADDED', 'Pod', floods, { status: ran })],
          events: [ended(9, floods, {})],
          ...change,
        }),
        lines: 1,
        logs: [],
        printed: 128 * MIB,
        memory: { before: 60 * MIB, most: most * MIB },
      },
      { container: 'agent' } as Target<'job-runner'>,
    ).map(textOf);
  expect(judged(100)).toEqual([]);
  expect(judged(200)).toEqual([expect.stringContaining('from 60 MiB to 200 MiB')]);
  expect(judged(100, { exit: { at: at(5), code: null, signal: 'SIGKILL' }, events: [] })).toHaveLength(2);
  expect(judged(100, { objects: [] })).toEqual(['the task had no pod']);
  expect(judged(100, { objects: [seen(1, 'ADDED', 'Pod', floods)] })).toEqual([
    expect.stringContaining('the agent of the task never ran'),
  ]);
});

test('a runner is not blamed for a cluster that is full, and is for what it makes of it', () => {
  const waits = task('waits');
  const full = (message: string) =>
    seen(1, 'ADDED', 'Pod', waits, {
      status: { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }] },
    });
  const NO_CPU = '0/1 nodes are available: 1 Insufficient cpu.';
  const judged = (objects: ObjectEvent[], events: RunnerEvent[], resources?: object) => {
    const tasks = [{ ...waits, task: { ...waits.task, ...(resources === undefined ? {} : { resources }) } }];
    return lackedRoom(record({ tasks, objects, events }), 'agent');
  };
  const given = [ended(3, waits, { outcome: 'failed', reason: `Pod unschedulable: ${NO_CPU}` })];
  expect(judged([full(NO_CPU)], given)).toContain('no room for the pod of the task waits');
  expect(judged([full('0/3 nodes are available: 3 Too many pods.')], given)).toContain('Too many pods');
  // It asked for so much, its node selector was the fault, it has not ended, it ran after all.
  expect(judged([full(NO_CPU)], given, { requests: { cpu: '1000' } })).toBeUndefined();
  expect(judged([full("0/1 nodes are available: 1 node(s) didn't match Pod's node selector.")], given)).toBeUndefined();
  expect(judged([full(NO_CPU)], [])).toBeUndefined();
  const ran = { containerStatuses: [{ name: 'agent', state: { terminated: { exitCode: 0 } } }] };
  expect(judged([full(NO_CPU), seen(2, 'MODIFIED', 'Pod', waits, { status: ran })], given)).toBeUndefined();
});

test('JL-38: an id that was cut off, and put in lower case, is no difference', () => {
  const uuids = ['0A1B2C3D-1111-4222-8333-444455556666', 'F0E1D2C3-7777-4888-9999-AAAABBBBCCCC'];
  const tasks = ['first', 'second'].map((label, n) => ({
    ...task(label),
    task: { id: uuids[n] ?? '', agent: 'an-agent', prompt: '' },
  }));
  const objects = tasks.map((each) =>
    seen(1, 'ADDED', 'Pod', each, {
      spec: { containers: [{ name: 'agent', args: [each.task.id.toLowerCase().slice(0, 16)] }] },
    }),
  );
  expect(writesTheSamePod(record({ tasks, objects }))).toEqual([]);
});

test('JL-38: ids, hashes and times are no difference; the order of variables is one', () => {
  const [first, second] = [task('first'), task('second')];
  const spec = (of: SubmittedTask, names: string[], image = 'i') => ({
    containers: [{ name: 'agent', image, env: names.map((name) => ({ name, value: of.task.id })) }],
    volumes: [
      { name: 'task', secret: { secretName: `Job-${of.label}` } },
      { name: `h-${of.label === 'first' ? 'deadbeef' : '12345678'}` },
    ],
  });
  const judged = (names: string[], image?: string) =>
    writesTheSamePod(
      record({
        tasks: [first, second],
        objects: [
          seen(1, 'ADDED', 'Job', first),
          seen(1, 'ADDED', 'Job', second),
          seen(1, 'ADDED', 'Pod', first, { spec: spec(first, ['A', 'B']) }),
          seen(1, 'ADDED', 'Pod', second, { spec: spec(second, names, image) }),
        ],
      }),
    );
  expect(judged(['A', 'B'])).toEqual([]);
  expect(judged(['B', 'A'])).toHaveLength(1);
  expect(judged(['A', 'B'], 'other')).toHaveLength(1);
});

describe('JL-31: Jobs that are preserved', () => {
  const target = { documented: { onSigterm: { jobs: 'preserve', withinSeconds: 30 } } } as Target<'job-runner'>;
  const one = task('goes-on');
  const signalled = (events: RunnerEvent[]): Parameters<typeof obeysSigterm>[0] => ({
    ...record({
      tasks: [one],
      events,
      objects: [seen(1, 'ADDED', 'Job', one), seen(25, 'DELETED', 'Job', one)],
    }),
    bystanders: [],
    signalledAt: at(10),
    exitedAt: at(26),
    lookedAt: at(30),
  });

  test('may not be deleted', () => {
    expect(obeysSigterm(signalled([]), target).map(textOf)).toEqual([
      'it documents to preserve its Jobs, and Job-goes-on was deleted 15.0 s after SIGTERM',
    ]);
    expect(obeysSigterm(signalled([ended(24, one, { outcome: 'cancelled' })]), target)).toHaveLength(1);
  });

  test('may be cleaned up when they are done, by a runner that waits for them', () => {
    expect(obeysSigterm(signalled([ended(24, one, {})]), target)).toEqual([]);
  });
});

test('PV-23: a claim that is missing is told of, by a refusal or by a warning that names it', () => {
  const claim = { spec: { accessModes: ['ReadWriteMany'] } };
  const judged = (readiness: NonNullable<RunnerRecord['readiness']>) =>
    checksTheClaim(
      { ...record({}), claim } as unknown as Parameters<typeof checksTheClaim>[0],
      [{ ...record({ readiness }), cause: 'the claim data missing', named: 'data' }],
      { startSeconds: 1 } as Target<'job-runner'>,
    ).map(textOf);
  const ready = (...warnings: string[]) => ({ ready: true as const, at: at(1), warnings });
  expect(judged({ ready: false, at: at(1), reason: 'the claim data is not in the namespace n' })).toEqual([]);
  expect(judged(ready('Could not read PVC "data": persistentvolumeclaims "data" not found (404)'))).toEqual([]);
  expect(judged(ready())).toEqual([expect.stringContaining('it started all the same')]);
  expect(judged(ready('PVC "data" is ReadWriteOnce'))).toHaveLength(1);
  expect(judged({ ready: false, at: at(1), reason: 'something is wrong' })).toHaveLength(1);
});

describe('JL-24', () => {
  const one = task('one');
  const found = (pods: string): string[] => {
    const labels = { managed: 'runner', canary: 'no' };
    const objects = (['Job', 'Pod'] as const).map((kind) =>
      seen(1, 'ADDED', kind, one, { metadata: { uid: kind, labels } }),
    );
    const target = { selectors: { jobs: 'managed=runner', pods } } as Target<'job-runner'>;
    return keepsToItsOwn(
      { ...record({ tasks: [one], objects }), bystanders: ['other'] } as unknown as TasksRecord,
      target,
    ).map(textOf);
  };

  test('a set-based selector finds what it names, and only that', () => {
    expect(found('managed in (runner, other), canary notin (yes)')).toEqual([]);
    expect(found('managed in (another)')).toEqual([expect.stringContaining('is not found by `managed in (another)`')]);
  });
});
