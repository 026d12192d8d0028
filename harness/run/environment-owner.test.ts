import { expect, test } from 'vitest';
import { EnvironmentOwner } from './environment-owner.ts';
import { DEFAULT_OPTIONS } from './session.ts';

test('an environment that cannot be stopped is a fault, with what removes it, and is stopped once', async () => {
  let stops = 0;
  const owner = new EnvironmentOwner({
    options: { ...DEFAULT_OPTIONS, cluster: 'kubeconfig', context: 'dev', namespaces: ['team'] },
    async stop() {
      stops += 1;
      throw new AggregateError([new Error('connection refused')], 'not everything could be stopped');
    },
  });
  const [fault] = await owner.end();
  expect(fault).toMatch(/`conformance clean --cluster kubeconfig --context dev --namespace team` removes it/);
  expect(fault).toContain('connection refused');
  await owner.stop();
  expect(stops).toBe(1);
});

test('one that is stopped leaves no fault', async () => {
  const owner = new EnvironmentOwner({ options: DEFAULT_OPTIONS, stop: async () => undefined });
  expect(await owner.end()).toEqual([]);
});
