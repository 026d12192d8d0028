import { afterEach, expect, test } from 'vitest';
import { HarnessError, NotApplicable, NotTestable } from '../core/errors.ts';
import { ask } from './client.ts';
import { toControlError } from './error.ts';
import type { WorkerSettings } from './protocol.ts';
import { type ControlHandlers, type ControlServer, claimHandlers, startControlServer } from './server.ts';

let server: ControlServer | undefined;
afterEach(() => server?.close());

const unused = async (): Promise<never> => {
  throw new Error('not used here');
};

async function start(handlers: Partial<ControlHandlers>): Promise<WorkerSettings> {
  server = await startControlServer({
    '/cluster': unused,
    '/provide-image': unused,
    '/agent-image': unused,
    '/runner-image': unused,
    '/namespace': unused,
    '/turn': unused,
    '/nodes': unused,
    '/identity-provider': unused,
    '/target-access': unused,
    '/target-access/records': unused,
    '/audit': unused,
    '/target-access/faults': unused,
    '/target-access/rules': unused,
    '/target-access/close': unused,
    '/neighbours': unused,
    '/register': unused,
    '/trusting': unused,
    '/certificate': unused,
    '/alive': unused,
    '/progress': unused,
    ...claimHandlers(),
    ...handlers,
  });
  const clock = { kind: 'real', lifetimeSeconds: 600, clientLifetimeSeconds: 600, syncFrequencySeconds: 60 } as const;
  return { url: server.url, secret: server.secret, clock, ownCluster: true, subjects: [] };
}

test('passes requests and answers through', async () => {
  const settings = await start({ '/namespace': async ({ purpose }) => ({ name: `ns-${purpose}` }) });
  await expect(ask(settings, '/namespace', { subject: 's', purpose: 'p' })).resolves.toEqual({ name: 'ns-p' });
});

test.each([
  ['a missing prerequisite', new NotTestable('why'), NotTestable],
  ['a declaration', new NotApplicable('why'), NotApplicable],
  ['anything else', new TypeError('why'), HarnessError],
])('%s keeps its kind', async (_, thrown, kind) => {
  const settings = await start({
    '/namespace': async () => {
      throw thrown;
    },
  });
  const asked = ask(settings, '/namespace', { subject: 's', purpose: 'p' });
  await expect(asked).rejects.toBeInstanceOf(kind);
  await expect(asked).rejects.toThrow('why');
});

test('refuses whoever does not know the secret; a main process that is gone is a harness error', async () => {
  const settings = await start({ '/namespace': async () => ({ name: 'n' }) });
  const request = { subject: 's', purpose: 'p' };
  await expect(ask({ ...settings, secret: 'guess' }, '/namespace', request)).rejects.toThrow('wrong secret');
  await server?.close();
  await expect(ask(settings, '/namespace', request)).rejects.toBeInstanceOf(HarnessError);
});

test('what is claimed is made once; the others get it, or the reason why not', async () => {
  const settings = await start({});
  await expect(ask(settings, '/claim', { key: 'a' })).resolves.toEqual({ make: true });
  const waiting = ask(settings, '/claim', { key: 'a' });
  await ask(settings, '/fulfil', { key: 'a', value: { seen: 1 } });
  await expect(waiting).resolves.toEqual({ make: false, value: { seen: 1 } });
  await expect(ask(settings, '/claim', { key: 'a' })).resolves.toEqual({ make: false, value: { seen: 1 } });

  await ask(settings, '/claim', { key: 'b' });
  await ask(settings, '/fulfil', { key: 'b', error: toControlError(new NotTestable('no pod')) });
  await expect(ask(settings, '/claim', { key: 'b' })).rejects.toBeInstanceOf(NotTestable);
});
