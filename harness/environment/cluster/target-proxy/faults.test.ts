import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { askedFor } from '../../../kubernetes/api-record.ts';
import { ArmedFaults } from './faults.ts';

const LIST_PODS = askedFor('GET', '/api/v1/namespaces/a/pods');
const READ_LOG = askedFor('GET', '/api/v1/namespaces/a/pods/p/log');

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test('a fault happens to the verbs and resources that it names, and to no others', () => {
  const faults = new ArmedFaults();
  faults.set([{ kind: 'server-error', verbs: ['get'], resources: ['pods/log'] }], () => undefined);
  expect(faults.take(['server-error'], LIST_PODS)).toBeUndefined();
  expect(faults.take(['latency'], READ_LOG)).toBeUndefined();
  expect(faults.take(['server-error'], READ_LOG)).toMatchObject({ kind: 'server-error' });
});

test('a fault happens as often as it says', () => {
  const faults = new ArmedFaults();
  faults.set([{ kind: 'server-error', times: 2 }], () => undefined);
  const taken = [1, 2, 3].map(() => faults.take(['server-error'], LIST_PODS) !== undefined);
  expect(taken).toEqual([true, true, false]);
});

test('a fault begins and ends when it says, and its begin is notified', () => {
  const faults = new ArmedFaults();
  const begun: string[] = [];
  faults.set([{ kind: 'latency' }, { kind: 'server-error', afterSeconds: 1, forSeconds: 2 }], ({ kind }) => {
    begun.push(kind);
  });
  expect(begun).toEqual(['latency']);
  const isInForce = (): boolean => faults.take(['server-error'], LIST_PODS) !== undefined;
  expect(isInForce()).toBe(false);
  vi.advanceTimersByTime(1_000);
  expect(begun).toEqual(['latency', 'server-error']);
  expect(isInForce()).toBe(true);
  vi.advanceTimersByTime(2_000);
  expect(isInForce()).toBe(false);
});

test('faults that were replaced neither happen nor begin', () => {
  const faults = new ArmedFaults();
  const begun: string[] = [];
  faults.set([{ kind: 'outage', afterSeconds: 1 }], ({ kind }) => begun.push(kind));
  faults.set([], () => undefined);
  vi.advanceTimersByTime(1_000);
  expect(begun).toEqual([]);
  expect(faults.take(['outage'])).toBeUndefined();
});
