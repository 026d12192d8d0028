import { afterEach, expect, test } from 'vitest';
import { HarnessError, NotApplicable, NotTestable } from '../core/errors.ts';
import { environmentOf } from './client.ts';
import type { EnvironmentApi } from './environment-api.ts';
import { toControlError } from './error.ts';
import { type ControlServer, claimHandlers, type EnvironmentHandlers, startControlServer } from './server.ts';

let server: ControlServer | undefined;
afterEach(() => server?.close());

async function start(handlers: Partial<EnvironmentHandlers>): Promise<EnvironmentApi> {
  server = await startControlServer({ ...claimHandlers(), ...handlers } as EnvironmentHandlers);
  return environmentOf(server, 'a candidate');
}

test('passes requests, their candidate and answers through', async () => {
  const environment = await start({
    namespace: async ({ purpose }, candidate) => ({ name: `${purpose} of ${candidate}` }),
  });
  await expect(environment.namespace({ purpose: 'main', owner: 'x' })).resolves.toEqual({
    name: 'main of a candidate',
  });
});

test.each([
  ['a missing prerequisite', new NotTestable('why'), NotTestable],
  ['a declaration', new NotApplicable('why'), NotApplicable],
  ['anything else', new TypeError('why'), HarnessError],
])('%s keeps its kind', async (_, thrown, kind) => {
  const environment = await start({
    namespace: async () => {
      throw thrown;
    },
  });
  const asked = environment.namespace({ purpose: 'main', owner: 'x' });
  await expect(asked).rejects.toBeInstanceOf(kind);
  await expect(asked).rejects.toThrow('why');
});

test('refuses whoever does not know the secret; a main process that is gone is a harness error', async () => {
  const environment = await start({ namespace: async () => ({ name: 'n' }) });
  const intruder = environmentOf({ url: server?.url ?? '', secret: 'guess' }, 'a candidate');
  await expect(intruder.namespace({ purpose: 'main', owner: 'x' })).rejects.toThrow('wrong secret');
  await server?.close();
  await expect(environment.namespace({ purpose: 'main', owner: 'x' })).rejects.toBeInstanceOf(HarnessError);
});

test('a call that the main process does not know is a harness error, whatever objects inherit', async () => {
  const environment = (await start({})) as unknown as { toString(request: object): Promise<unknown> };
  await expect(environment.toString({})).rejects.toThrow('there is no call toString');
});

test('what is claimed is made once for a candidate; the others get it, or the reason why not', async () => {
  const environment = await start({});
  await expect(environment.claim({ key: 'a' })).resolves.toEqual({ make: true });
  const waiting = environment.claim({ key: 'a' });
  await environment.fulfil({ key: 'a', value: { seen: 1 } });
  await expect(waiting).resolves.toEqual({ make: false, value: { seen: 1 } });
  await expect(environment.claim({ key: 'a' })).resolves.toEqual({ make: false, value: { seen: 1 } });
  const other = environmentOf({ url: server?.url ?? '', secret: server?.secret ?? '' }, 'another candidate');
  await expect(other.claim({ key: 'a' })).resolves.toEqual({ make: true });

  await environment.claim({ key: 'b' });
  await environment.fulfil({ key: 'b', error: toControlError(new NotTestable('no pod')) });
  await expect(environment.claim({ key: 'b' })).rejects.toBeInstanceOf(NotTestable);
});
