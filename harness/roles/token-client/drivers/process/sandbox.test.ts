import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makePki } from '../../../../core/pki.ts';
import { SIMULATED_HOSTS, simulatedSetups } from '../../../../fakes/simulated-providers.ts';
import type { RequirementContext } from '../../../../rpc/context.ts';
import type { Target } from '../../../../targets/load.ts';
import { configurationFiles } from '../../configure/files.ts';
import { configuredSimulated } from '../../configure/session.ts';
import { type ProcessRig, startProcessRig, sweepFolders } from './sandbox.ts';

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

test('folders of processes that are gone are removed, others are left', () => {
  const parent = mkdtempSync(join(tmpdir(), 'rig-test-'));
  stops.push(async () => rmSync(parent, { recursive: true }));
  // Above the highest process id of Linux (kernel.pid_max).
  const names = [
    'kube-agent-conformance-client-4194399-abc',
    `kube-agent-conformance-client-${process.pid}-abc`,
    'other',
  ];
  for (const name of names) {
    mkdirSync(join(parent, name));
  }
  sweepFolders(parent);
  expect(readdirSync(parent).sort()).toEqual(names.slice(1).sort());
});

/** A rig with the files of all simulated providers, in the set `all`. */
async function rigFor(target: Target<'token-client'>): Promise<ProcessRig> {
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
  const rig = await startProcessRig(context, target);
  stops.push(rig.stop);
  writeFileSync(rig.at('late', 'token'), 'a subject token');
  const { configured } = configuredSimulated(
    target,
    simulatedSetups({
      hosts: SIMULATED_HOSTS,
      port: rig.port,
      tokenPath: rig.at('late', 'token'),
      swappedPath: rig.at('late', 'token'),
    }),
    rig.baseURL,
  );
  rig.writeFiles('all', configurationFiles(target, configured, rig.values));
  return rig;
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
  const rig = await rigFor({
    ...target,
    run: { ...target.run, startSeconds: 20, trigger },
  } as unknown as Target<'token-client'>);
  await expect(rig.call('plain', 'all', 20_000)).rejects.toThrow(/called before it is started/);
  expect(await rig.start('all')).toBeUndefined();
  const first = rig.identity();
  expect(await rig.call('plain', 'all', 20_000)).toEqual({ ok: true, status: 200 });
  expect(await rig.call('refusing', 'all', 20_000)).toMatchObject({
    ok: false,
    error: expect.stringMatching(/fits \/answered 200\/.*call 2: answered 401/),
  });
  expect(rig.identity()).toEqual(first);
  expect(await rig.start('all')).toBeUndefined();
  expect(rig.identity()).not.toEqual(first);
  await rig.stop();
  expect(existsSync(rig.at())).toBe(false);
});

test('a process of this host reaches those who watch it by their names, and nobody else', {
  timeout: 30_000,
}, async () => {
  const rig = await rigFor(target);
  expect(await rig.call('plain', 'all', 20_000)).toEqual({ ok: true });
  expect(await rig.call('refusing', 'all', 20_000)).toMatchObject({
    ok: false,
    error: expect.stringMatching(/does not fit.*answered 401/s),
  });
  expect(await rig.call('untrusted', 'all', 20_000)).toMatchObject({
    ok: false,
    error: expect.stringMatching(/exit code 1: .*certificate/s),
  });
  const records = await rig.records();
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
  expect(rig.output()).toContain('reference-model');
  await rig.stop();
  expect(existsSync(rig.at())).toBe(false);
});
