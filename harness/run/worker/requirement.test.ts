import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startVitest } from 'vitest/node';
import { HarnessError } from '../../core/errors.ts';
import type { RequirementResult, WorkerSettings } from '../../rpc/protocol.ts';
import { startControlServer } from '../../rpc/server.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Evaluates the bodies of requirement-bodies.ts in a worker, with a main process that has no environment. */
async function evaluated(): Promise<Map<string, RequirementResult>> {
  const admitted: string[] = [];
  const control = await startControlServer({
    admission: async ({ id }: { id: string }) => {
      admitted.push(id);
      return {};
    },
    progress: async () => ({}),
    alive: async () => ({}),
    identityProvider: async () => {
      throw new HarnessError('no identity provider was started');
    },
  } as unknown as Parameters<typeof startControlServer>[0]);
  const ids = ['XX-01', 'XX-02', 'XX-03', 'XX-04', 'XX-05', 'XX-06', 'XX-07'];
  const row = { role: 'cluster', suite: 'x', preconditions: {} } as const;
  const settings: WorkerSettings = {
    url: control.url,
    secret: control.secret,
    clock: { kind: 'accelerated', lifetimeSeconds: 10, clientLifetimeSeconds: 10, syncFrequencySeconds: 1 },
    ownCluster: true,
    candidates: [{ kind: 'references', name: 'references', planned: ids }],
    lacking: { 'XX-06': 'this cluster has no storage' },
    requirements: Object.fromEntries([...ids, 'XX-08'].map((id) => [id, row])),
    suites: ['x'],
  };
  const vitest = await startVitest('test', [], {
    root: ROOT,
    config: false,
    include: ['harness/run/worker/requirement-bodies.ts'],
    provide: { conformance: settings },
    run: true,
    watch: false,
    reporters: [{}],
  });
  const cases = vitest.state.getTestModules().flatMap((module) => [...module.children.allTests()]);
  const faults = [
    ...vitest.state.getTestModules().flatMap((module) => module.errors()),
    ...vitest.state.getUnhandledErrors(),
  ];
  const results = cases.flatMap((testCase) => testCase.meta().conformance ?? []);
  await vitest.close();
  await control.close();
  process.exitCode = 0;
  expect(faults).toEqual([]);
  expect(admitted.toSorted()).toEqual(ids);
  return new Map(results.map((result) => [result.id, result]));
}

test('what a body does decides the outcome, and what it saw is kept', { timeout: 60_000 }, async () => {
  const results = await evaluated();
  expect([...results.values()].map(({ id, outcome }) => [id, outcome]).toSorted()).toEqual([
    ['XX-01', 'passed'],
    ['XX-02', 'failed'],
    ['XX-03', 'harness error'],
    ['XX-04', 'not testable'],
    ['XX-05', 'harness error'],
    ['XX-06', 'not applicable'],
    ['XX-07', 'harness error'],
  ]);
  expect(results.get('XX-01')?.evidence.map(({ label, data }) => [label, data])).toEqual([
    ['seen', { token: 'none' }],
    ['planned', []],
  ]);
  expect(results.get('XX-02')?.reason).toContain('it was seen to be wrong');
  expect(results.get('XX-03')?.reason).toContain('use `expect`');
  expect(results.get('XX-06')?.reason).toContain('this cluster has no storage');
  expect(results.get('XX-07')?.reason).toContain('no identity provider was started');
});
