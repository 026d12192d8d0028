import { describe, expect, test } from 'vitest';
import { type Finding, missing, textOf } from '../../harness/core/findings.ts';
import { parseQuantity } from '../../harness/core/quantity.ts';
import type { RunnerEvent } from '../../harness/roles/job-runner/driver.ts';
import {
  type ObjectEvent,
  type RunnerRecord,
  type SubmittedTask,
  together,
} from '../../harness/roles/job-runner/record.ts';
import { at, ended, record, seen, target, task } from '../../harness/roles/job-runner/record-builders.ts';
import type { LimitRecord } from '../../harness/roles/job-runner/scenarios/ids.ts';
import type { PromptsRecord } from '../../harness/roles/job-runner/scenarios/prompts.ts';
import type { CleanUpRecord, ResourcesRecord } from '../../harness/roles/job-runner/scenarios/settings.ts';
import type { TasksRecord } from '../../harness/roles/job-runner/scenarios/tasks.ts';
import { cleansUp, keepsJobs, keepsToItsOwn, namesEveryTask, runsEachTaskOnce } from './job-runner.checks.ts';
import {
  cancels,
  endsWithItsAgent,
  leavesNothingRunning,
  reportsEndsOnce,
  reportsFaults,
  reportsNoInterruptedTaskAsSucceeded,
  stillRunning,
  timesOut,
  timesOutLate,
  waitsForTheSilent,
} from './job-runner-ends.checks.ts';
import {
  boundsLogs,
  boundsMemory,
  givesLinesWhole,
  streamsOutput,
  survivesDisruptions,
} from './job-runner-output.checks.ts';
import { appliesResources, deliversPrompts, mergesTemplate, writesTheSamePod } from './job-runner-pods.checks.ts';
import {
  keepsLimits,
  obeysSigterm,
  provesFirst,
  refusesToStart,
  takesUp,
  watchesRatherThanPolls,
} from './job-runner-process.checks.ts';

test.each([
  ['1000m', 1],
  ['1Gi', 2 ** 30],
  ['1.5', 1.5],
  ['2G', 2e9],
])('the quantity %s', (text, number) => {
  expect(parseQuantity(text)).toBe(number);
});

test('JL-22: a second pod of a task is one too many, and a task without any is one too few', () => {
  const [one, two] = [task('one'), task('two')];
  const objects = [
    seen(1, 'ADDED', 'Job', one),
    seen(1, 'ADDED', 'Pod', one),
    seen(9, 'ADDED', 'Pod', one, { name: 'again' }),
    seen(1, 'ADDED', 'Job', two),
  ];
  const tasks = record({ tasks: [one, two], objects });
  expect(runsEachTaskOnce({ tasks, interrupted: [] }).map(textOf)).toEqual([
    expect.stringContaining('the task one had 2 pods'),
    expect.stringContaining('the task two had 0 pods'),
  ]);
  // A task that was to be evicted and had no pod was refused one for another reason.
  expect(runsEachTaskOnce({ tasks: record({}), interrupted: [tasks] }).map(textOf)).toEqual([
    expect.stringContaining('the task one had 2 pods'),
  ]);
});

test('JL-22: an agent that is started again in its pod ran twice, though the pod is one', () => {
  const fails = task('fails');
  const pod = (second: number, restartCount: number) =>
    seen(second, 'MODIFIED', 'Pod', fails, { status: { containerStatuses: [{ name: 'agent', restartCount }] } });
  const job = seen(1, 'ADDED', 'Job', fails);
  const found = (...pods: ObjectEvent[]) =>
    runsEachTaskOnce({
      tasks: record({ tasks: [fails], objects: [job, seen(1, 'ADDED', 'Pod', fails), ...pods] }),
      interrupted: [],
    });
  expect(found(pod(2, 0))).toEqual([]);
  expect(found(pod(2, 1), pod(3, 0))).toEqual([expect.stringContaining('was started 2 times in its pod')]);
});

test('JL-25: an end that is reported twice, one that is reported wrong, and one without its exit code', () => {
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

test('JL-25a: a silent task that is given up, and one that is reported before its end', () => {
  const thinks = task('thinks');
  const found = (...events: RunnerEvent[]) =>
    waitsForTheSilent(record({ tasks: [thinks], events, objects: [seen(1, 'ADDED', 'Pod', thinks)] }));
  expect(found(ended(50, thinks, {}))).toEqual([]);
  expect(found(ended(30, thinks, { outcome: 'timeout' }))).toHaveLength(2);
  expect(found(ended(30, thinks, {}))).toHaveLength(1);
  expect(found()).toHaveLength(1);
  const limited = task('thinks-within-its-limit');
  limited.task.timeoutSeconds = 600;
  const both = record({
    tasks: [thinks, limited],
    events: [ended(50, thinks, {}), ended(50, limited, { outcome: 'timeout' })],
    objects: [seen(1, 'ADDED', 'Pod', thinks), seen(1, 'ADDED', 'Pod', limited)],
  });
  expect(waitsForTheSilent(both).map(textOf)).toEqual([expect.stringContaining('the task with a time limit of 600 s')]);
});

test('JL-34, JL-35: output that comes from elsewhere than the log', () => {
  const talks = task('talks');
  const output = (text: string): RunnerEvent => ({ at: at(3), type: 'output', task: talks.task.id, text });
  const limited = target({ documented: { logLimitBytes: 10 } });
  const observed = (events: RunnerEvent[], bytes = 0) => ({
    ...record({ target: limited, tasks: [talks], events, outputBytes: { [talks.task.id]: bytes } }),
    lines: 2,
    logs: [],
  });
  expect(streamsOutput(observed([output('line 1\nline 2\n')]))).toEqual([]);
  expect(streamsOutput(observed([]))).toHaveLength(2);
  const end = ended(9, talks, { outcome: 'failed' });
  expect(boundsLogs(observed([end], 9))).toEqual([]);
  expect(boundsLogs(observed([end], 99))).toEqual(['it gave 99 bytes of output; documented are 10']);
  expect(boundsLogs(observed([end]))).toContainEqual(missing('it read no log'));
});

describe('JL-27', () => {
  const one = task('one');
  const events = [ended(10, one, { outcome: 'failed' })];
  const ends = (tasks: RunnerRecord) => ({ ...together(target(), [tasks]), tasks: tasks, faults: [] });
  const pod = (second: number, phase: string) => seen(second, 'MODIFIED', 'Pod', one, { status: { phase } });

  test('a pod that waits on is found, one that ends soon is not', () => {
    const waits = record({
      tasks: [one],
      events,
      objects: [seen(1, 'ADDED', 'Pod', one, { status: { phase: 'Pending' } })],
    });
    expect(leavesNothingRunning(ends(waits)).map(textOf)).toEqual([
      expect.stringContaining('(Pending) was there after that, to the end'),
    ]);
    const ended = record({ tasks: [one], events, objects: [pod(1, 'Pending'), pod(12, 'Failed')] });
    expect(leavesNothingRunning(ends(ended))).toEqual([]);
  });

  test('a pod that was not watched for long enough is not evaluated', () => {
    const short = record({ tasks: [one], events, objects: [pod(1, 'Pending')], endedAt: at(12) });
    expect(leavesNothingRunning(ends(short))).toEqual([]);
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
    keepsLimits(
      together<LimitRecord>(target(), [
        {
          ...record({ tasks: [...tasks], events, objects: objects.toSorted((a, b) => a.at - b.at) }),
          per: 'agent',
          count: 1,
          surplus: 'queued',
          seed: 1,
        },
      ]),
    ).map(textOf);

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
    const limit = { per: 'agent', count: 1, surplus: 'refused', seed: 1 } as const;
    return keepsLimits(together<LimitRecord>(target(), [{ ...record({ tasks, events }), ...limit }]));
  };
  expect(limits('an agent')).toEqual([]);
  expect(limits('0b1c2d3e-0000-4000-8000-000000000000')).not.toEqual([]);
});

test('JL-29: a time limit is reported as one, and not as a success because the pod is gone', () => {
  const late = task('runs-out');
  late.task.timeoutSeconds = 15;
  const objects = [seen(1, 'ADDED', 'Pod', late), seen(46, 'DELETED', 'Pod', late)];
  const limits = (end: Parameters<typeof ended>[2], seenObjects = objects) => {
    const inTime = record({ tasks: [late], events: [ended(50, late, end)], objects: seenObjects });
    return { ...together(target(), [inTime]), inTime, late: inTime };
  };
  const found = (...given: Parameters<typeof limits>) => timesOutLate(limits(...given)).map(textOf);
  expect(found({ outcome: 'timeout' })).toEqual([]);
  expect(found({ outcome: 'failed', reason: 'DeadlineExceeded: it was active too long' })).toEqual([]);
  const gaveUp = { outcome: 'failed', reason: 'its pod is gone' } as const;
  expect(found(gaveUp)).toEqual([]);
  expect(timesOut(limits(gaveUp))).toHaveLength(1);
  expect(found({ outcome: 'succeeded' })).toEqual([
    expect.stringContaining('the task with a time limit of 15 s was reported as succeeded, when its pod was gone'),
  ]);
  expect(found({ outcome: 'timeout' }, objects.slice(0, 1))).toEqual([expect.stringContaining('its pod')]);
});

test('JL-30: a Job that is to be kept is there, and nothing will remove it', () => {
  const kept = task('kept');
  const found = (objects: ObjectEvent[], retainedSeconds?: number) =>
    keepsJobs(
      record({
        target: target({ documented: { cleanUp: { withinSeconds: 1, retain: 'task', retainedSeconds } } }),
        tasks: [kept],
        objects,
      }),
      [kept],
    ).map(textOf);
  const job = (spec: object) => seen(1, 'ADDED', 'Job', kept, { spec });
  expect(found([job({})])).toEqual([]);
  expect(found([])).toEqual([expect.stringContaining('it had no Job')]);
  expect(found([job({}), seen(5, 'DELETED', 'Job', kept)])).toEqual([expect.stringContaining('was deleted')]);
  expect(found([job({ ttlSecondsAfterFinished: 300 })])).toEqual([expect.stringContaining('is 300')]);
  expect(found([job({ ttlSecondsAfterFinished: 300 })], 300)).toEqual([]);
  expect(found([job({ ttlSecondsAfterFinished: 300 })], 3600)).toHaveLength(1);
});

test('JL-35a: memory that grows with the output, and a runner that dies of it', () => {
  const floods = task('floods');
  const MIB = 2 ** 20;
  const ran = { containerStatuses: [{ name: 'agent', state: { running: {} } }] };
  const found = (most: number, change: Partial<RunnerRecord> = {}) =>
    boundsMemory({
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
    }).map(textOf);
  expect(found(100)).toEqual([]);
  expect(found(200)).toEqual([expect.stringContaining('from 60 MiB to 200 MiB')]);
  expect(found(100, { exit: { at: at(5), code: null, signal: 'SIGKILL' }, events: [] })).toHaveLength(2);
  expect(found(100, { objects: [] })).toEqual(['the task had no pod']);
  expect(found(100, { objects: [seen(1, 'ADDED', 'Pod', floods)] })).toEqual([
    expect.stringContaining('the agent of the task never ran'),
  ]);
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
  const found = (names: string[], image?: string) =>
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
  expect(found(['A', 'B'])).toEqual([]);
  expect(found(['B', 'A'])).toHaveLength(1);
  expect(found(['A', 'B'], 'other')).toHaveLength(1);
});

describe('what a cluster makes of a pod is not the runner’s doing', () => {
  const [first, second] = [task('first'), task('second')];
  const agent = { name: 'agent', image: 'i', resources: { limits: { cpu: '1' } } };
  const ofJob = (of: SubmittedTask, container: object = agent) =>
    seen(1, 'ADDED', 'Job', of, { spec: { template: { spec: { containers: [container] } } } });
  const admitted = (of: SubmittedTask, containers: object[]) => seen(2, 'ADDED', 'Pod', of, { spec: { containers } });

  test('JL-38: a webhook puts another container into each pod', () => {
    const mesh = (id: string) => ({ name: 'mesh', env: [{ name: 'ID', value: id }] });
    const objects = [
      ofJob(first),
      ofJob(second),
      admitted(first, [agent, mesh('one')]),
      admitted(second, [mesh('other'), agent]),
    ];
    expect(writesTheSamePod(record({ tasks: [first, second], objects }))).toEqual([]);
  });

  test('JL-42: defaults of a LimitRange, and limits that a policy changed', () => {
    const documented = { limits: { cpu: '1' }, overriddenBy: [] };
    const found = (asked: object, given: object) => {
      const tasks = record({
        target: target({ documented: { resources: documented } }),
        tasks: [first],
        objects: [ofJob(first, { ...agent, resources: asked }), admitted(first, [{ ...agent, resources: given }])],
      });
      return appliesResources({ target: tasks.target, tasks } as unknown as ResourcesRecord);
    };
    expect(found({ limits: { cpu: '1' } }, { limits: { cpu: '250m' } })).toEqual([]);
    expect(found({}, { limits: { cpu: '1' } })).toEqual(['the task first: limits.cpu is not set, not 1']);
  });
});

describe('JL-31: Jobs that are preserved', () => {
  const preserves = target({ documented: { onSigterm: { jobs: 'preserve', withinSeconds: 30 } } });
  const one = task('goes-on');
  const signalled = (events: RunnerEvent[]): Parameters<typeof obeysSigterm>[0] => ({
    ...record({
      target: preserves,
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
    expect(obeysSigterm(signalled([])).map(textOf)).toEqual([
      'documented: it keeps its Jobs when it is terminated; Job-goes-on was deleted 15.0 s after SIGTERM',
    ]);
    expect(obeysSigterm(signalled([ended(24, one, { outcome: 'cancelled' })]))).toHaveLength(1);
  });

  test('may be kept or deleted by a runner that documents nothing, which has as long as a pod', () => {
    const undocumented = target({ documented: { onSigterm: { jobs: 'undocumented' } } });
    const observed = { ...signalled([]), target: undocumented };
    expect(obeysSigterm(observed)).toEqual([]);
    expect(obeysSigterm({ ...observed, exitedAt: at(45) }).map(textOf)).toEqual([
      'it ended 35.0 s after SIGTERM (a pod has 30 s)',
    ]);
  });

  test('may be cleaned up when they are done, by a runner that waits for them', () => {
    expect(obeysSigterm(signalled([ended(24, one, {})]))).toEqual([]);
  });
});

describe('JL-24', () => {
  const one = task('one');
  const found = (pods: string): string[] => {
    const labels = { managed: 'runner', canary: 'no' };
    const objects = (['Job', 'Pod'] as const).map((kind) =>
      seen(1, 'ADDED', kind, one, { metadata: { uid: kind, labels } }),
    );
    const selected = target({ selectors: { jobs: 'managed=runner', pods } });
    const observed = { ...record({ target: selected, tasks: [one], objects }), bystanders: ['other'] };
    return keepsToItsOwn(observed as unknown as TasksRecord).map(textOf);
  };

  test('a set-based selector finds what it names, and only that', () => {
    expect(found('managed in (runner, other), canary notin (yes)')).toEqual([]);
    expect(found('managed in (another)')).toEqual([expect.stringContaining('is not found by `managed in (another)`')]);
  });
});

describe('JL-45', () => {
  const evicted = task('evicted');
  const ran = { containerStatuses: [{ name: 'agent', state: { terminated: { exitCode: 0 } } }] };
  const found = (...events: RunnerEvent[]) => {
    const objects = [seen(1, 'ADDED', 'Pod', evicted, { status: ran })];
    const interrupted = [{ label: 'evicted', by: 'eviction' as const }];
    const observed = { ...record({ tasks: [evicted], objects, events }), interrupted, notTried: [] };
    return reportsNoInterruptedTaskAsSucceeded(together(target(), [observed])).map(textOf);
  };

  test('a success is wrong, and no report at all', () => {
    expect(found(ended(9, evicted, { outcome: 'failed', exitCode: 0 }))).toEqual([]);
    expect(found(ended(9, evicted, { outcome: 'cancelled' }))).toEqual([]);
    expect(found(ended(9, evicted, {}))).toEqual([
      'the task evicted, whose agent ended with 0 on SIGTERM (eviction), was reported as succeeded',
    ]);
    expect(found()).toEqual([expect.stringContaining('was never reported as ended')]);
  });

  test('is not met by nothing', () => {
    expect(reportsNoInterruptedTaskAsSucceeded(together(target(), []))).toHaveLength(1);
  });
});

describe('JL-46', () => {
  const [succeeds, fails] = [task('succeeds'), task('fails')];
  const tasks = [succeeds, fails];
  const agentEnds = (of: SubmittedTask, exitCode: number): ObjectEvent =>
    seen(10, 'MODIFIED', 'Pod', of, {
      status: { containerStatuses: [{ name: 'agent', state: { terminated: { exitCode } } }] },
    });
  const found = (...events: RunnerEvent[]) => {
    const objects = [agentEnds(succeeds, 0), agentEnds(fails, 7)];
    const observed = { ...record({ tasks, objects, events, endedAt: at(100) }), alongside: 'a container that goes on' };
    return endsWithItsAgent(together(target(), [observed])).map(textOf);
  };
  const failed = (second: number, exitCode = 7) => ended(second, fails, { outcome: 'failed', exitCode });

  test('a task ends as its agent, and soon after it', () => {
    expect(found(ended(12, succeeds, {}), failed(12))).toEqual([]);
    expect(found(ended(12, succeeds, { outcome: 'failed', exitCode: 5 }), failed(12, 5))).toEqual([
      expect.stringContaining('ended with 0 alongside a container that goes on, was reported as failed, exit code 5'),
      expect.stringContaining('ended with 7 alongside a container that goes on, was reported as failed, exit code 5'),
    ]);
    expect(found(ended(12, succeeds, {}), failed(90))).toEqual([expect.stringContaining('80.0 s after its agent')]);
    expect(found(failed(12))).toEqual([
      expect.stringContaining('was never reported as ended 90.0 s after its agent had ended'),
    ]);
  });
});

describe('JL-47', () => {
  const prints = task('prints');
  const lines = [
    { what: '10 bytes', begins: '01', text: '0123456789' },
    { what: 'wide characters', begins: '任任任', text: '任任任任' },
    { what: 'the end', begins: 'the', text: 'the end' },
  ];
  const found = (output: string) =>
    givesLinesWhole({ ...record({ tasks: [prints], events: [ended(9, prints, {})] }), lines, output }).map(textOf);

  test('lines are whole, once and in order, whatever stands around them', () => {
    expect(found('0123456789\n任任任任\nthe end\n')).toEqual([]);
    expect(found('out: 0123456789\nout: 任任任任\nout: the end')).toEqual([]);
  });

  test('lines that are alike, blank ones, and those of two streams', () => {
    const both = [
      { what: 'repeats', begins: 'aga', text: 'again', repeats: 3 },
      { what: 'blank lines', begins: 'gap', text: 'gap', blank: 2 },
      { what: 'stdout', begins: 'out', text: 'out 1' },
      { what: 'stderr', begins: 'err', text: 'err 1', stream: 'stderr' as const },
    ];
    const of = (output: string) =>
      givesLinesWhole({ ...record({ tasks: [prints], events: [ended(9, prints, {})] }), lines: both, output }).map(
        textOf,
      );
    expect(of('again\nagain\nagain\ngap\n\n\nout 1\nerr 1\n')).toEqual([]);
    expect(of('err 1\nagain\nagain\nagain\ngap\n\n\nout 1\n')).toEqual([]);
    expect(of('again\ngap\nout 1\nerr 1\n')).toEqual([
      'the line with repeats stands there 3 times and was given 1 times',
      'of 2 blank lines after "gap" 0 were given',
    ]);
    expect(of('again\nagain\nagain\nagain\ngap\n\n\nout 1\nerr 1\n')).toEqual([
      'the line with repeats was given more than 3 times',
    ]);
  });

  test('a finding says where a line changes, what was expected and what was found', () => {
    expect(found('0123456789\n任任\uFFFD任\nthe end\n')).toEqual(['the line with wide characters was not given']);
    expect(found('012345678\n任任任任\nthe end\n')).toEqual([
      'the line with 10 bytes is changed after 9 of 10 characters: expected "0123456789", found "012345678\\n任任任任\\nthe end\\n"',
    ]);
    expect(found('任任任任\n0123456789\nthe end\n')).toEqual(['the line with wide characters was given out of order']);
    expect(found('0123456789\n0123456789\n任任任任\nthe end\n')).toEqual([
      'the line with 10 bytes was given more than once',
    ]);
  });
});

describe('what had not come by the end may be the machine’s fault, and what was seen is not', () => {
  const [first, second, fails] = [task('first'), task('second'), task('fails')];
  const tasks = [first, second, fails];
  const documented = {
    cleanUp: { withinSeconds: 1 },
    onSigterm: { jobs: 'delete', withinSeconds: 30 },
    faultSeconds: {},
    resources: { overriddenBy: [] },
    limits: [],
  };
  const open = record({ tasks, target: target({ documented, selectors: { jobs: 'a=b', pods: 'a=b' } }) });
  const runs = { status: { containerStatuses: [{ name: 'agent', state: { running: {} } }] } };
  const ran = { ...open, objects: [seen(2, 'ADDED', 'Pod', first, runs)] };
  const failed = [ended(30, first, { outcome: 'failed', reason: 'no pod ran in time' })];
  const limited = (events: RunnerEvent[]) => ({ ...open, tasks: [task('runs-out')], events });
  const cancelled = { ...open, tasks: [task('cancelled')] };
  const objectsOf = (label: string): ObjectEvent[] => [
    seen(1, 'ADDED', 'Job', task(label)),
    seen(1, 'ADDED', 'Pod', task(label), { status: { phase: 'Running' } }),
  ];
  const leftAlone = {
    ...cancelled,
    events: [ended(9, task('cancelled'), { outcome: 'cancelled' })],
    objects: objectsOf('cancelled'),
    endedAt: at(50),
  };
  const signalled = { ...open, bystanders: [], signalledAt: at(10), lookedAt: at(50) };
  const withJob = [seen(1, 'ADDED', 'Job', first)];
  const output = { ...open, lines: 3, logs: [] };
  const line = (text: string): RunnerEvent => ({ at: at(3), type: 'output', task: first.task.id, text: `${text}\n` });
  const faulty = (events: RunnerEvent[]) =>
    together(target(), [{ ...open, events, faults: [{ fault: 'image-pull' as const, label: 'first', since: at(1) }] }]);
  const withUuids = ['one', 'two'].map((label) => task(label, '0b1c2d3e-0000-4000-8000-000000000000'));
  const limits = (events: RunnerEvent[]) =>
    together<LimitRecord>(target(), [
      { ...open, tasks: withUuids, events, per: 'worker', count: 1, surplus: 'queued', seed: 1 },
    ]);
  const refused: RunnerEvent = { at: at(2), type: 'refused', task: first.task.id, reason: 'no' };
  const left: RunnerRecord = {
    ...open,
    tasks: [],
    readiness: { at: at(9), ready: true },
    objects: [seen(1, 'ADDED', 'Pod', first)],
  };
  const timeLimits = (inTime: RunnerRecord) => ({ ...together(target(), [inTime]), inTime, late: inTime });
  const start = { ...open, cause: 'no rights', named: 'forbidden' };
  const settings = (change: Partial<RunnerRecord>) => together(target(), [{ ...start, ...change }]);
  const cleanUp = (tasksRecord: RunnerRecord) =>
    ({ tasks: { ...tasksRecord, bystanders: [] } }) as unknown as CleanUpRecord;
  const ids = (events: RunnerEvent[]) => namesEveryTask({ ...open, tasks: [first], events, seed: 1 });
  const prompt = (events: RunnerEvent[], sha256?: string): PromptsRecord =>
    ({
      ...open,
      events,
      prompts: [{ label: 'first', bytes: 1, sha256: 'a', ...(sha256 === undefined ? {} : { seen: sha256 }) }],
    }) as PromptsRecord;

  test.each<[what: string, findings: Finding[], text: string]>([
    ['JL-20', provesFirst({ ...together(target(), []), good: left, refusals: [] }), 'still there'],
    ['JL-21', refusesToStart(settings({})), 'it neither started nor reported why not'],
    ['JL-21', refusesToStart(settings({ readiness: { at: at(1), ready: false, reason: 'no' } })), 'does not name that'],
    ['JL-22', runsEachTaskOnce({ tasks: open, interrupted: [] }), 'the task first had 0 Jobs'],
    ['JL-22', runsEachTaskOnce({ tasks: open, interrupted: [] }), 'the task first had 0 pods'],
    ['JL-23', ids([]), 'got no Job'],
    ['JL-23', ids([]), '1 went wrong'],
    ['JL-24', keepsToItsOwn({ ...open, bystanders: [] } as unknown as TasksRecord), 'no Job of a task was seen'],
    ['JL-25', reportsEndsOnce(open), 'the task first was never reported as ended'],
    ['JL-25, of a task that was given up', reportsEndsOnce({ ...open, events: failed }), 'whose agent ends with 0'],
    ['JL-25a', waitsForTheSilent(open), 'had no pod'],
    ['JL-25a', waitsForTheSilent(ran), 'never reported as ended'],
    ['JL-26', reportsFaults(faulty([])), 'nothing was reported'],
    ['JL-26', reportsFaults(together(target(), [])), 'no fault could be brought about'],
    ['JL-27', stillRunning(open), 'no end was reported'],
    ['JL-28', cancels(cancelled), 'the task that was cancelled was never reported as ended'],
    ['JL-28', cancels(cancelled), 'the task that was cancelled had no pod'],
    ['JL-28', cancels({ ...cancelled, objects: objectsOf('cancelled') }), 'its pod Pod-cancelled is Running'],
    ['JL-28', cancels({ ...cancelled, objects: objectsOf('cancelled') }), 'its Job Job-cancelled is still there'],
    ['JL-29', timesOut(timeLimits(limited([]))), 'was never reported as ended'],
    ['JL-29', timesOut(timeLimits(limited([]))), 'had no pod'],
    ['JL-30', cleansUp(cleanUp(open)), 'no Job was seen'],
    ['JL-30', cleansUp(cleanUp({ ...open, events: [ended(9, first, {})], objects: withJob })), 'these are still there'],
    ['JL-30', keepsJobs(open, [first]), 'it had no Job'],
    ['JL-31', obeysSigterm(signalled), 'it had not ended 40.0 s after SIGTERM'],
    ['JL-31', obeysSigterm(signalled), 'no Job of its own was there'],
    ['JL-31', obeysSigterm({ ...signalled, objects: withJob, exitedAt: at(11) }), 'Job-first was still there'],
    ['JL-32', takesUp(signalled), 'was not started again'],
    ['JL-32', takesUp({ ...signalled, restarted: { ready: false, at: at(40) } }), 'did not become ready again'],
    ['JL-32', takesUp({ ...signalled, restarted: { ready: true, at: at(40) } }), 'never reported as ended'],
    ['JL-33', keepsLimits(limits([])), 'the worker had no pod'],
    ['JL-33', keepsLimits(limits([])), 'what is too much waits'],
    ['JL-34', streamsOutput(output), 'no connection for its log was seen'],
    ['JL-34', streamsOutput({ ...output, events: [line('line 1'), line('line 2')] }), 'it gave 1, 2'],
    ['JL-35', boundsLogs(output), 'it read no log'],
    ['JL-37', survivesDisruptions(output), 'the task first was never reported as ended'],
    ['JL-37', survivesDisruptions(output), 'the task first had 0 Jobs'],
    ['JL-38', writesTheSamePod(open), 'did not both have a pod'],
    ['JL-39', mergesTemplate(open), 'the task had no pod'],
    ['JL-40', deliversPrompts(prompt([])), 'did not arrive'],
    [
      'JL-42',
      appliesResources({ ...together(open.target, []), tasks: open } as unknown as ResourcesRecord),
      'had no pod',
    ],
  ])('%s: %#', (_, findings, text) => {
    expect(findings).toContainEqual({ text: expect.stringContaining(text), missing: true });
  });

  test.each<[what: string, findings: Finding[], text: string]>([
    ['JL-21', refusesToStart(settings({ readiness: { at: at(1), ready: true } })), 'it started all the same'],
    ['JL-23', ids([refused]), 'got no Job'],
    ['JL-23', ids([refused]), '1 went wrong'],
    ['JL-25', reportsEndsOnce({ ...ran, events: failed }), 'whose agent ends with 0'],
    ['JL-25', reportsEndsOnce({ ...open, events: [ended(9, fails, {})] }), 'whose agent ends with 7'],
    ['JL-25a', waitsForTheSilent({ ...ran, events: failed }), 'was reported as failed'],
    ['JL-26', reportsFaults(faulty([ended(9, first, {})])), 'was reported as succeeded'],
    ['JL-28', cancels({ ...cancelled, events: [ended(9, task('cancelled'), {})] }), 'was reported as succeeded'],
    ['JL-28', cancels(leftAlone), 'its pod Pod-cancelled is Running'],
    ['JL-28', cancels(leftAlone), 'its Job Job-cancelled is still there'],
    ['JL-27', stillRunning(leftAlone), 'its pod Pod-cancelled (Running) was there after that'],
    ['JL-29', timesOut(timeLimits(limited([ended(9, task('runs-out'), {})]))), 'was reported as succeeded'],
    ['JL-32', takesUp({ ...signalled, restarted: { ready: true, at: at(40) }, events: [refused] }), 'was refused'],
    ['JL-33', keepsLimits(limits(withUuids.map((one) => ended(9, one, { outcome: 'cancelled' })))), 'too much waits'],
    ['JL-34', streamsOutput({ ...output, events: [line('line 1'), line('line 3')] }), 'it gave 1, 3'],
    ['JL-37', survivesDisruptions({ ...output, ...ran, events: failed }), 'was reported as failed'],
    ['JL-39', mergesTemplate({ ...open, events: [refused] }), 'it was refused'],
    ['JL-40', deliversPrompts(prompt([], 'b')), 'arrived changed'],
  ])('%s, seen: %#', (_, findings, text) => {
    expect(findings).toContainEqual(expect.stringContaining(text));
  });

  test('JL-27: a Job that goes on is late by what is beyond the slack', () => {
    const goesOn = { ...open, events: [ended(10, first, {})], objects: withJob };
    expect(stillRunning(goesOn)).toEqual([
      { text: expect.stringContaining('Job-first goes on'), from: at(10), to: at(60), excessMs: 35_000 },
    ]);
  });

  test('JL-36: that a pod runs may have come late to a runner that asks of it, and not to one that asks of all', () => {
    const asks = (fieldSelector?: string): Finding[] =>
      watchesRatherThanPolls({
        ...open,
        objects: [seen(5, 'ADDED', 'Pod', first, { status: { phase: 'Running' } })],
        requests: [
          { verb: 'watch', resource: 'pods', at: new Date(at(1)).toISOString() },
          {
            ...{ verb: 'list', resource: 'events', at: new Date(at(9)).toISOString(), path: '/events' },
            ...(fieldSelector === undefined ? {} : { fieldSelector }),
          },
        ],
      } as unknown as TasksRecord);
    expect(asks()).toEqual([expect.stringContaining('Events of healthy pods')]);
    const uid = asks('involvedObject.uid=Pod-first');
    expect(uid).toEqual([{ text: expect.any(String), from: at(5), to: at(9), excessMs: 2_000 }]);
  });
});
