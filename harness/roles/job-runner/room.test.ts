import { expect, test } from 'vitest';
import type { RunnerEvent } from './driver.ts';
import type { ObjectEvent } from './record.ts';
import { ended, record, seen, task } from './record-builders.ts';
import { lackedRoom, refusedByPolicy } from './room.ts';

test('a runner is not blamed for a cluster that is full, and is for what it makes of it', () => {
  const waits = task('waits');
  const full = (message: string) =>
    seen(1, 'ADDED', 'Pod', waits, {
      status: { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }] },
    });
  const NO_CPU = '0/1 nodes are available: 1 Insufficient cpu.';
  const found = (objects: ObjectEvent[], events: RunnerEvent[], resources?: object) => {
    const tasks = [{ ...waits, task: { ...waits.task, ...(resources === undefined ? {} : { resources }) } }];
    return lackedRoom(record({ tasks, objects, events }), 'agent');
  };
  const given = [ended(3, waits, { outcome: 'failed', reason: `Pod unschedulable: ${NO_CPU}` })];
  expect(found([full(NO_CPU)], given)).toContain('no room for the pod of the task waits');
  expect(found([full('0/3 nodes are available: 3 Too many pods.')], given)).toContain('Too many pods');
  // It asked for so much, its node selector was the fault, it has not ended, it ran after all.
  expect(found([full(NO_CPU)], given, { requests: { cpu: '1000' } })).toBeUndefined();
  expect(found([full("0/1 nodes are available: 1 node(s) didn't match Pod's node selector.")], given)).toBeUndefined();
  expect(found([full(NO_CPU)], [])).toBeUndefined();
  const ran = { containerStatuses: [{ name: 'agent', state: { terminated: { exitCode: 0 } } }] };
  expect(found([full(NO_CPU), seen(2, 'MODIFIED', 'Pod', waits, { status: ran })], given)).toBeUndefined();
});

test.each([
  ['pods "task-x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=2, limited: pods=2', true],
  [
    'pods "task-x" is forbidden: exceeded quota: conformance-no-room, requested: pods=1, used: pods=1, limited: pods=0',
    false,
  ],
  ['pods "task-x" is forbidden: exceeded quota: no-pods, requested: pods=1, used: pods=0, limited: pods=0', false],
  ['admission webhook "validate.kyverno.svc-fail" denied the request: the label team is required', true],
  ['pods "task-x" is forbidden: violates PodSecurity "restricted:latest": seccompProfile', false],
])('a pod that was never made: %s', (message, isTheClusters) => {
  const one = task('one');
  const job = seen(1, 'ADDED', 'Job', one);
  const uid = job.object.metadata?.uid ?? '';
  const events = [{ reason: 'FailedCreate', message, involvedObject: { uid } }];
  const ends = [ended(9, one, { outcome: 'failed' })];
  const why = refusedByPolicy(record({ tasks: [one], events: ends, objects: [job] }), events);
  expect(why).toEqual(isTheClusters ? expect.stringContaining(message) : undefined);
  const withPod = record({ tasks: [one], events: ends, objects: [job, seen(2, 'ADDED', 'Pod', one)] });
  expect(refusedByPolicy(withPod, events)).toBeUndefined();
});
