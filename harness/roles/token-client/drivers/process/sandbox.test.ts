import { existsSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { makePki } from '../../../../core/pki.ts';
import { SIMULATED_HOSTS, simulatedSetups } from '../../../../fakes/simulated-providers.ts';
import type { RequirementContext } from '../../../../rpc/context.ts';
import type { Target } from '../../../../targets/load.ts';
import { configurationFiles } from '../../configure/files.ts';
import { configuredSimulated } from '../../configure/session.ts';
import { type ProcessSandbox, startProcessSandbox } from './sandbox.ts';

/** A client in a few lines, for a Node that knows its proxy by the environment. */
const CLIENT = `
const { readFileSync } = require('node:fs');
const [config, name] = process.argv.slice(1);
(async () => {
  const { issuer, tokenPath, clientId, baseURL } = JSON.parse(readFileSync(config, 'utf8'))[name];
  const { token_endpoint } = await (await fetch(issuer + '/.well-known/openid-configuration')).json();
  const form = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: readFileSync(tokenPath, 'utf8'), client_id: clientId };
  const { access_token } = await (await fetch(token_endpoint, { method: 'POST', body: new URLSearchParams(form) })).json();
  const answer = await fetch(baseURL + '/models', { headers: { authorization: 'Bearer ' + access_token } });
  console.log('answered', answer.status, await answer.text());
})().catch((error) => { console.error(String(error.cause ?? error)); process.exit(1); });
`;

/** The same as one process, which is asked by HTTP and counts its calls. */
const SERVER = `
const { execFile } = require('node:child_process');
let calls = 0;
const server = require('node:http').createServer((request, response) => {
  const [script, config] = process.argv.slice(1);
  const name = new URL(request.url, 'http://localhost').searchParams.get('provider');
  execFile(process.execPath, ['-e', script, config, name], (error, stdout, stderr) => response.end('call ' + ++calls + ': ' + stdout + stderr));
});
server.listen(0, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + server.address().port));
`;

const target = {
  file: 'client.yaml',
  folder: '/',
  capabilities: ['jwt_bearer'],
  files: { 'client.json': '${providers}' },
  provider: {
    issuer: '${provider.issuer}',
    tokenPath: '${provider.tokenPath}',
    clientId: '${provider.clientId}',
    baseURL: '${provider.baseURL}',
  },
  run: {
    form: 'process',
    install: [],
    env: { HTTPS_PROXY: '${proxy.url}', NODE_USE_ENV_PROXY: '1', NODE_EXTRA_CA_CERTS: '${ca.file}' },
    trigger: {
      kind: 'run-to-completion',
      command: ['${harness.node}', '-e', CLIENT, '${config.folder}/client.json', '${call.provider}'],
      success: 'answered 200',
    },
  },
} as unknown as Target<'token-client'>;

const stops: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const stop of stops.reverse()) {
    await stop();
  }
});

/** A sandbox with the files of all simulated providers, in the set `all`. */
async function sandboxFor(target: Target<'token-client'>): Promise<ProcessSandbox> {
  const pki = await makePki('unit');
  const context = {
    identityProvider: async () => ({
      host: 'idp.conformance.test',
      port: 8443,
      upstream: { address: '127.0.0.1', port: 9 },
      providers: [],
      ca: pki.ca,
    }),
    certificate: (host: string, extra?: { names?: string[] }) => pki.issue(host, extra),
    signal: new AbortController().signal,
  } as unknown as RequirementContext;
  const sandbox = await startProcessSandbox(context, target);
  stops.push(sandbox.stop);
  writeFileSync(sandbox.folder.at('late', 'token'), 'a subject token');
  const { configured } = configuredSimulated(
    target,
    simulatedSetups({
      hosts: SIMULATED_HOSTS,
      port: sandbox.observer.port,
      tokenPath: sandbox.folder.at('late', 'token'),
      swappedPath: sandbox.folder.at('late', 'token'),
    }),
    (name) => sandbox.observer.baseURL(name),
  );
  sandbox.folder.writeFiles('all', configurationFiles(target, configured, sandbox.values));
  return sandbox;
}

test('a process of this host that stays is started with a configuration, and asked until it is ended', {
  timeout: 30_000,
}, async () => {
  const trigger = {
    kind: 'http',
    command: ['${harness.node}', '-e', SERVER, CLIENT, '${config.folder}/client.json'],
    ready: 'listening on (http://\\S+)',
    method: 'GET',
    path: '/?provider=${call.provider}',
    success: 'answered 200',
  };
  const sandbox = await sandboxFor({
    ...target,
    run: { ...target.run, startSeconds: 20, trigger },
  } as unknown as Target<'token-client'>);
  await expect(sandbox.client.call('plain', 'all', 20_000)).rejects.toThrow(/called before it is started/);
  expect(await sandbox.client.start('all')).toBeUndefined();
  const first = sandbox.client.identity();
  expect(await sandbox.client.call('plain', 'all', 20_000)).toEqual({ ok: true, status: 200 });
  expect(await sandbox.client.call('refusing', 'all', 20_000)).toMatchObject({
    ok: false,
    error: expect.stringMatching(/fits \/answered 200\/.*call 2: answered 401/),
  });
  expect(sandbox.client.identity()).toEqual(first);
  expect(await sandbox.client.start('all')).toBeUndefined();
  expect(sandbox.client.identity()).not.toEqual(first);
  await sandbox.stop();
  expect(existsSync(sandbox.folder.at())).toBe(false);
});

test('a process of this host reaches those who watch it by their names, and nobody else', {
  timeout: 30_000,
}, async () => {
  const sandbox = await sandboxFor(target);
  expect(await sandbox.client.call('plain', 'all', 20_000)).toEqual({ ok: true });
  expect(await sandbox.client.call('refusing', 'all', 20_000)).toMatchObject({
    ok: false,
    error: expect.stringMatching(/does not fit.*answered 401/s),
  });
  expect(await sandbox.client.call('untrusted', 'all', 20_000)).toMatchObject({
    ok: false,
    error: expect.stringMatching(/exit code 1: .*certificate/s),
  });
  const records = await sandbox.observer.records();
  expect(
    records.filter((record) => record.kind === 'exchange').map(({ provider, status }) => [provider, status]),
  ).toEqual([
    ['plain', 200],
    ['refusing', 400],
  ]);
  expect(
    records.filter((record) => record.kind === 'resource').map(({ provider, status }) => [provider, status]),
  ).toEqual([
    ['plain', 200],
    ['refusing', 401],
  ]);
  expect(sandbox.client.output()).toContain('reference-model');
  await sandbox.stop();
  expect(existsSync(sandbox.folder.at())).toBe(false);
});
