import { expect, test } from 'vitest';
import { IssuesApi } from './issues-api.ts';

test('an issue and a run are under way until they are cancelled', async () => {
  await using api = await IssuesApi.start();
  const ask = async (path: string): Promise<unknown> => (await fetch(`${api.url}${path}`)).json();
  expect(await ask('/api/issues/one%2F%E2%80%A6')).toEqual({ id: 'one/…', status: 'in_progress' });
  expect(await ask('/api/heartbeat-runs/two?full=1')).toEqual({ id: 'two', status: 'running' });
  api.cancel('one/…');
  expect(await ask('/api/issues/one%2F%E2%80%A6')).toEqual({ id: 'one/…', status: 'cancelled' });
  expect(await ask('/api/heartbeat-runs/two')).toEqual({ id: 'two', status: 'running' });
  expect(await ask('/api/agents')).toEqual({});
  expect(api.requests).toHaveLength(5);
});

test('it fails on demand', async () => {
  await using api = await IssuesApi.start();
  api.setFaults([{ kind: 'server-error', times: 1 }]);
  expect((await fetch(`${api.url}/api/issues/one`)).status).toBe(500);
  expect((await fetch(`${api.url}/api/issues/one`)).status).toBe(200);
});
