/** Records of job runners for unit tests: one minute, from `START` on. */

import type { KubernetesObject } from '@kubernetes/client-node';
import type { Target } from '../../targets/load.ts';
import type { RunnerEvent } from './driver.ts';
import type { ObjectEvent, RunnerRecord, SubmittedTask } from './record.ts';

const START = Date.UTC(2026, 0, 1);

/** A second of the record, in milliseconds since the epoch. */
export const at = (second: number): number => START + second * 1000;

/** A target with every capability and only what is given besides; an agent's container is `agent`. */
export const target = (change: object = {}): Target<'job-runner'> =>
  ({
    container: 'agent',
    startSeconds: 1,
    capabilities: ['preflight', 'cancel', 'timeout', 'stream', 'pod-template', 'session', 'inherit', 'shared-claim'],
    documented: {},
    ...change,
  }) as Target<'job-runner'>;

export const task = (label: string, agent = 'agent'): SubmittedTask => ({
  label,
  marker: `conformance-task-${label}-1`,
  at: at(0),
  task: { id: `${label}-abc`, agent, prompt: 'p' },
});

/** An event of an object of a task, which is named after its kind and the task unless `name` says otherwise. */
export const seen = (
  second: number,
  type: ObjectEvent['type'],
  kind: ObjectEvent['kind'],
  of: SubmittedTask,
  change: Partial<KubernetesObject> & { spec?: object; status?: object; name?: string } = {},
): ObjectEvent => {
  const { name = `${kind}-${of.label}`, ...rest } = change;
  return { at: at(second), type, kind, markers: [of.marker], object: { metadata: { name, uid: name }, ...rest } };
};

export const ended = (
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

export const record = (change: Partial<RunnerRecord>): RunnerRecord => ({
  target: target(),
  namespace: 'n',
  startedAt: at(0),
  tasks: [],
  cancelled: [],
  events: [],
  outputBytes: {},
  objects: [],
  stalls: [],
  endedAt: at(60),
  ...change,
});
