import { expect, test } from 'vitest';
import type { Stall } from '../../fixtures/workloads/lib/heartbeat.ts';
import { HarnessError, Violation } from './errors.ts';
import { expectNone, type Finding, missing, missingIf, presupposing, textOf, unlessStalled } from './findings.ts';

const at = (seconds: number): number => Date.UTC(2026, 0, 1) + seconds * 1000;
const stall = (from: number, to: number, where = 'the pod'): Stall => ({
  where,
  from: new Date(at(from)).toISOString(),
  to: new Date(at(to)).toISOString(),
});
const late = (excessMs: number): Finding => ({ text: 'late', from: at(10), to: at(20), excessMs });

test('nothing found is nothing wrong, whatever stalled', () => {
  expect(() => expectNone([], [stall(0, 100)])).not.toThrow();
});

test('a finding that does not depend on time is a violation, whatever stalled', () => {
  expect(() => expectNone(['wrong'], [stall(0, 100)])).toThrow(Violation);
});

test('what came too late is a violation where the stalls are shorter than that, or at another time', () => {
  expect(() => expectNone([late(3000)], [])).toThrow(Violation);
  expect(() => expectNone([late(3000)], [stall(12, 14)])).toThrow(Violation);
  expect(() => expectNone([late(3000)], [stall(0, 9), stall(21, 40)])).toThrow(Violation);
  expect(() => expectNone([late(3000)], [stall(12, 14), stall(12, 14, 'the harness')])).toThrow(Violation);
});

test('what stalls explain is a harness error that names the longest of them', () => {
  const stalls = [stall(12, 14), stall(13, 15.5, 'the harness')];
  expect(() => expectNone([late(3000)], stalls)).toThrow(HarnessError);
  expect(() => expectNone([late(3000)], stalls)).toThrow(
    'the machine stalled 2.5 s at 2026-01-01T00:00:13.000Z (the harness), so that this says nothing of the client: late',
  );
  expect(() => expectNone([unlessStalled('failed', at(10), at(11))], [stall(8, 10.2)])).toThrow(HarnessError);
});

test('one finding that no stall explains is enough, and only it is reported', () => {
  expect(() => expectNone([late(1000), 'wrong'], [stall(12, 14)])).toThrow(/^wrong$/);
});

test('only where nothing else is wrong it is all a matter of time', () => {
  const isLate = (findings: Finding[]): boolean | undefined => {
    try {
      expectNone(findings, []);
      return undefined;
    } catch (error) {
      return (error as Violation).mayBeTheMachine;
    }
  };
  expect(isLate([late(1000)])).toBe(true);
  expect(isLate([late(1000), 'wrong'])).toBe(false);
});

test('a reason is short', () => {
  expect(() => expectNone(['1', '2', '3', '4', '5', '6', '7'], [])).toThrow('1; 2; 3; 4; 5; and 2 more');
});

test('what is missing may be the machine’s fault; with something that was seen it is not', () => {
  const thrown = (findings: Finding[]): unknown => {
    try {
      expectNone(findings, []);
    } catch (error) {
      return error;
    }
    return undefined;
  };
  expect(thrown([missing('no end was reported')])).toMatchObject({ mayBeTheMachine: true });
  expect(thrown([missing('no end was reported'), 'two Jobs were made'])).toMatchObject({ mayBeTheMachine: false });
});

test('the message names the first findings, the violation has all of them', () => {
  const all = Array.from({ length: 12 }, (_, index) => `wrong ${index}`);
  const thrown = ((): unknown => {
    try {
      return expectNone([...all, late(1000)], [stall(12, 14)]);
    } catch (error) {
      return error;
    }
  })();
  expect(thrown).toMatchObject({ message: expect.stringMatching(/^wrong 0; .*; and 7 more$/), findings: all });
});

test('a finding holds no headers of an answer', () => {
  const error = 'HTTP-Code: 403 Message: Unknown Body: "no" Headers: {"audit-id":"1","date":"now"}; then it ended';
  expect(textOf(error)).toBe('HTTP-Code: 403 Message: Unknown Body: "no"; then it ended');
});

test('consequences of what had not come may be the machine’s fault; what was late stays late', () => {
  const findings = ['it answered 502', late(1000)];
  expect(presupposing(true, findings)).toEqual(findings);
  expect(presupposing(false, findings)).toEqual([missing('it answered 502'), late(1000)]);
  expect([missingIf(true, 'a'), missingIf(false, 'a')]).toEqual([missing('a'), 'a']);
});
