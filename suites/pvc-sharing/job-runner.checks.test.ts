import { expect, test } from 'vitest';
import { missing, textOf } from '../../harness/core/findings.ts';
import type { RunnerRecord } from '../../harness/roles/job-runner/record.ts';
import { at, ended, record, target, task } from '../../harness/roles/job-runner/record-builders.ts';
import { checksTheClaim, keepsAgentsApart, keepsSessions, mountsTheClaim, sharesFiles } from './job-runner.checks.ts';

test('PV-23: a claim that is missing is reported, by a refusal or by a warning that names it', () => {
  const claim = { spec: { accessModes: ['ReadWriteMany'] } };
  const found = (readiness: NonNullable<RunnerRecord['readiness']>) =>
    checksTheClaim({
      ...record({}),
      claim,
      missing: [{ ...record({ readiness }), cause: 'the claim data missing', named: 'data' }],
    } as unknown as Parameters<typeof checksTheClaim>[0]).map(textOf);
  const ready = (...warnings: string[]) => ({ ready: true as const, at: at(1), warnings });
  expect(found({ ready: false, at: at(1), reason: 'the claim data is not in the namespace n' })).toEqual([]);
  expect(found(ready('Could not read PVC "data": persistentvolumeclaims "data" not found (404)'))).toEqual([]);
  expect(found(ready())).toEqual([expect.stringContaining('it started all the same')]);
  expect(found(ready('PVC "data" is ReadWriteOnce'))).toHaveLength(1);
  expect(found({ ready: false, at: at(1), reason: 'something is wrong' })).toHaveLength(1);
});

test('what an agent that has not come to its end did not do may be the machine’s fault', () => {
  const first = task('first');
  const seen = (events: RunnerRecord['events']) =>
    ({
      ...record({ target: target(), tasks: [first], events }),
      ...{ logs: {}, readBack: '', written: { fromParent: 'p', fromAgent: 'a' } },
    }) as unknown as Parameters<typeof sharesFiles>[0];
  expect(mountsTheClaim(seen([]))).toEqual([missing('the task had no pod')]);
  expect(sharesFiles(seen([]))).toEqual([
    missing('the agent did not read what the parent pod had written'),
    missing('the parent pod read "", and not what the agent had written'),
  ]);
  expect(sharesFiles(seen([ended(9, first, {})]))).toEqual([expect.any(String), expect.any(String)]);
  expect(keepsAgentsApart(seen([]))).toEqual([missing('an agent did not print its HOME')]);
  expect(keepsSessions(seen([]))).toEqual([missing('no session was named: the task was never reported as ended')]);
  expect(keepsSessions(seen([ended(9, first, {})]))).toEqual([expect.stringContaining('no session was named')]);
});
