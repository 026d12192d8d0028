import { describe, expect, test } from 'vitest';
import { HarnessError } from '../../core/errors.ts';
import {
  aboutOutcome,
  allOver,
  assumes,
  describeContainers,
  describeOutcome,
  isOver,
  isRunning,
  leftByPreflight,
  leftOvers,
  nothingRuns,
  type ObjectEvent,
  podsOf,
  runsOrIsOver,
} from './record.ts';
import { at, ended, record, seen, target, task } from './record-builders.ts';

const one = task('one');
const other = task('other');

test('a task is over when it has ended or was refused', () => {
  const refused = { at: at(1), type: 'refused' as const, task: other.task.id, reason: 'too many' };
  const seenSoFar = record({ tasks: [one, other], events: [ended(9, one, { outcome: 'failed', exitCode: 7 })] });
  expect([isOver(seenSoFar, one), isOver(seenSoFar, other), allOver(seenSoFar)]).toEqual([true, false, false]);
  const later = record({ ...seenSoFar, events: [...seenSoFar.events, refused] });
  expect(allOver(later)).toBe(true);
  expect(describeOutcome(later, one)).toBe('was reported as failed, exit code 7');
  expect(describeOutcome(later, other)).toBe('was refused: too many');
  expect(describeOutcome(record({}), other)).toBe('was never reported as ended');
});

describe('what became of a task', () => {
  const begun = (second: number) =>
    seen(second, 'MODIFIED', 'Pod', one, {
      status: { containerStatuses: [{ name: 'agent', state: { running: {} } }] },
    });
  const isInDoubt = (end: number | undefined, objects: ObjectEvent[], outcome: 'failed' | 'succeeded' = 'failed') => {
    const events = end === undefined ? [] : [ended(end, one, { outcome })];
    return typeof aboutOutcome(record({ tasks: [one], events, objects }), one, 'wrong') !== 'string';
  };

  test('may be the machine’s fault where nothing was reported, or it was given up before it is known to run', () => {
    expect(isInDoubt(undefined, [begun(1)])).toBe(true);
    expect(isInDoubt(30, [])).toBe(true);
    expect(isInDoubt(30, [begun(25)])).toBe(true);
  });

  test('was seen where its agent had run for long, nothing can have run out, or it is no failure', () => {
    expect(isInDoubt(30, [begun(2)])).toBe(false);
    expect(isInDoubt(5, [])).toBe(false);
    expect(isInDoubt(30, [], 'succeeded')).toBe(false);
  });
});

test('an agent runs when its own container does', () => {
  const pod = (name: string) =>
    seen(1, 'ADDED', 'Pod', one, { status: { containerStatuses: [{ name, state: { running: {} } }] } });
  expect(isRunning(record({ objects: [pod('sidecar')] }), one)).toBe(false);
  expect(isRunning(record({ objects: [pod('agent')] }), one)).toBe(true);
  expect(runsOrIsOver(record({ events: [ended(1, one, {})] }), one)).toBe(true);
});

test('a pod that names a Secret of the task is the task’s', () => {
  const secret = seen(1, 'ADDED', 'Secret', one, { name: 'prompt-1' });
  const pod = { ...seen(2, 'ADDED', 'Pod', one, { spec: { volumes: [{ secret: 'prompt-1' }] } }), markers: [] };
  expect(podsOf(record({ objects: [secret, pod] }), one)).toHaveLength(1);
  expect(podsOf(record({ objects: [pod] }), one)).toHaveLength(0);
});

describe('what is left over', () => {
  const left = (...objects: ObjectEvent[]) =>
    leftOvers(record({ tasks: [one], objects, events: [ended(9, one, {})] }), ['bystander']);

  test('is what is still there, but for what was there before and is others’', () => {
    expect(left(seen(1, 'ADDED', 'Secret', one), seen(2, 'DELETED', 'Secret', one))).toEqual([]);
    expect(left(seen(1, 'ADDED', 'Secret', one))).toEqual(['Secret Secret-one of the task one']);
    expect(left(seen(1, 'MODIFIED', 'Secret', one))).toEqual([]);
    expect(left(seen(1, 'ADDED', 'Job', one, { name: 'bystander' }))).toEqual([]);
  });

  test('is nothing of a task that goes on', () => {
    expect(leftOvers(record({ tasks: [one], objects: [seen(1, 'ADDED', 'Pod', one)] }), [])).toEqual([]);
  });
});

describe('what a preflight left', () => {
  const ready = { ready: true as const, at: at(1) };
  const proof = { ...seen(2, 'ADDED', 'Job', one, { name: 'proof' }), markers: [] };

  test('came before the first Job of a task, however late the watch told of it', () => {
    const seenLate = record({ readiness: ready, tasks: [one], objects: [proof, seen(3, 'ADDED', 'Job', one)] });
    expect(leftByPreflight(seenLate)).toEqual(['Job proof']);
    const after = { ...seenLate, objects: [seen(2, 'ADDED', 'Job', one), { ...proof, at: at(3) }] };
    expect(leftByPreflight(after)).toEqual([]);
  });

  test('is all that was made by one which never accepted work', () => {
    const refused = { ready: false as const, at: at(1), reason: 'no rights' };
    expect(leftByPreflight(record({ readiness: refused, objects: [proof] }))).toEqual(['Job proof']);
  });
});

test('a Job that has not failed may start another pod, until it is gone', () => {
  const failed = { phase: 'Failed' };
  const runs = (...objects: ObjectEvent[]) =>
    !nothingRuns(record({ tasks: [one, other], objects, events: [ended(9, one, { outcome: 'failed' })] }));
  const pod = [seen(1, 'ADDED', 'Pod', one), seen(8, 'MODIFIED', 'Pod', one, { status: failed })];
  const job = seen(1, 'ADDED', 'Job', one);
  const finished = seen(9, 'MODIFIED', 'Job', one, { status: { conditions: [{ type: 'Failed', status: 'True' }] } });
  expect(runs(job, ...pod)).toBe(true);
  expect(runs(job, ...pod, finished)).toBe(false);
  expect(runs(job, ...pod, seen(10, 'DELETED', 'Job', one))).toBe(false);
  expect(runs(job, finished, seen(1, 'ADDED', 'Pod', one))).toBe(true);
  expect(runs(seen(1, 'ADDED', 'Job', other), seen(1, 'ADDED', 'Pod', other))).toBe(false);
});

test('containers are described by how they ended or why they wait', () => {
  const pod = (status: object) => record({ objects: [seen(1, 'ADDED', 'Pod', one, { status })] });
  const initContainerStatuses = [{ name: 'fails', state: { terminated: { exitCode: 3, reason: 'Error' } } }];
  const containerStatuses = [
    { name: 'agent', state: { waiting: { reason: 'PodInitializing' } } },
    { name: 'sidecar', state: { terminated: { exitCode: 0 } } },
  ];
  expect(describeContainers(pod({ initContainerStatuses, containerStatuses }), one)).toBe(
    'init container fails ended with 3 (Error), container agent waits: PodInitializing',
  );
  expect(describeContainers(record({}), one)).toBe('');
});

test('a check that takes more for granted than is declared is a fault of the harness', () => {
  const streams = { target: target({ capabilities: ['stream'] }) };
  expect(() => assumes(streams, 'stream')).not.toThrow();
  expect(() => assumes(streams, 'stream', 'cancel')).toThrow(HarnessError);
});
