import { existsSync, readFileSync, statSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { HarnessError, UsageError } from '../../../core/errors.ts';
import {
  type ClusterEntry,
  type ContextEntry,
  type KubeconfigFile,
  kubeconfigFileSchema,
  type UserEntry,
  userSchema,
} from './file.ts';
import { checkProxyUrl, withoutPassword } from './proxy.ts';

/** What a context of a kubeconfig leads to, with all relative paths made absolute. */
export interface Attachment {
  /** Name of the context; `in-cluster` for the configuration of a pod. */
  context: string;
  clusterName: string;
  userName: string;
  /** Of the context; `default` where it names none, as kubectl has it. */
  namespace: string;
  cluster: ClusterEntry & { server: string };
  user: UserEntry;
  /** Where it was read, for messages. */
  source: string;
  /** Files that KUBECONFIG names and that do not exist. */
  missing: string[];
}

export interface LoadOptions {
  /** Context; default: the current one. */
  context?: string;
  /** Default: those of this process. */
  env?: NodeJS.ProcessEnv;
  /** Where a pod finds its ServiceAccount. */
  serviceAccountFolder?: string;
}

/** Where the kubelet mounts the ServiceAccount of a pod (Kubernetes, "Accessing the Kubernetes API from a Pod"). */
const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Stands for a context where the configuration is that of a pod. */
export const IN_CLUSTER = 'in-cluster';

const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

interface Merged {
  currentContext: string | undefined;
  clusters: Map<string, ClusterEntry>;
  users: Map<string, UserEntry>;
  contexts: Map<string, ContextEntry>;
}

function absolute<T extends Record<string, unknown>>(entry: T, keys: readonly string[], folder: string): T {
  const changed = keys.flatMap((key) => {
    const path = entry[key];
    return typeof path === 'string' && !isAbsolute(path) ? [[key, join(folder, path)]] : [];
  });
  return { ...entry, ...Object.fromEntries(changed) };
}

const clusterIn = (folder: string, cluster: ClusterEntry): ClusterEntry =>
  absolute(cluster, ['certificate-authority'], folder);

function userIn(folder: string, user: UserEntry): UserEntry {
  const { exec } = user;
  const found = absolute(user, ['client-certificate', 'client-key', 'tokenFile'], folder);
  // A plain word is looked up in PATH.
  return exec?.command?.includes(sep) === true
    ? { ...found, exec: { ...exec, command: resolve(folder, exec.command) } }
    : found;
}

/**
 * As Go's YAML reads it: the first document alone, `<<` merges, and of a key that stands there twice the last counts.
 */
function documentOf(text: string): unknown {
  const [document] = parseAllDocuments(text, { merge: true, uniqueKeys: false });
  if (document === undefined || !('errors' in document)) {
    return undefined;
  }
  const [error] = document.errors;
  if (error !== undefined) {
    throw error;
  }
  return document.toJS();
}

function readFile(path: string): KubeconfigFile {
  let document: unknown;
  try {
    document = documentOf(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`the kubeconfig ${path} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
  const read = kubeconfigFileSchema.safeParse(document ?? {});
  if (!read.success) {
    throw new UsageError(`the kubeconfig ${path} is not well-formed:\n${z.prettifyError(read.error)}`);
  }
  const { clusters, users, contexts } = read.data;
  for (const [what, list] of Object.entries({ clusters, users, contexts })) {
    const names = list.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) < index);
    if (twice !== undefined) {
      throw new UsageError(`the kubeconfig ${path} has two ${what} named "${twice}"`);
    }
  }
  return read.data;
}

/**
 * The first file that sets a value wins, and so does the first that has an entry of a name, as a whole; relative paths
 * are relative to the file that they stand in (Kubernetes, "Organizing Cluster Access Using kubeconfig Files", "Merging
 * kubeconfig files").
 */
function merge(paths: string[]): Merged {
  const merged: Merged = { currentContext: undefined, clusters: new Map(), users: new Map(), contexts: new Map() };
  const add = <T>(map: Map<string, T>, list: { name: string; entry: T }[], place: (entry: T) => T): void => {
    for (const { name, entry } of list) {
      if (!map.has(name)) {
        map.set(name, place(entry));
      }
    }
  };
  for (const path of paths) {
    const file = readFile(path);
    const folder = dirname(resolve(path));
    merged.currentContext ??= file['current-context'];
    add(merged.clusters, file.clusters, (cluster) => clusterIn(folder, cluster));
    add(merged.users, file.users, (user) => userIn(folder, user));
    add(merged.contexts, file.contexts, (context) => context);
  }
  return merged;
}

/** Whoever shows nothing. */
const NOBODY = userSchema.parse({});

/** The configuration that a pod has by its ServiceAccount; undefined outside of one. */
function inCluster(env: NodeJS.ProcessEnv, folder: string): Attachment | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  const tokenFile = join(folder, 'token');
  if (!host || !port || !existsSync(tokenFile) || statSync(tokenFile).isDirectory()) {
    return undefined;
  }
  const namespaceFile = join(folder, 'namespace');
  const namespace =
    env.POD_NAMESPACE || (existsSync(namespaceFile) ? readFileSync(namespaceFile, 'utf8').trim() : '') || 'default';
  const ca = join(folder, 'ca.crt');
  const file = kubeconfigFileSchema.parse({
    clusters: [
      {
        name: IN_CLUSTER,
        cluster: {
          server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
          ...(existsSync(ca) ? { 'certificate-authority': ca } : {}),
        },
      },
    ],
    users: [{ name: IN_CLUSTER, user: { tokenFile } }],
  });
  const [cluster] = file.clusters;
  const [user] = file.users;
  if (cluster?.entry.server === undefined || user === undefined) {
    return undefined;
  }
  return {
    context: IN_CLUSTER,
    clusterName: IN_CLUSTER,
    userName: `the ServiceAccount of this pod`,
    namespace,
    cluster: { ...cluster.entry, server: cluster.entry.server },
    user: user.entry,
    source: 'in-cluster configuration',
    missing: [],
  };
}

/**
 * An address without a scheme is one of plain http (client-go, `rest.DefaultServerURL`); undefined for what is no URL.
 */
function serverUrl(written: string): string | undefined {
  const whole = written.includes('://') ? written : `http://${written}`;
  const [, scheme = '', rest = ''] = /^(https?)(:\/\/[^\s]+)$/i.exec(whole) ?? [];
  // What decides whether credentials may be shown looks at the scheme: it has one spelling.
  const server = scheme.toLowerCase() + rest;
  return scheme !== '' && URL.canParse(server) ? server : undefined;
}

/** What kubectl refuses of a cluster's entry. */
function checkCluster(name: string, cluster: ClusterEntry): ClusterEntry & { server: string } {
  const { server: written } = cluster;
  if (written === undefined) {
    throw new UsageError(`cluster "${name}" of the kubeconfig has no server`);
  }
  const server = serverUrl(written);
  if (server === undefined) {
    throw new UsageError(
      `cluster "${name}" of the kubeconfig has the server "${withoutPassword(written)}", which is no http or https URL`,
    );
  }
  const { username, password } = new URL(server);
  if (username !== '' || password !== '') {
    throw new UsageError(
      `cluster "${name}" of the kubeconfig has a name or a password in its server "${withoutPassword(written)}": they belong to the user`,
    );
  }
  if (cluster['proxy-url'] !== undefined) {
    checkProxyUrl(cluster['proxy-url'], `proxy-url of cluster "${name}"`);
  }
  const authority = cluster['certificate-authority'];
  if (authority !== undefined && cluster['certificate-authority-data'] !== undefined) {
    throw new UsageError(
      `cluster "${name}" of the kubeconfig has both certificate-authority and certificate-authority-data: only one is allowed`,
    );
  }
  const hasAuthority = authority !== undefined || cluster['certificate-authority-data'] !== undefined;
  if (cluster['insecure-skip-tls-verify'] === true && hasAuthority) {
    throw new UsageError(
      `cluster "${name}" of the kubeconfig has both insecure-skip-tls-verify and a certificate authority: only one is allowed`,
    );
  }
  return { ...cluster, server };
}

const EXEC_MODES = ['Never', 'IfAvailable', 'Always'];
const EXEC_VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];

/** What kubectl refuses of a user's entry, and what it can do and the harness cannot. */
function checkUser(name: string, user: UserEntry): void {
  const refuse = (why: string): never => {
    throw new UsageError(`user "${name}" of the kubeconfig ${why}`);
  };
  const { exec, 'auth-provider': provider } = user;
  const basic = user.username !== undefined || user.password !== undefined;
  if (user.token !== undefined && basic) {
    refuse('has both a token and a username: only one is allowed');
  }
  if (user.tokenFile !== undefined && basic) {
    refuse('has both a tokenFile and a username: only one is allowed');
  }
  const certificate = user['client-certificate'] !== undefined || user['client-certificate-data'] !== undefined;
  const key = user['client-key'] !== undefined || user['client-key-data'] !== undefined;
  if (certificate && !key) {
    refuse('has a client certificate and no client-key or client-key-data');
  }
  for (const word of ['client-certificate', 'client-key'] as const) {
    if (user[word] !== undefined && user[`${word}-data`] !== undefined) {
      refuse(`has both ${word} and ${word}-data: only one is allowed`);
    }
  }
  const more =
    user['as-uid'] !== undefined || user['as-groups'].length > 0 || Object.keys(user['as-user-extra']).length > 0;
  if (more && user.as === undefined) {
    refuse('has as-uid, as-groups or as-user-extra, and no "as"');
  }
  if (exec !== undefined) {
    if (provider !== undefined) {
      refuse('has both exec and auth-provider: only one is allowed');
    }
    if (exec.command === undefined) {
      refuse('has an exec plugin without a command');
    }
    if (exec.env.some((variable) => variable.name === '')) {
      refuse('has an exec plugin with a variable without a name');
    }
    const version = exec.apiVersion ?? '';
    if (!EXEC_VERSIONS.includes(version)) {
      refuse(`has an exec plugin of apiVersion "${version}"; known are ${EXEC_VERSIONS.join(' and ')}`);
    }
    const mode = exec.interactiveMode ?? (version.endsWith('/v1beta1') ? 'IfAvailable' : undefined);
    if (mode === undefined || !EXEC_MODES.includes(mode)) {
      refuse(
        `has an exec plugin whose interactiveMode is "${mode ?? ''}"; it has to be one of ${EXEC_MODES.join(', ')}`,
      );
    }
  }
}

/**
 * Finds the cluster and the user of a context as kubectl does: the files of `KUBECONFIG`, else `~/.kube/config`, else
 * the ServiceAccount of the pod that this runs in; that one also by the context `in-cluster`.
 *
 * @throws UsageError where there is none, or kubectl would refuse it
 */
export function loadKubeconfig(options: LoadOptions = {}): Attachment {
  const { context, env = process.env, serviceAccountFolder = SERVICE_ACCOUNT_FOLDER } = options;
  const given = (env.KUBECONFIG ?? '').split(delimiter).filter((path) => path !== '');
  const standard = join(env.HOME || homedir(), '.kube', 'config');
  // `KUBECONFIG=:` is set, and names no file.
  const paths = env.KUBECONFIG ? [...new Set(given)] : [standard];
  const missing = paths.filter((path) => !existsSync(path));
  const present = paths.filter((path) => existsSync(path));
  const merged = merge(present);
  const { clusters, users, contexts } = merged;
  const isEmpty = clusters.size + users.size + contexts.size === 0;
  // In a pod its own cluster is known beside those of a kubeconfig, for example of a Secret with a second one.
  const pod =
    isEmpty || (context === IN_CLUSTER && !contexts.has(IN_CLUSTER)) ? inCluster(env, serviceAccountFolder) : undefined;
  if (pod !== undefined && (context === undefined || context === IN_CLUSTER)) {
    return { ...pod, missing };
  }
  if (isEmpty && pod !== undefined) {
    throw new UsageError(
      `there is no context "${context}": this pod knows its own cluster alone (context "${IN_CLUSTER}"). Mount a Secret with a kubeconfig that has the context, and set KUBECONFIG to the file.`,
    );
  }
  if (isEmpty) {
    const looked =
      paths.length === 0 || given.length > 0
        ? `KUBECONFIG names ${given.join(', ') || 'no file'}: ${missing.length === paths.length ? 'no such file' : 'empty'}`
        : `KUBECONFIG is not set, and ${standard} ${missing.length > 0 ? 'does not exist' : 'is empty'}`;
    throw new UsageError(
      `no kubeconfig: ${looked}, and this is no pod of a cluster. Set KUBECONFIG to a kubeconfig of the cluster.`,
    );
  }
  const source = present.join(', ');
  const names = [...contexts.keys()].join(', ') || 'none';
  const name = context ?? merged.currentContext;
  if (name === undefined) {
    throw new UsageError(`the kubeconfig (${source}) has no current context: give --context; it has ${names}`);
  }
  const chosen = contexts.get(name);
  if (chosen === undefined) {
    throw new UsageError(`the kubeconfig (${source}) has no context "${name}"; it has ${names}`);
  }
  const { cluster: clusterName, user: userName, namespace = 'default' } = chosen;
  const cluster = clusterName === undefined ? undefined : clusters.get(clusterName);
  const known = userName === undefined ? undefined : users.get(userName);
  if (clusterName === undefined || cluster === undefined) {
    throw new UsageError(
      `context "${name}" of the kubeconfig (${source}) ${clusterName === undefined ? 'names no cluster' : `names the cluster "${clusterName}", which it does not have`}`,
    );
  }
  const checked = checkCluster(clusterName, cluster);
  // Nothing is shown to a server of plain http (`kubectl proxy`): kubectl asks for no user there.
  const user = known ?? (checked.server.startsWith('http://') ? NOBODY : undefined);
  if (user === undefined) {
    throw new UsageError(
      `context "${name}" of the kubeconfig (${source}) ${userName === undefined ? 'names no user' : `names the user "${userName}", which it does not have`}`,
    );
  }
  if (!NAMESPACE.test(namespace)) {
    throw new UsageError(
      `context "${name}" of the kubeconfig names the namespace "${namespace}", which is no DNS label`,
    );
  }
  checkUser(userName ?? '', user);
  return {
    context: name,
    clusterName,
    userName: userName ?? 'nobody',
    namespace,
    cluster: checked,
    user,
    source,
    missing,
  };
}

/**
 * The cluster of the current context of a kubeconfig, without its user.
 *
 * @param text YAML or JSON; paths in it are absolute, or relative to where this runs
 */
export function clusterOfText(text: string): ClusterEntry & { server: string } {
  const { 'current-context': current, contexts, clusters } = kubeconfigFileSchema.parse(parse(text));
  const name = contexts.find((context) => context.name === current)?.entry.cluster;
  const cluster = clusters.find((each) => each.name === name)?.entry;
  if (name === undefined || cluster === undefined) {
    throw new HarnessError('the kubeconfig has no current context');
  }
  return checkCluster(name, cluster);
}
