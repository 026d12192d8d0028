import { expect, test } from 'vitest';
import { HarnessError, NotApplicable } from '../../core/errors.ts';
import type { Candidate } from '../../rpc/candidate.ts';
import type { WorkerSettings } from '../../rpc/protocol.ts';
import { check } from './check.ts';
import { assertDeclared, assertObserved, assertPossible, isAlone, plannedPreconditions, rowOf } from './rows.ts';

const settings = {
  requirements: {
    'XX-01': { role: 'cluster', suite: 'x', observation: 'observeNothing', preconditions: {} },
    'XX-02': { role: 'job-runner', suite: 'x', preconditions: { capabilities: ['cancel', 'telepathy'] } },
    'XX-03': { role: 'token-client', suite: 'x', preconditions: { simulatedProviders: ['slow'], rotations: true } },
    'XX-04': { role: 'token-client', suite: 'x', preconditions: { simulatedProviders: ['slow', 'silent'] } },
  },
  lacking: { 'XX-01': 'its cluster has no storage' },
} as unknown as WorkerSettings;

const references = (planned: string[] = []): Candidate => ({ kind: 'references', name: 'references', planned });

test('an id that no requirements.yaml has is a fault of the harness', () => {
  expect(rowOf(settings, 'XX-01').role).toBe('cluster');
  expect(() => rowOf(settings, 'XX-99')).toThrow(HarnessError);
});

test('an observation that is declared otherwise than it is made is a fault of the harness', () => {
  const observeNothing = async (): Promise<{ stalls: [] }> => ({ stalls: [] });
  const body = check(observeNothing, () => []);
  expect(() => assertObserved(settings, 'XX-01', body)).not.toThrow();
  expect(() => assertObserved(settings, 'XX-02', body)).toThrow(HarnessError);
  expect(() => assertObserved(settings, 'XX-01', async () => undefined)).toThrow(HarnessError);
});

test('what any planned requirement needs is planned for all', () => {
  const { simulatedProviders, rotations } = plannedPreconditions(settings, references(['XX-03', 'XX-04']));
  expect([...simulatedProviders]).toEqual(['slow', 'silent']);
  expect(rotations).toBe(true);
  expect(plannedPreconditions(settings, references(['XX-04'])).rotations).toBe(false);
});

test('a capability that is not declared makes it not applicable, and the declaration is quoted', () => {
  expect(() => assertDeclared(settings, 'XX-01', references())).not.toThrow();
  expect(() => assertDeclared(settings, 'XX-02', references())).toThrow(
    expect.objectContaining({
      constructor: NotApplicable,
      message: expect.stringMatching(/declares the capabilities \[.*cancel.*\], not `telepathy`$/),
    }),
  );
});

test('what the cluster lacks makes it not applicable', () => {
  expect(() => assertPossible(settings, 'XX-01')).toThrow(new NotApplicable('its cluster has no storage'));
  expect(() => assertPossible(settings, 'XX-02')).not.toThrow();
});

test('only fixtures that stay are alone, and only where a run is kept to a few namespaces', () => {
  const given = { ...settings, sharesNamespaces: true };
  expect([isAlone(given, 'XX-01'), isAlone(given, 'XX-02'), isAlone(settings, 'XX-01')]).toEqual([true, false, false]);
});
