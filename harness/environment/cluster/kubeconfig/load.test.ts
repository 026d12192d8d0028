import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { UsageError } from '../../../core/errors.ts';
import { type Attachment, loadKubeconfig } from './load.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

const whole = ({ cluster = '{ server: https://a }', user = '{ token: t }', context = '' } = {}): string => `
current-context: x
clusters: [{ name: c, cluster: ${cluster} }]
users: [{ name: u, user: ${user} }]
contexts: [{ name: x, context: { cluster: c, user: u${context} } }, { name: y, context: { cluster: none, user: u } }]
`;

const load = (files: string[], context?: string): Attachment =>
  loadKubeconfig({
    env: { KUBECONFIG: files.join(delimiter), HOME: folder },
    serviceAccountFolder: join(folder, 'none'),
    ...(context === undefined ? {} : { context }),
  });

test('values and entries of several files, each with the paths of its own folder', () => {
  const one = write('one/config', 'users: [{ name: u, user: { tokenFile: token, exec: null } }]');
  const two = write('two/config', whole({ cluster: '{ server: https://a/, certificate-authority: ../ca }' }));
  expect(load([one, two])).toMatchObject({
    context: 'x',
    namespace: 'default',
    cluster: { server: 'https://a/', 'certificate-authority': join(folder, 'ca') },
    user: { tokenFile: join(folder, 'one/token') },
    source: `${one}, ${two}`,
  });
  expect(load([one, two]).user.token).toBeUndefined();
  expect(load([two, one]).user.token).toBe('t');
  expect(load([two, one]).user.tokenFile).toBeUndefined();
});

test('a plugin is found beside the kubeconfig where it is a path, and by PATH where it is a word', () => {
  const exec = (command: string): string =>
    `{ exec: { apiVersion: client.authentication.k8s.io/v1beta1, command: ${command} } }`;
  const found = (command: string): string | undefined =>
    load([write('config', whole({ user: exec(command) }))]).user.exec?.command;
  expect(found('./bin/login')).toBe(join(folder, 'bin/login'));
  expect(found('aws')).toBe('aws');
});

test('YAML as kubectl reads it: words for booleans, empty entries', () => {
  const text = whole({ cluster: '{ server: https://a, insecure-skip-tls-verify: yes }', user: '' });
  const { cluster, user } = load([write('config', text)]);
  expect(cluster['insecure-skip-tls-verify']).toBe(true);
  expect(user.token).toBeUndefined();
});

test('the first document, merged keys, and the last of two keys of one name', () => {
  const { user, cluster } = load([
    write(
      'config',
      `${whole({ user: '{ <<: { token: merged }, as: one, as: two }' })}---\n${whole({ user: '{ token: later }' })}`,
    ),
  ]);
  expect(user).toMatchObject({ token: 'merged', as: 'two' });
  expect(cluster.server).toBe('https://a');
});

test('a scheme has one spelling, and an address without one is plain http', () => {
  const server = (written: string): string =>
    load([write('config', whole({ cluster: `{ server: "${written}" }` }))]).cluster.server;
  expect(server('HTTPS://A:6443')).toBe('https://A:6443');
  expect(server('HTTP://a')).toBe('http://a');
  expect(server('localhost:8001')).toBe('http://localhost:8001');
});

test('~/.kube/config where KUBECONFIG is not set', () => {
  write('.kube/config', whole({ context: ', namespace: team-a' }));
  expect(loadKubeconfig({ env: { HOME: folder } })).toMatchObject({ namespace: 'team-a' });
  const named = { env: { HOME: folder, KUBECONFIG: delimiter }, serviceAccountFolder: folder };
  expect(() => loadKubeconfig(named)).toThrow(/KUBECONFIG names no file/);
});

test('the ServiceAccount of a pod, where there is no kubeconfig at all', () => {
  write('sa/token', 'token');
  write('sa/ca.crt', 'ca');
  write('sa/namespace', 'team-a\n');
  const env = { HOME: folder, KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
  const options = { env, serviceAccountFolder: join(folder, 'sa') };
  expect(loadKubeconfig(options)).toMatchObject({
    context: 'in-cluster',
    namespace: 'team-a',
    cluster: { server: 'https://[fd00::1]:443', 'certificate-authority': join(folder, 'sa/ca.crt') },
    user: { tokenFile: join(folder, 'sa/token') },
    source: 'in-cluster configuration',
  });
  expect(loadKubeconfig({ ...options, env: { ...env, POD_NAMESPACE: 'team-b' } }).namespace).toBe('team-b');
  write('.kube/config', whole());
  expect(loadKubeconfig(options)).toMatchObject({ context: 'x' });
});

test('nothing at all is told with where it was looked for', () => {
  expect(() => load([join(folder, 'a'), join(folder, 'b')])).toThrow(
    /no kubeconfig: KUBECONFIG names .*a, .*b: no such file/,
  );
  const env = { HOME: folder };
  expect(() => loadKubeconfig({ env, serviceAccountFolder: folder })).toThrow(
    /KUBECONFIG is not set, and .*\.kube\/config does not exist/,
  );
});

test('a missing file is named beside those that are there', () => {
  const file = write('config', whole());
  expect(load([join(folder, 'gone'), file, file])).toMatchObject({ missing: [join(folder, 'gone')], source: file });
});

test.each<[string, string, RegExp]>([
  ['no YAML', 'a: [', /cannot be read/],
  ['another shape', 'clusters: 7', /is not well-formed/],
  ['one name twice', 'users: [{ name: u }, { name: u }]', /has two users named "u"/],
  ['no current context', 'contexts: [{ name: x, context: {} }]', /no current context: give --context; it has x/],
  ['no server', whole({ cluster: '{}' }), /cluster "c" of the kubeconfig has no server/],
  ['another scheme', whole({ cluster: '{ server: "ftp://a" }' }), /"ftp:\/\/a", which is no http or https URL/],
  [
    'a password in a server',
    whole({ cluster: '{ server: "https://joe:secret@a" }' }),
    /has a name or a password in its server "https:\/\/\*\*\*@a"/,
  ],
  ['another kind', `kind: Pod${whole()}`, /is not well-formed[\s\S]*kind/],
  ['another version', `apiVersion: v2${whole()}`, /is not well-formed[\s\S]*apiVersion/],
  ['a token that is a number', whole({ user: '{ token: 0123 }' }), /is no string: put it in quotes[\s\S]*token/],
  [
    'an authority that is no base64',
    whole({ cluster: '{ server: https://a, certificate-authority-data: "@@" }' }),
    /is no base64[\s\S]*certificate-authority-data/,
  ],
  [
    'base64 without its padding',
    whole({ user: '{ client-certificate-data: YQ, client-key-data: YQ== }' }),
    /is no base64[\s\S]*client-certificate-data/,
  ],
  [
    'a token file beside a username',
    whole({ user: '{ tokenFile: t, username: u }' }),
    /both a tokenFile and a username/,
  ],
  [
    'a plugin whose variable has no name',
    whole({ user: '{ exec: { apiVersion: client.authentication.k8s.io/v1beta1, command: c, env: [{ name: "" }] } }' }),
    /a variable without a name/,
  ],
  [
    'a proxy of another kind',
    whole({ cluster: '{ server: https://a, proxy-url: "ftp://p" }' }),
    /proxy-url of cluster "c" is "ftp:\/\/p"/,
  ],
  [
    'two authorities',
    whole({ cluster: '{ server: https://a, certificate-authority: a, certificate-authority-data: YQ== }' }),
    /both certificate-authority and certificate-authority-data/,
  ],
  [
    'an authority that is not asked',
    whole({ cluster: '{ server: https://a, certificate-authority: a, insecure-skip-tls-verify: true }' }),
    /both insecure-skip-tls-verify and a certificate authority/,
  ],
  ['two credentials', whole({ user: '{ token: t, username: u }' }), /both a token and a username/],
  ['a certificate without a key', whole({ user: '{ client-certificate: c }' }), /no client-key/],
  ['a group of nobody', whole({ user: '{ as-groups: [g] }' }), /and no "as"/],
  [
    'a plugin of no command',
    whole({ user: '{ exec: { apiVersion: client.authentication.k8s.io/v1 } }' }),
    /without a command/,
  ],
  ['a namespace that is none', whole({ context: ', namespace: "A B"' }), /"A B", which is no DNS label/],
])('%s is refused', (_, text, message) => {
  const file = write('config', text);
  expect(() => load([file])).toThrow(UsageError);
  expect(() => load([file])).toThrow(message);
});

test.each(['', ', user: ""', ', user: nobody'])('a server of plain http needs no user%s', (user) => {
  const text = `{ clusters: [{ name: c, cluster: { server: "http://127.0.0.1:8001" } }], contexts: [{ name: x, context: { cluster: c${user} } }], current-context: x }`;
  expect(load([write('config', text)])).toMatchObject({ cluster: { server: 'http://127.0.0.1:8001' }, user: {} });
  const secure = text.replace('http:', 'https:');
  expect(() => load([write('config', secure)])).toThrow(
    /names no user|names the user "nobody", which it does not have/,
  );
});

test('in a pod the cluster of the pod is known beside those of a kubeconfig', () => {
  const pod = join(folder, 'pod');
  mkdirSync(pod);
  for (const name of ['token', 'ca.crt', 'namespace']) {
    writeFileSync(join(pod, name), 'default');
  }
  const inside = { HOME: folder, KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' };
  const alone = { env: inside, serviceAccountFolder: pod };
  expect(() => loadKubeconfig({ ...alone, context: 'x' })).toThrow(
    /no context "x": this pod knows its own cluster alone.*Secret/,
  );
  const both = { env: { ...inside, KUBECONFIG: write('config', whole()) }, serviceAccountFolder: pod };
  expect(loadKubeconfig({ ...both, context: 'in-cluster' }).cluster.server).toBe('https://10.0.0.1:443');
  expect(loadKubeconfig({ ...both, context: 'x' }).context).toBe('x');
  expect(() => loadKubeconfig({ ...both, context: 'in-cluster', serviceAccountFolder: folder })).toThrow(
    /has no context "in-cluster"; it has x, y/,
  );
});

test('a context that is not there, or leads nowhere, is told', () => {
  const file = write('config', whole());
  expect(() => load([file], 'z')).toThrow(/has no context "z"; it has x, y/);
  expect(() => load([file], 'y')).toThrow(/context "y".*names the cluster "none", which it does not have/);
});
