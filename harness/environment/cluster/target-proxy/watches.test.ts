import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ApiFault } from '../../../rpc/target-access.ts';
import { ArmedFaults } from './faults.ts';
import { Exchange } from './recorder.ts';
import { OpenWatches } from './watches.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function setUp(fault?: ApiFault) {
  const faults = new ArmedFaults();
  const watches = new OpenWatches(faults);
  const set = (next: ApiFault): void => faults.set([next], (begun) => watches.endAll(begun));
  if (fault !== undefined) {
    set(fault);
  }
  const ended: string[] = [];
  const open = (resource: string) => {
    const url = `/api/v1/namespaces/a/${resource}?watch=true`;
    const exchange = new Exchange(Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url }));
    return watches.add({ exchange, end: ({ kind }) => ended.push(`${resource}: ${kind}`) });
  };
  return { set, open, ended };
}

test('a fault ends the open watches that it concerns, once', () => {
  const { set, open, ended } = setUp();
  open('pods');
  open('configmaps');
  set({ kind: 'expired', resources: ['pods'] });
  set({ kind: 'expired', resources: ['pods'] });
  expect(ended).toEqual(['pods: expired']);
});

test('a fault of one time ends one watch', () => {
  const { set, open, ended } = setUp();
  open('pods');
  open('pods');
  set({ kind: 'cut-watch', times: 1 });
  expect(ended).toEqual(['pods: cut-watch']);
});

test('a watch that is opened under the fault ends after its seconds, unless it ended before', () => {
  const { open, ended } = setUp({ kind: 'cut-watch', seconds: 3 });
  open('pods');
  const close = open('configmaps');
  close();
  vi.advanceTimersByTime(2_999);
  expect(ended).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(ended).toEqual(['pods: cut-watch']);
});
