import { createHash } from 'node:crypto';
import { ApiException } from '@kubernetes/client-node';
import { Observer } from '../../fixtures/workloads/observer/observer.ts';
import type { ObserverRecord } from '../../fixtures/workloads/observer/records.ts';
import { DeadlineExceeded, describeError, HarnessError, UsageError } from '../core/errors.ts';
import { Resolver } from '../core/resolver.ts';
import { sweepDeadRuns } from '../environment/containers.ts';
import { ensureEngine } from '../environment/engine/index.ts';
import { Environment } from '../environment/environment.ts';
import { enterRun, leaveRun, newRunId } from '../environment/live-runs.ts';
import type { EnvironmentOptions } from '../environment/options.ts';
import type { ClusterData } from '../kubernetes/cluster-data.ts';
import { type ClusterHandle, createClusterHandle } from '../kubernetes/cluster-handle.ts';
import { exchange } from '../oauth/exchange.ts';
import type { ProviderDescription } from '../oauth/provider.ts';
import { RESOURCE_SERVER_HOST } from '../probes/observer.ts';
import { podSpec, START_SECONDS } from '../probes/pods.ts';
import type { ReferencesCandidate } from '../rpc/candidate.ts';
import type { IdentityProviderData } from '../rpc/protocol.ts';
import { type EnvironmentCalls, ownEnvironment } from '../run/run-environment.ts';
import { CLOCKS } from '../run/session.ts';
import type {
  ClusterOptions,
  IdentityProviderOptions,
  MountedToken,
  MountRequest,
  StartedCluster,
  StartedIdentityProvider,
  StartedResourceServer,
} from './environment.ts';

/** The references in every slot; nothing is evaluated. */
const CANDIDATE: ReferencesCandidate = { kind: 'references', name: 'environment', planned: [] };

const TOKEN_FOLDER = '/var/run/secrets/tokens';
const TOKEN_PATH = `${TOKEN_FOLDER}/token`;

/** Asked of Kubernetes, which grants no less. */
const ASKED_SECONDS = 600;

/** Below it a token would be replaced before anybody could use it: the kubelet looks every second. */
const LEAST_LIFETIME_SECONDS = 12;

/** What is behind the objects that are given away. */
interface Behind {
  environment: Environment;
  options: EnvironmentOptions;
  calls: EnvironmentCalls;
}
const clusters = new WeakMap<StartedCluster, Behind>();
const providers = new WeakMap<StartedIdentityProvider, Behind & { data: IdentityProviderData }>();

/** @throws UsageError for an object that was not started here */
function behind<K extends object, V>(known: WeakMap<K, V>, object: K, starter: string): V {
  const found = known.get(object);
  if (found === undefined) {
    throw new UsageError(`this was not started by ${starter}()`);
  }
  return found;
}

export async function startCluster({ clock = 'accelerated', onProgress }: ClusterOptions): Promise<StartedCluster> {
  await ensureEngine();
  const runId = newRunId();
  enterRun(runId);
  await sweepDeadRuns();
  const options: EnvironmentOptions = {
    runId,
    cluster: 'k3s',
    identityProvider: 'keycloak',
    clock: CLOCKS[clock],
    evaluatesTwins: false,
    networkPolicies: false,
    onProgress: onProgress ?? (() => undefined),
  };
  const environment = new Environment(options);
  const stop = async (): Promise<void> => {
    await environment.stop();
    leaveRun(runId);
  };
  const { calls } = ownEnvironment(environment);
  let data: ClusterData;
  try {
    data = await calls.cluster({}, CANDIDATE);
  } catch (error) {
    await stop();
    throw error;
  }
  const handle = createClusterHandle(data);
  const createNamespace: StartedCluster['createNamespace'] = async (purpose, podSecurity = 'restricted') =>
    (await calls.namespace({ purpose, podSecurity, owner: runId }, CANDIDATE)).name;
  const cluster: StartedCluster = {
    kubeConfig: data.kubeConfig,
    issuer: data.issuer,
    nodeImage: data.workloadImage,
    createNamespace,
    async loadImage(reference) {
      await calls.provideImage({ reference }, CANDIDATE);
    },
    async createToken({ namespace, serviceAccount, audience, expirationSeconds }) {
      const { token } = await inWords(
        handle.createToken({
          namespace,
          serviceAccount,
          ...(audience === undefined ? {} : { audiences: [audience] }),
          ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
        }),
      );
      return token;
    },
    async mountToken(request) {
      const lifetimeSeconds = lifetimeOf(request, options);
      const { setLifetime } = await environment.clusters.reference();
      await setLifetime(request.audience, lifetimeSeconds);
      const namespace = request.namespace ?? (await createNamespace('token'));
      return mountToken(handle, { ...request, namespace, lifetimeSeconds });
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
  clusters.set(cluster, { environment, options, calls });
  return cluster;
}

/** An API server's refusal in its own words: its client throws whole answers. */
async function inWords<T>(call: Promise<T>): Promise<T> {
  return call.catch((error: unknown) => {
    throw new HarnessError(describeError(error));
  });
}

/** @throws UsageError for a life that no token can have */
function lifetimeOf({ lifetimeSeconds }: MountRequest, { clock }: EnvironmentOptions): number {
  if (clock.kind === 'real') {
    if (lifetimeSeconds !== undefined && lifetimeSeconds !== ASKED_SECONDS) {
      throw new UsageError(`lifetimeSeconds: ${lifetimeSeconds} s; on the real clock a token lives ${ASKED_SECONDS} s`);
    }
    return ASKED_SECONDS;
  }
  const seconds = lifetimeSeconds ?? clock.clientLifetimeSeconds;
  if (!(seconds >= LEAST_LIFETIME_SECONDS && seconds <= ASKED_SECONDS)) {
    throw new UsageError(`lifetimeSeconds: ${seconds} s; give ${LEAST_LIFETIME_SECONDS} to ${ASKED_SECONDS}`);
  }
  return seconds;
}

let pods = 0;

async function mountToken(
  cluster: ClusterHandle,
  request: MountRequest & { namespace: string; lifetimeSeconds: number },
): Promise<MountedToken> {
  const { namespace, audience, lifetimeSeconds, serviceAccount = 'agent' } = request;
  await cluster.core
    .createNamespacedServiceAccount({ namespace, body: { metadata: { name: serviceAccount } } })
    .catch((error: unknown) => {
      // It is there already.
      if (!(error instanceof ApiException && error.code === 409)) {
        throw new HarnessError(describeError(error));
      }
    });
  pods += 1;
  const pod = `token-${pods}`;
  const container = {
    name: 'agent',
    command: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1; done'],
    volumeMounts: [{ name: 'token', mountPath: TOKEN_FOLDER, readOnly: true }],
  };
  const spec = {
    ...podSpec(cluster.workloadImage, serviceAccount, container),
    automountServiceAccountToken: false,
    volumes: [
      {
        name: 'token',
        projected: {
          sources: [{ serviceAccountToken: { path: 'token', audience, expirationSeconds: ASKED_SECONDS } }],
        },
      },
    ],
  };
  await inWords(cluster.core.createNamespacedPod({ namespace, body: { metadata: { name: pod }, spec } }));
  await cluster.podReady(namespace, pod, START_SECONDS);
  const inPod = (command: string[]) => cluster.exec(namespace, pod, container.name, command);
  const read = async (): Promise<string> => {
    const { exitCode, stdout, stderr } = await inPod(['cat', TOKEN_PATH]);
    if (exitCode !== 0) {
      throw new HarnessError(`${TOKEN_PATH} in pod ${namespace}/${pod} cannot be read: ${stderr.trim()}`);
    }
    return stdout.trim();
  };
  const stop = async (): Promise<void> => {
    await cluster.core.deleteNamespacedPod({ namespace, name: pod }).catch((error: unknown) => {
      // It went with its namespace, or with its node.
      if (!(error instanceof ApiException && error.code === 404)) {
        throw new HarnessError(describeError(error));
      }
    });
  };
  return {
    namespace,
    serviceAccount,
    pod,
    path: TOKEN_PATH,
    audience,
    read,
    async rotated(before, deadlineSeconds = lifetimeSeconds) {
      const known = before ?? (await read());
      const digest = createHash('sha256').update(known).digest('hex');
      const milliseconds = String(deadlineSeconds * 1_000);
      const { exitCode, stdout, stderr } = await inPod([
        ...['node', '--eval', UNTIL_REPLACED],
        ...[digest, TOKEN_PATH, milliseconds],
      ]);
      if (exitCode === NOT_REPLACED) {
        throw new DeadlineExceeded(
          `the kubelet to replace the token in pod ${namespace}/${pod}`,
          deadlineSeconds,
          'the same token',
        );
      }
      if (exitCode !== 0) {
        throw new HarnessError(`the token in pod ${namespace}/${pod} cannot be watched: ${stderr.trim()}`);
      }
      return stdout.trim();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const NOT_REPLACED = 3;

/** Prints a file when it is another than that of a SHA-256. The kubelet renames a link in its folder. */
const UNTIL_REPLACED = `
const { createHash } = require('node:crypto');
const { readFileSync, watch } = require('node:fs');
const { dirname } = require('node:path');
const [, digest, file, milliseconds] = process.argv;
const look = () => {
  const token = readFileSync(file, 'utf8').trim();
  if (createHash('sha256').update(token).digest('hex') !== digest) {
    process.stdout.write(token, () => process.exit(0));
  }
};
watch(dirname(file), look);
look();
setTimeout(() => process.exit(${NOT_REPLACED}), Number(milliseconds));
`;

export async function startIdentityProvider(
  cluster: StartedCluster,
  { kind = 'keycloak' }: IdentityProviderOptions,
): Promise<StartedIdentityProvider> {
  const known = behind(clusters, cluster, 'startCluster');
  if (known.environment.identityProviders.started.size > 0 && known.options.identityProvider !== kind) {
    throw new UsageError(`the cluster has the identity provider ${known.options.identityProvider} already`);
  }
  known.options.identityProvider = kind;
  const { identityProviders } = known.environment;
  const [started, data] = await Promise.all([identityProviders.inSlot(), known.calls.identityProvider({}, CANDIDATE)]);
  const resolver = new Resolver(data.resolver);
  const description = firstOf(data);
  const stop = async (): Promise<void> => {
    await Promise.all([started.stop(), resolver.close()]);
  };
  const provider: StartedIdentityProvider = {
    kind: data.description.kind,
    version: data.description.version,
    issuer: description.issuer,
    audience: description.audience,
    tokenEndpoint: description.tokenEndpoint,
    accessTokenAudience: description.accessTokenAudience,
    grants: description.grants.map(({ grant }) => grant),
    ca: data.ca,
    async register({ namespace, serviceAccount }) {
      const { clientId } = await started.register(description.name, { namespace, serviceAccount });
      return { clientId };
    },
    async exchange(token, { clientId, grant, scope }) {
      const declaration = description.grants.find((one) => grant === undefined || one.grant === grant);
      if (declaration === undefined) {
        throw new UsageError(
          `${data.description.kind} does not declare the grant ${grant}; it has ${provider.grants.join(', ')}`,
        );
      }
      const answer = await exchange(resolver.fetch, {
        tokenEndpoint: description.tokenEndpoint,
        declaration,
        clientId,
        token,
        ...(scope === undefined ? {} : { scope }),
      });
      const { status, accessToken, error, errorDescription, body } = answer;
      return {
        body,
        ...(status === undefined ? {} : { status }),
        ...(accessToken === undefined ? {} : { accessToken }),
        ...(error === undefined ? {} : { error }),
        ...(errorDescription === undefined ? {} : { errorDescription }),
      };
    },
    fetch: (url, init) => resolver.fetch(url, init),
    stop,
    [Symbol.asyncDispose]: stop,
  };
  providers.set(provider, { ...known, data });
  return provider;
}

function firstOf({ description }: IdentityProviderData): ProviderDescription {
  const [first] = description.providers;
  if (first === undefined) {
    throw new HarnessError(`the identity provider ${description.kind} has no provider`);
  }
  return first;
}

export async function startResourceServer(provider: StartedIdentityProvider): Promise<StartedResourceServer> {
  const { data, calls } = behind(providers, provider, 'startIdentityProvider');
  const { host, port, upstream } = data.description;
  const description = firstOf(data);
  const address = data.additionalIssuer?.address ?? '127.0.0.1';
  const { cert, key } = await calls.certificate({ host, names: [RESOURCE_SERVER_HOST] }, CANDIDATE);
  const observer = new Observer({
    // The provider's own port: a pod reaches both by their names at this address, which the run alone has.
    ports: { https: port, http: 0 },
    address,
    tls: { certificate: cert, key, ca: data.ca },
    identityProvider: { host, port, upstream },
    providers: [description],
  });
  const ports = await observer.start();
  const name = `${RESOURCE_SERVER_HOST}:${port}`;
  const resolver = new Resolver({ routes: { [name]: { host: address, port: ports.https } }, ca: data.ca });
  const url = `https://${name}/${description.name}`;
  const records = async (): Promise<ObserverRecord[]> => {
    const response = await fetch(`http://${address}:${ports.http}/records`);
    return ((await response.json()) as { records: ObserverRecord[] }).records;
  };
  const stop = async (): Promise<void> => {
    await Promise.all([observer.stop(), resolver.close()]);
  };
  return {
    url,
    hostAliases: [{ ip: address, hostnames: [host, RESOURCE_SERVER_HOST] }],
    fetch: (path, { accessToken, headers, ...init } = {}) =>
      resolver.fetch(`${url}${path}`, {
        ...init,
        headers: { ...headers, ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }) },
      }),
    requests: async () =>
      (await records()).flatMap((record) => {
        if (record.kind !== 'resource') {
          return [];
        }
        const { at, method, path, status, reason, token } = record;
        return {
          ...{ at, method, path, status },
          ...(reason === undefined ? {} : { reason }),
          ...(token === undefined ? {} : { claims: token.claims }),
        };
      }),
    tokenRequests: async () =>
      (await records()).flatMap((record) => {
        if (record.kind !== 'exchange') {
          return [];
        }
        const { at, parameters, status, error } = record;
        return { at, parameters, status, ...(error === undefined ? {} : { error }) };
      }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
