import { expect, test } from 'vitest';
import { textOf } from '../../harness/core/findings.ts';
import type { RunnerRecord } from '../../harness/roles/job-runner/record.ts';
import { at, record } from '../../harness/roles/job-runner/record-builders.ts';
import { checksTheClaim } from './job-runner.checks.ts';

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
