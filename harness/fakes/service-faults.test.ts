import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ServiceFaults } from './service-faults.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const kindsOf = (faults: { kind: string }[]): string[] => faults.map(({ kind }) => kind);

test('a fault happens to the methods and subjects that it names, as often as it says', () => {
  const faults = new ServiceFaults<'records' | 'tunnel'>();
  faults.set([{ kind: 'server-error', methods: ['POST'], of: ['records'], times: 1 }]);
  expect(faults.take('GET', 'records')).toEqual([]);
  expect(faults.take('POST', 'tunnel')).toEqual([]);
  expect(faults.take('POST')).toEqual([]);
  expect(kindsOf(faults.take('POST', 'records'))).toEqual(['server-error']);
  expect(faults.take('POST', 'records')).toEqual([]);
});

test('a request meets latency and then one fault more', () => {
  const faults = new ServiceFaults();
  faults.set([{ kind: 'latency' }, { kind: 'too-many-requests', times: 1 }, { kind: 'outage' }]);
  expect(kindsOf(faults.take('GET'))).toEqual(['latency', 'too-many-requests']);
  expect(kindsOf(faults.take('GET'))).toEqual(['latency', 'outage']);
});

test('a fault ends after its time', () => {
  const faults = new ServiceFaults();
  faults.set([{ kind: 'outage', forSeconds: 2 }]);
  expect(kindsOf(faults.take('GET'))).toEqual(['outage']);
  vi.advanceTimersByTime(2_000);
  expect(faults.take('GET')).toEqual([]);
});
