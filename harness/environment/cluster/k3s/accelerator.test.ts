import { afterEach, expect, test } from 'vitest';
import { HarnessError } from '../../../core/errors.ts';
import { FakeService } from '../../../fakes/fake-service.ts';
import { AcceleratorControl } from './accelerator.ts';

let accelerator: FakeService;

async function start(status = 204): Promise<AcceleratorControl> {
  accelerator = await FakeService.start({
    answer: ({ headers }) =>
      headers.authorization === 'Bearer the-secret'
        ? { status, body: status === 204 ? undefined : 'no' }
        : { status: 401 },
  });
  return new AcceleratorControl(accelerator.url, 'the-secret');
}

afterEach(() => accelerator.close());

test('each request has all lives; what is known is not sent again', async () => {
  const control = await start();
  await Promise.all([control.setLifetime('one', 10), control.setLifetime('two', 20), control.setLifetime('two', 20)]);
  expect(accelerator.requests).toMatchObject([
    { method: 'PUT', path: '/rules', body: [{ audience: 'one', lifetimeSeconds: 10 }], status: 204 },
    {
      method: 'PUT',
      path: '/rules',
      body: [
        { audience: 'one', lifetimeSeconds: 10 },
        { audience: 'two', lifetimeSeconds: 20 },
      ],
    },
  ]);
});

test('a fault is for one namespace, and a refusal is a harness error with its words', async () => {
  const control = await start();
  await control.setTokenRequestFault('agents', 'server-error');
  expect(accelerator.requests).toMatchObject([{ path: '/faults/agents', body: { fault: 'server-error' } }]);
  await accelerator.close();
  const refused = await start(400);
  await expect(refused.setTokenRequestFault('agents', 'none')).rejects.toThrow(/answered 400 to \/faults\/agents: no/);
});

test('on the real clock lives stay as they are, and a fault is a harness error', async () => {
  await start();
  const real = new AcceleratorControl(undefined, '');
  await real.setLifetime('one', 10);
  await expect(real.setTokenRequestFault('agents', 'server-error')).rejects.toThrow(HarnessError);
  expect(accelerator.requests).toEqual([]);
});
