import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { makePki, type RunPki } from '../../../core/pki.ts';
import { createClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { settingsSchema } from '../../../targets/settings.ts';
import type { StartedCluster } from '../cluster.ts';
import { attachKubeconfig } from '../kubeconfig.ts';
import { TargetAccesses } from '../target-access.ts';
import { type FakeApiServer, fakeApiServer, fakeConnectProxy, fakeSocksProxy, type Seen } from './fake-servers.ts';

const run = promisify(execFile);

/**
 * Held beside the harness where it is installed. A distribution's kubectl may ask a cluster even for this, so that
 * there is to be none.
 */
const hasKubectl = await run('kubectl', ['version', '--client'], {
  env: { PATH: process.env.PATH, KUBECONFIG: '/dev/null' },
}).then(
  () => true,
  () => false,
);

const VARIABLES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'NO_PROXY', 'no_proxy'];

// Some of them start kubectl, on a machine that may be busy.
vi.setConfig({ testTimeout: 60_000 });

let folder: string;
let api: FakeApiServer;
/** Of all API servers that a test does not start itself. */
let pki: RunPki;
const attached: StartedCluster[] = [];

beforeAll(async () => {
  pki = await makePki('test');
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
  api = await fakeApiServer({ names: ['private.example'], pki });
  for (const name of VARIABLES) {
    vi.stubEnv(name, '');
  }
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(attached.splice(0).map((cluster) => cluster.stop()));
  await api[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Parts {
  cluster?: Record<string, unknown>;
  user?: Record<string, unknown>;
  name?: string;
  namespace?: string;
}

function fileOf({ cluster = {}, user = { token: 't' }, name = 'one', namespace }: Parts): string {
  const file = join(folder, `${name}.json`);
  const whole = { server: `https://127.0.0.1:${api.port}`, 'certificate-authority-data': api.authority, ...cluster };
  writeFileSync(
    file,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': name,
      clusters: [{ name, cluster: whole }],
      users: [{ name, user }],
      contexts: [{ name, context: { cluster: name, user: name, ...(namespace === undefined ? {} : { namespace }) } }],
    }),
  );
  return file;
}

async function attach(context?: string): Promise<StartedCluster> {
  const cluster = await attachKubeconfig({
    runId: 'test',
    onProgress: () => undefined,
    ...(context === undefined ? {} : { context }),
  });
  attached.push(cluster);
  return cluster;
}

/** What the API server sees of a TokenRequest. */
function identity(seen: Seen[]): Omit<Seen, 'body'> | undefined {
  const found = seen.find(({ path }) => path.endsWith('/token'));
  if (found === undefined) {
    return undefined;
  }
  const { body, ...rest } = found;
  return rest;
}

/** Attaches, and looks whether kubectl, where there is one, is the same to the API server. */
async function expectAsKubectl(): Promise<Omit<Seen, 'body'>> {
  await attach();
  const own = identity(api.seen.splice(0));
  if (hasKubectl) {
    await run('kubectl', ['create', 'token', 'default', '-n', 'default', '--request-timeout=10s']);
    expect(own).toEqual(identity(api.seen.splice(0)));
  }
  if (own === undefined) {
    throw new Error('no TokenRequest was seen');
  }
  return own;
}

/** A plugin that prints what it is told to; `$KUBERNETES_EXEC_INFO` is kept in a file. */
function plugin(answer: unknown, exit = 0): Record<string, unknown> {
  const file = join(folder, 'plugin.sh');
  const lines = [
    '#!/bin/sh',
    `echo "$KUBERNETES_EXEC_INFO" >> ${join(folder, 'info')}`,
    `echo "words of the plugin" >&2`,
  ];
  writeFileSync(file, [...lines, `cat <<'END'\n${JSON.stringify(answer)}\nEND`, `exit ${exit}`, ''].join('\n'), {
    mode: 0o755,
  });
  return {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: './plugin.sh',
    interactiveMode: 'Never',
    provideClusterInfo: true,
  };
}

const credential = (status: unknown): unknown => ({
  apiVersion: 'client.authentication.k8s.io/v1',
  kind: 'ExecCredential',
  status,
});

describe('several files', () => {
  test('the first one that sets a value wins, a missing one is skipped, and one that stands there twice counts once', async () => {
    const other = fileOf({ name: 'other', user: { token: 'of the other' } });
    const first = fileOf({ name: 'first', user: { token: 'of the first' } });
    for (const files of [
      [first, other],
      [join(folder, 'none'), first, other],
      [first, first],
    ]) {
      vi.stubEnv('KUBECONFIG', files.join(delimiter));
      expect(await expectAsKubectl()).toMatchObject({ authorization: 'Bearer of the first' });
    }
  });

  test('an entry that two files have is that of the first, as a whole', async () => {
    writeFileSync(
      join(folder, 'before.json'),
      JSON.stringify({ users: [{ name: 'one', user: { as: 'jane', token: 'before' } }] }),
    );
    vi.stubEnv(
      'KUBECONFIG',
      [join(folder, 'before.json'), fileOf({ user: { token: 't', 'as-groups': ['g'], as: 'x' } })].join(delimiter),
    );
    expect(await expectAsKubectl()).toMatchObject({
      authorization: 'Bearer before',
      acting: { 'impersonate-user': ['jane'] },
    });
  });
});

describe('credentials', () => {
  test('a token file is trimmed, comes before a token, and is read again', async () => {
    writeFileSync(join(folder, 'token'), 'of the file\n');
    vi.stubEnv('KUBECONFIG', fileOf({ user: { tokenFile: 'token', token: 'fallback' } }));
    expect(await expectAsKubectl()).toMatchObject({ authorization: 'Bearer of the file' });
    const cluster = await attach();
    writeFileSync(join(folder, 'token'), ' rotated\n');
    await createClusterHandle(cluster.data).request('/version');
    expect(api.seen.at(-1)).toMatchObject({ path: '/version', authorization: 'Bearer rotated' });
    rmSync(join(folder, 'token'));
    await createClusterHandle(cluster.data).request('/version');
    expect(api.seen.at(-1)).toMatchObject({ authorization: 'Bearer rotated' });
  });

  test('a client certificate as paths, relative to the kubeconfig, or as data', async () => {
    const { cert, key } = await api.pki.issue('a-user');
    writeFileSync(join(folder, 'cert'), cert);
    writeFileSync(join(folder, 'key'), key);
    writeFileSync(join(folder, 'ca'), api.pki.ca);
    const cluster = { 'certificate-authority': 'ca', 'certificate-authority-data': undefined };
    vi.stubEnv('KUBECONFIG', fileOf({ cluster, user: { 'client-certificate': 'cert', 'client-key': './key' } }));
    expect(await expectAsKubectl()).toMatchObject({ certificate: 'a-user', authorization: undefined });
    const data = (text: string): string => Buffer.from(text).toString('base64');
    const user = { 'client-certificate-data': data(cert), 'client-key-data': data(key) };
    vi.stubEnv('KUBECONFIG', fileOf({ user }));
    expect(await expectAsKubectl()).toMatchObject({ certificate: 'a-user', authorization: undefined });
  });

  test('a username and a password', async () => {
    vi.stubEnv('KUBECONFIG', fileOf({ user: { username: 'u', password: 'p' } }));
    expect(await expectAsKubectl()).toMatchObject({ authorization: `Basic ${Buffer.from('u:p').toString('base64')}` });
  });

  test('whom to act as: user, groups, uid and extra fields', async () => {
    const user = {
      token: 't',
      as: 'jane',
      'as-uid': '7',
      'as-groups': ['a', 'b, c'],
      'as-user-extra': { 'example.org/scope': ['one', 'two'], plain: ['x'] },
    };
    vi.stubEnv('KUBECONFIG', fileOf({ user }));
    expect((await expectAsKubectl()).acting).toEqual({
      'impersonate-user': ['jane'],
      'impersonate-uid': ['7'],
      'impersonate-group': ['a', 'b, c'],
      'impersonate-extra-example.org%2fscope': ['one', 'two'],
      'impersonate-extra-plain': ['x'],
    });
  });

  test('a plugin is told of the cluster, asked once, and asked again when its token has expired or was refused', async () => {
    const cluster = {
      'tls-server-name': 'localhost',
      extensions: [{ name: 'client.authentication.k8s.io/exec', extension: { account: 'seven' } }],
    };
    vi.stubEnv('KUBECONFIG', fileOf({ cluster, user: { exec: plugin(credential({ token: 'of the plugin' })) } }));
    expect(await expectAsKubectl()).toMatchObject({ authorization: 'Bearer of the plugin' });
    const infos = (): unknown[] =>
      execFileSync('cat', [join(folder, 'info')], { encoding: 'utf8' })
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line));
    const [own, ofKubectl] = infos();
    expect(own).toMatchObject({
      spec: { interactive: false, cluster: { 'tls-server-name': 'localhost', config: { account: 'seven' } } },
    });
    if (hasKubectl) {
      expect(own).toEqual(ofKubectl);
    }
    const { data } = await attach();
    const before = infos().length;
    const handle = createClusterHandle(data);
    await handle.request('/version');
    expect(infos()).toHaveLength(before);
    api.answers.push({ status: 401 });
    await handle.request('/version');
    await handle.request('/version');
    expect(infos()).toHaveLength(before + 1);
  });

  test('what a plugin gave for an hour ago is not shown', async () => {
    const expirationTimestamp = new Date(Date.now() - 3_600_000).toISOString();
    vi.stubEnv('KUBECONFIG', fileOf({ user: { exec: plugin(credential({ token: 'x', expirationTimestamp })) } }));
    const { data } = await attach();
    const runs = (): number =>
      execFileSync('cat', [join(folder, 'info')], { encoding: 'utf8' })
        .trim()
        .split('\n').length;
    const before = runs();
    await createClusterHandle(data).request('/version');
    expect(runs()).toBe(before + 1);
  });

  test('a plugin may give a certificate', async () => {
    const { cert, key } = await api.pki.issue('of-the-plugin');
    const status = { clientCertificateData: cert, clientKeyData: key };
    vi.stubEnv('KUBECONFIG', fileOf({ user: { exec: plugin(credential(status)) } }));
    expect(await expectAsKubectl()).toMatchObject({ certificate: 'of-the-plugin', authorization: undefined });
  });

  test.each([
    [
      'that is not there',
      { command: 'no-such-plugin', installHint: 'get it at the fair' },
      /no-such-plugin is not installed.*\n.*the fair/,
    ],
    [
      'of another version',
      { apiVersion: 'client.authentication.k8s.io/v1alpha1' },
      /apiVersion "client.authentication.k8s.io\/v1alpha1"/,
    ],
    ['that wants a person', { interactiveMode: 'Always' }, /wants to ask a person.*no terminal/],
    ['without an interactiveMode', { interactiveMode: undefined }, /interactiveMode is ""/],
  ])('a plugin %s is an error of its own', async (_, change, message) => {
    vi.stubEnv('KUBECONFIG', fileOf({ user: { exec: { ...plugin(credential({ token: 'x' })), ...change } } }));
    await expect(attach()).rejects.toThrow(message);
  });

  test('a plugin that fails is told in its words', async () => {
    vi.stubEnv('KUBECONFIG', fileOf({ user: { exec: plugin({}, 3) } }));
    await expect(attach()).rejects.toThrow(
      /no credentials of user "one".*plugin.sh failed with exit code 3; it said: words of the plugin/,
    );
  });

  test('a plugin may answer in YAML', async () => {
    const answer = plugin(undefined);
    const lines = ['#!/bin/sh', "cat <<'END'", 'apiVersion: client.authentication.k8s.io/v1', 'kind: ExecCredential'];
    writeFileSync(join(folder, 'plugin.sh'), [...lines, 'status: { token: yaml }', 'END', ''].join('\n'));
    vi.stubEnv('KUBECONFIG', fileOf({ user: { exec: answer } }));
    expect(await expectAsKubectl()).toMatchObject({ authorization: 'Bearer yaml' });
  });

  const notPem = Buffer.from('no PEM').toString('base64');
  test.each<[string, () => Parts, RegExp]>([
    ['no credentials at all', () => ({ user: {} }), /holds neither a token nor a client certificate/],
    ['a password of nobody', () => ({ user: { password: 'p' } }), /holds neither a token nor a client certificate/],
    ['a token with a line break', () => ({ user: { token: 'a\n' } }), /no credentials of user "one".*a line break/],
    [
      'a certificate that is none',
      () => ({ user: { 'client-certificate-data': notPem, 'client-key-data': notPem } }),
      /no credentials of user "one".*the client certificate and the client key cannot be used together/,
    ],
    [
      'an authority that is none',
      () => ({ cluster: { 'certificate-authority-data': notPem } }),
      /the certificate-authority-data of the kubeconfig holds no certificate/,
    ],
    [
      'a plugin that gives no time',
      () => ({ user: { exec: plugin(credential({ token: 'x', expirationTimestamp: 'never' })) } }),
      /the expirationTimestamp "never", which is no time/,
    ],
    [
      'a plugin that gives a certificate of nobody',
      () => ({ user: { exec: plugin(credential({ clientCertificateData: 'a', clientKeyData: 'b' })) } }),
      /gave a certificate and a key that cannot be used together/,
    ],
    [
      'a plugin that Kubernetes has removed, beside a token',
      () => ({ user: { token: 't', 'auth-provider': { name: 'gcp' } } }),
      /auth-provider gcp is not supported/,
    ],
  ])('%s: kubectl asks nothing either', async (_, parts, message) => {
    vi.stubEnv('KUBECONFIG', fileOf(parts()));
    await expect(attach()).rejects.toThrow(message);
    if (hasKubectl) {
      const asks = run('kubectl', ['create', 'token', 'default', '-n', 'default', '--request-timeout=10s']);
      asks.child.stdin?.end();
      await expect(asks).rejects.toThrow();
    }
    expect(identity(api.seen)).toBeUndefined();
  });

  test('what nobody supports any more is refused by its name', async () => {
    vi.stubEnv('KUBECONFIG', fileOf({ user: { 'auth-provider': { name: 'gcp' } } }));
    await expect(attach()).rejects.toThrow(/auth-provider gcp is not supported/);
    vi.stubEnv('KUBECONFIG', fileOf({ user: { 'auth-provider': { name: 'oidc', config: {} } } }));
    await expect(attach()).rejects.toThrow(/id-token of auth-provider oidc is not there/);
  });

  test('to plain http nothing is shown but whom to act as', async () => {
    await using plain = await fakeApiServer({ plain: true });
    const cluster = { server: `http://127.0.0.1:${plain.port}`, 'certificate-authority-data': undefined };
    vi.stubEnv('KUBECONFIG', fileOf({ cluster, user: { token: 't', as: 'jane' } }));
    await attach();
    const own = identity(plain.seen.splice(0));
    expect(own).toMatchObject({ authorization: undefined, acting: { 'impersonate-user': ['jane'] } });
    if (hasKubectl) {
      await run('kubectl', ['create', 'token', 'default', '-n', 'default']);
      expect(identity(plain.seen)).toEqual(own);
    }
  });
});

describe('the way', () => {
  test('tls-server-name is asked for, and verified', async () => {
    const cluster = { 'tls-server-name': 'private.example' };
    vi.stubEnv('KUBECONFIG', fileOf({ cluster }));
    expect(await expectAsKubectl()).toMatchObject({ servername: 'private.example' });
    vi.stubEnv('KUBECONFIG', fileOf({ cluster: { 'tls-server-name': 'other.example' } }));
    await expect(attach()).rejects.toThrow(/is not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\)/);
  });

  test('insecure-skip-tls-verify', async () => {
    const cluster = { 'certificate-authority-data': undefined, 'insecure-skip-tls-verify': true };
    vi.stubEnv('KUBECONFIG', fileOf({ cluster }));
    await expectAsKubectl();
  });

  test('an IPv6 address, and a path of a front', async () => {
    await using front = await fakeApiServer({ host: '::1', prefix: '/k8s/clusters/lab' });
    const cluster = {
      server: `https://[::1]:${front.port}/k8s/clusters/lab/`,
      'certificate-authority-data': front.authority,
    };
    vi.stubEnv('KUBECONFIG', fileOf({ cluster }));
    const { data } = await attach();
    await createClusterHandle(data).request('/version');
    expect(front.seen.map(({ path }) => path)).toContain('/version');
  });

  test.each(['proxy-url', 'HTTPS_PROXY', 'https_proxy'])('an HTTP proxy by %s', async (by) => {
    await using proxy = await fakeConnectProxy({ password: 'me:secret' });
    const url = `http://me:secret@127.0.0.1:${proxy.port}`;
    const cluster = {
      server: `https://private.example:${api.port}`,
      ...(by === 'proxy-url' ? { 'proxy-url': url } : {}),
    };
    if (by !== 'proxy-url') {
      vi.stubEnv(by, url);
    }
    vi.stubEnv('KUBECONFIG', fileOf({ cluster }));
    await expectAsKubectl();
    expect(new Set(proxy.tunnels)).toEqual(new Set([`private.example:${api.port}`]));
  });

  test('an HTTPS proxy of the certificate authority', async () => {
    await using proxy = await fakeConnectProxy({ tls: await api.pki.issue('127.0.0.1') });
    const cluster = { server: `https://private.example:${api.port}`, 'proxy-url': `https://127.0.0.1:${proxy.port}` };
    vi.stubEnv('KUBECONFIG', fileOf({ cluster }));
    await expectAsKubectl();
    expect(proxy.tunnels).toContain(`private.example:${api.port}`);
  });

  test('a SOCKS5 proxy, which resolves the name', async () => {
    await using proxy = await fakeSocksProxy();
    const cluster = { server: `https://private.example:${api.port}`, 'proxy-url': `socks5://127.0.0.1:${proxy.port}` };
    vi.stubEnv('KUBECONFIG', fileOf({ cluster }));
    await expectAsKubectl();
    expect(new Set(proxy.tunnels)).toEqual(new Set([`private.example:${api.port}`]));
  });

  test('watch, exec and what shows credentials of its own go the same way', async () => {
    const { cert, key } = await api.pki.issue('a-user');
    const data = (text: string): string => Buffer.from(text).toString('base64');
    const user = {
      'client-certificate-data': data(cert),
      'client-key-data': data(key),
      as: 'jane',
      'as-groups': ['g'],
    };
    vi.stubEnv('KUBECONFIG', fileOf({ user }));
    const cluster = createClusterHandle((await attach()).data);
    expect(await cluster.exec('n', 'p', 'c', ['true'])).toEqual({ exitCode: 0, stdout: 'hello', stderr: '' });
    expect(api.seen.at(-1)).toMatchObject({
      path: '/api/v1/namespaces/n/pods/p/exec',
      certificate: 'a-user',
      acting: { 'impersonate-user': ['jane'], 'impersonate-group': ['g'] },
    });
    await cluster.callWithToken('of somebody else');
    expect(api.seen.at(-1)).toMatchObject({
      authorization: 'Bearer of somebody else',
      certificate: undefined,
      acting: {},
    });
    await cluster.requestWithoutCredentials('/version');
    expect(api.seen.at(-1)).toMatchObject({ authorization: undefined, certificate: undefined, acting: {} });
    await cluster.request('/version', { headers: { 'Impersonate-User': 'somebody' } });
    expect(api.seen.at(-1)).toMatchObject({ certificate: 'a-user', acting: { 'impersonate-user': ['somebody'] } });
  });

  test('a question into an idle connection that was just closed is asked again, and said so; an order is not', async () => {
    vi.stubEnv('KUBECONFIG', fileOf({}));
    const said: string[] = [];
    const cluster = await attachKubeconfig({ runId: 'test', onProgress: (message) => said.push(message) });
    attached.push(cluster);
    const handle = createClusterHandle(cluster.data);
    api.closesIdle = true;
    expect((await handle.request('/version')).status).toBe(200);
    expect(said.at(-1)).toBe('GET /version is asked again: an idle connection to the API server was closed');
    api.closesIdle = false;
    expect((await handle.request('/version')).status).toBe(200);
    api.closesIdle = true;
    const seen = api.seen.length;
    const order = await handle.request('/api/v1/namespaces', { method: 'POST', body: '{}' });
    expect([order.status, await order.json()]).toMatchObject([502, { reason: 'NoWayToTheApiServer' }]);
    expect(api.seen.length, 'nothing was asked a second time').toBe(seen);
    api.closesIdle = false;
    await handle.request('/version');
    api.closesIdle = true;
    expect(await handle.exec('n', 'p', 'c', ['true']), 'a command has a connection of its own').toMatchObject({
      exitCode: 0,
    });
  });
});

describe('what the harness makes', () => {
  const bodies = (): unknown[] =>
    api.seen.filter(({ path }) => path === '/api/v1/namespaces').map(({ body }) => JSON.parse(body));
  const made = { metadata: { name: 'a' } };
  const labelled = { metadata: { name: 'a', labels: { team: 'platform' } } };
  const attachWithSettings = async (): Promise<StartedCluster> => {
    vi.stubEnv('KUBECONFIG', fileOf({}));
    const settings = settingsSchema.parse({ labels: { team: 'platform' } });
    const cluster = await attachKubeconfig({ runId: 'test', settings, onProgress: () => undefined });
    attached.push(cluster);
    return cluster;
  };

  test('has what the settings say, whichever client makes it', async () => {
    const handle = createClusterHandle((await attachWithSettings()).data);
    await handle.core.createNamespace({ body: made });
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(made) };
    await handle.request('/api/v1/namespaces', init);
    expect(bodies()).toEqual([labelled, labelled]);
  });

  test('what somebody else makes passes as it is, unless it is taken as the harness’s own', async () => {
    const cluster = await attachWithSettings();
    const handle = createClusterHandle(cluster.data);
    const token = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"runner"}').toString('base64url')}.x`;
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(made),
    };
    await handle.requestWithoutCredentials('/api/v1/namespaces', init);
    cluster.takeAsOwn?.('runner');
    await handle.requestWithoutCredentials('/api/v1/namespaces', init);
    expect(bodies()).toEqual([made, labelled]);
  });

  test('is counted for the requirement that it is made for, with what was refused', async () => {
    const cluster = await attachWithSettings();
    const { data } = cluster;
    const kubeConfig = data.kubeConfig.replace(/("token":"[^"]*)"/, '$1.RB-01"');
    api.answers.push({ status: 403, body: { message: 'User "u" cannot create resource "namespaces"' } });
    await createClusterHandle({ ...data, kubeConfig })
      .core.createNamespace({ body: made })
      .catch(() => undefined);
    expect(cluster.ledger?.entries()).toEqual([
      { requirement: 'RB-01', verb: 'create', group: '', resource: 'namespaces', namespaced: false, count: 1 },
    ]);
    expect(cluster.ledger?.refusals('RB-01')).toEqual([
      'create namespaces: User "u" cannot create resource "namespaces"',
    ]);
    expect(cluster.ledger?.refusals('RB-02')).toEqual([]);
  });

  test('a front that takes no ServiceAccount tokens is known from the first question on', async () => {
    vi.stubEnv('KUBECONFIG', fileOf({}));
    expect((await attach()).data.misreadsTokens).toBeUndefined();
    api.refusesServiceAccounts = true;
    const { data } = await attach();
    expect(data.misreadsTokens).toBe('is answered with 401');
    await expect(createClusterHandle(data).callWithToken('x')).rejects.toThrow(/takes its own users alone/);
  });

  test('and so is one that shows credentials of its own in their place, as kubectl proxy may', async () => {
    vi.stubEnv('KUBECONFIG', fileOf({}));
    api.asksAs = 'system:admin';
    const { data } = await attach();
    expect(data.misreadsTokens).toBe('is taken for one of the user "system:admin"');
    await expect(createClusterHandle(data).callWithToken('x')).rejects.toThrow(/of the user "system:admin"/);
    await expect(
      new TargetAccesses('run').open({ data } as StartedCluster, await makePki('test'), { namespace: 'a', rules: [] }),
    ).rejects.toThrow(/of the user "system:admin"/);
  });
});

describe('what is wrong is told apart', () => {
  const expectRejection = async (parts: Parts, message: RegExp): Promise<void> => {
    vi.stubEnv('KUBECONFIG', fileOf(parts));
    await expect(attach()).rejects.toThrow(message);
  };

  test('a name that does not resolve', () =>
    expectRejection(
      { cluster: { server: 'https://nowhere.invalid:6443' } },
      /cannot be found.*nowhere|name does not resolve/,
    ));

  test('a port where nobody listens', async () => {
    const { port } = await fakeConnectProxy().then(async (proxy) => {
      await proxy[Symbol.asyncDispose]();
      return proxy;
    });
    await expectRejection({ cluster: { server: `https://127.0.0.1:${port}` } }, /refuses connections \(ECONNREFUSED\)/);
  });

  test('a certificate of somebody else', async () => {
    await using other = await fakeApiServer();
    await expectRejection(
      { cluster: { server: `https://127.0.0.1:${other.port}` } },
      /is not trusted \([A-Z_]+\): its certificate is not of the certificate authority of the kubeconfig/,
    );
  });

  test('a server that speaks no TLS', async () => {
    await using plain = await fakeApiServer({ plain: true });
    await expectRejection(
      { cluster: { server: `https://127.0.0.1:${plain.port}` } },
      /is not trusted.*TLS|SSL|ended the connection/i,
    );
  });

  test('a user whom nobody knows', async () => {
    api.answers.push({ status: 401, body: { message: 'Unauthorized' } });
    await expectRejection({}, /does not know user "one" of context "one" \(401\): Unauthorized/);
  });

  test('a user who may not', async () => {
    const refusal = { status: 403, body: { message: 'User "u" cannot create resource "serviceaccounts/token"' } };
    api.answers.push(refusal, { status: 403, body: { message: 'no discovery either' } });
    await expectRejection({}, /forbids user "one" to create serviceaccounts\/token.*\(403\): User "u" cannot create/);
  });

  test('without the right to make tokens, discovery says the issuer', async () => {
    api.answers.push({ status: 403 });
    vi.stubEnv('KUBECONFIG', fileOf({}));
    expect((await attach()).data).toMatchObject({
      issuer: 'https://issuer.example',
      apiAudiences: ['https://issuer.example'],
    });
  });

  test('a login page', async () => {
    api.answers.push({ status: 302 });
    await expectRejection({}, /sends elsewhere \(302\)/);
  });

  test('a proxy that wants a password', async () => {
    await using proxy = await fakeConnectProxy({ password: 'me:secret' });
    await expectRejection(
      { cluster: { 'proxy-url': `http://127.0.0.1:${proxy.port}` } },
      /cannot be reached: the proxy http:\/\/127.0.0.1:\d+ opened no tunnel.*407.*password/,
    );
  });

  test('a way that is gone while the run works is told by the gateway', async () => {
    vi.stubEnv('KUBECONFIG', fileOf({}));
    const cluster = await attach();
    const handle = createClusterHandle(cluster.data);
    await api[Symbol.asyncDispose]();
    const answer = await handle.request('/version');
    expect([answer.status, await answer.json()]).toEqual([
      502,
      expect.objectContaining({ reason: 'NoWayToTheApiServer', message: expect.stringMatching(/ECONNREFUSED/) }),
    ]);
    await expect(handle.callWithToken('x')).rejects.toThrow();
    await expect(cluster.assertAlive()).rejects.toThrow(/ECONNREFUSED/);
    api = await fakeApiServer();
  });
});
