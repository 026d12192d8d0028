import { tmpdir } from 'node:os';
import { afterEach, expect, test } from 'vitest';
import { type ResidentClient, startResident } from './resident.ts';

/**
 * A client that answers `/call` by what it is asked, waits for ever at `/silent`, and ends at `/crash`; `/loaded` is
 * answered by its argument.
 */
const CLIENT = `
const server = require('node:http').createServer(async (request, response) => {
  if (request.url === '/crash') process.exit(7);
  if (request.url === '/silent') return;
  if (request.url === '/loaded') { response.statusCode = Number(process.env.LOADED); response.end('no configuration'); return; }
  let body = '';
  for await (const chunk of request) body += chunk;
  response.end(JSON.stringify({ ok: true, status: 200, error: process.env.WORD + ' ' + body }));
});
server.listen(0, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + server.address().port));
`;

const started: ResidentClient[] = [];

afterEach(async () => {
  for (const client of started.splice(0)) {
    await client.end();
  }
});

async function start(
  change: { script?: string; command?: string[]; loaded?: string; path?: string; startSeconds?: number } = {},
): Promise<{ client: ResidentClient | undefined; why: string | undefined; output: () => string }> {
  const { script = CLIENT, loaded = '200', path = '/call', startSeconds = 20 } = change;
  const written: string[] = [];
  const client = await startResident(
    {
      command: change.command ?? [process.execPath, '-e', script],
      env: { PATH: process.env.PATH ?? '', WORD: 'asked', LOADED: loaded },
      cwd: tmpdir(),
      ready: 'listening on (http://\\S+)',
      warmUp: '/loaded',
      startSeconds,
      request: { method: 'POST', path, body: { provider: '${call.provider}' } },
      where: 'client.yaml: run.trigger',
      signal: new AbortController().signal,
    },
    (text) => written.push(text),
  );
  const output = (): string => written.join('');
  if (typeof client === 'string') {
    return { client: undefined, why: client, output };
  }
  started.push(client);
  return { client, why: undefined, output };
}

const values = { 'call.provider': 'production' };

test('a client that stays answers its calls, all in one process', async () => {
  const { client, output } = await start();
  expect(await client?.call(values, 5_000)).toEqual({
    ok: true,
    status: 200,
    error: 'asked {"provider":"production"}',
  });
  const before = client?.identity();
  expect(await client?.call(values, 5_000)).toMatchObject({ ok: true });
  expect(client?.identity()).toEqual(before);
  expect(output()).toContain('listening on');
});

test('one that does not answer in time has not answered', async () => {
  const { client } = await start({ path: '/silent' });
  expect(await client?.call(values, 100)).toBeUndefined();
});

test('one that ends fails its calls from then on, and is another process', async () => {
  const { client } = await start({ path: '/crash' });
  const before = client?.identity();
  expect(await client?.call(values, 5_000)).toMatchObject({ ok: false, error: expect.any(String) });
  // At once: a client that crashed is not called another one's process only because nobody noticed yet.
  expect(client?.identity()).not.toEqual(before);
  expect(await client?.call(values, 5_000)).toEqual({
    ok: false,
    error: expect.stringMatching(/the client ended by exit code 7/),
  });
});

test('one whose child holds its output open has ended all the same', async () => {
  const child = "require('node:child_process').spawn('sleep', ['30'], { stdio: 'inherit' });";
  const { client } = await start({ script: `${child}${CLIENT}`, path: '/crash' });
  const before = client?.identity() ?? {};
  expect(await client?.call(values, 5_000)).toMatchObject({ ok: false });
  expect(await client?.settledIdentity()).not.toEqual(before);
});

test.each([
  [{ script: 'console.error("no configuration"); process.exit(3)' }, /ended by exit code 3: no configuration/],
  [{ loaded: '500' }, /the client answers 500 to \/loaded: no configuration/],
  [{ script: 'setInterval(() => {}, 1000)', startSeconds: 0.3 }, /wrote nothing that fits .* within 0.3 s/],
])('one that cannot be called says why: %j', async (change, why) => {
  expect((await start(change)).why).toMatch(why);
});

test('one that cannot be started is a fault of the harness', async () => {
  await expect(start({ command: ['/nowhere/client'] })).rejects.toThrow(/\/nowhere\/client cannot be started/);
});
