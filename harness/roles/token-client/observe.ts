import { DEFAULT_TOKEN_PATH } from '../../../fixtures/workloads/token-client/config.ts';
import { NotTestable } from '../../core/errors.ts';
import { FAILING, SIMULATED_HOSTS, type SimulatedSetup, simulatedSetups } from '../../fakes/simulated-providers.ts';
import type { ClusterHandle } from '../../kubernetes/cluster-handle.ts';
import type { ProviderDescription } from '../../oauth/provider.ts';
import { type Observer, placeObserver } from '../../probes/observer.ts';
import { START_SECONDS, startInTurn } from '../../probes/pods.ts';
import { TIMELINE, timelineOf } from '../../probes/timeline.ts';
import { CLIENT_CAPABILITIES } from '../../role-data/token-client/target-file.ts';
import { targetFor } from '../../rpc/candidate.ts';
import type { RequirementContext } from '../../rpc/context.ts';
import type { SessionDriver } from './driver.ts';
import { podDriver } from './drivers/pod-observation.ts';
import {
  CACHE_FOLDER,
  CLIENT_NAME,
  callClientPod,
  clientConfigMap,
  clientPod,
  PROBE_PORT,
  prepareForClient,
} from './drivers/reference-pod.ts';
import { requireReached } from './reached.ts';
import { type ClientSession, FULLY_CONFIGURABLE, LATE, type SessionProvider, summarise } from './record.ts';
import { type Beside, driveClientSession } from './scenarios/session.ts';
import type { SessionPlan } from './scenarios/session-plan.ts';
import { forRequirement } from './simulated-record.ts';
import { startTargetClient } from './start.ts';

const TOKEN_FOLDER = '/var/run/secrets/tokens/oauth2';
const LATE_FOLDER = '/var/run/late';
const LATE_PATH = `${LATE_FOLDER}/token`;

/** Of one request to the provider with an outage; a call of the client is one such request then. */
const SHORT_TIMEOUT_MS = 3_000;
const SCOPES = ['openid'];

/** Asked of Kubernetes, which grants no less; on the accelerated clock the tokens live shorter all the same. */
const EXPIRATION_SECONDS = 600;

/** A token client that runs in the test's namespace, with a probe beside it that watches the same token files. */
interface TokenClientPod extends SessionDriver {
  pod: string;
}

/** What all pods of the client share. */
interface ClientSetting {
  cluster: ClusterHandle;
  namespace: string;
  observer: Observer;
  providers: [SessionProvider, SessionProvider];
  simulated: SimulatedSetup[];
}

/**
 * Deploys the token client of the subject: the reference, or the twin's variant of it. Two providers, each with a
 * projected token of its own (the first by the default path), and one whose token file is not there at first. What a
 * client may not survive takes the reference two more pods, beside the first: its session is what a run waits for
 * longest. A twin is asked that last, since many twins share the machine.
 *
 * @returns the client, and its instances for the providers that fail
 * @throws NotTestable when a pod does not get ready
 */
function deployTokenClient(t: RequirementContext): Promise<{ client: TokenClientPod; beside?: Beside }> {
  return t.shared('token client', async () => {
    const [cluster, { name: namespace }] = await Promise.all([t.cluster(), t.namespace()]);
    const [identityProvider, { observer, ready }] = await Promise.all([
      t.identityProvider(),
      placeObserver(t),
      prepareForClient(t, cluster, namespace),
    ]);
    const [production, staging] = identityProvider.providers;
    if (production === undefined || staging === undefined) {
      throw new NotTestable(`the identity provider has ${identityProvider.providers.length} providers; two are needed`);
    }
    const configured = async (description: ProviderDescription, file: string): Promise<SessionProvider> => ({
      name: description.name,
      audience: description.audience,
      ...(await identityProvider.register(description.name, { namespace, serviceAccount: CLIENT_NAME })),
      scopes: SCOPES,
      tokenPath: file,
      pathConfigured: file !== DEFAULT_TOKEN_PATH,
      accessTokenLifetimeSeconds: description.accessTokenLifetimeSeconds,
    });
    const [first, second] = await Promise.all([
      configured(production, DEFAULT_TOKEN_PATH),
      configured(staging, `${TOKEN_FOLDER}/staging-token`),
    ]);
    const simulated = simulatedSetups({
      hosts: SIMULATED_HOSTS,
      port: observer.port,
      tokenPath: `${LATE_FOLDER}/simulated-token`,
      swappedPath: `${LATE_FOLDER}/swapped/token`,
    });
    const setting = { cluster, namespace, observer, providers: [first, second] } satisfies Partial<ClientSetting>;
    const ofProviders = {
      [first.name]: clientConfig(observer, production, first),
      [second.name]: clientConfig(observer, staging, second),
      [LATE]: clientConfig(observer, production, { ...first, tokenPath: LATE_PATH, pathConfigured: true }),
    };
    const failing = simulated.filter(({ name }) => FAILING.has(name) && t.planned.simulatedProviders.has(name));
    const others = simulated.filter(({ name }) => !FAILING.has(name));
    if (t.candidate.kind === 'twin' || failing.length === 0) {
      const all = { ...setting, simulated: [...others, ...failing] };
      const [client] = await Promise.all([startClientPod(t, CLIENT_NAME, all, ofProviders), ready]);
      return { client };
    }
    const down = failing.filter(({ name }) => name === 'outage');
    const renewing = failing.filter(({ name }) => name !== 'outage');
    const [client, outage, renewals] = await Promise.all([
      startClientPod(t, CLIENT_NAME, { ...setting, simulated: others }, ofProviders),
      startClientPod(t, `${CLIENT_NAME}-outage`, { ...setting, simulated: down }, {}),
      startClientPod(t, `${CLIENT_NAME}-renewals`, { ...setting, simulated: renewing }, {}),
      ready,
    ]);
    return { client, beside: { outage, renewals } };
  });
}

/** @param ofProviders what the client is told of providers that nobody simulates */
async function startClientPod(
  t: RequirementContext,
  pod: string,
  { cluster, namespace, observer, providers, simulated }: ClientSetting,
  ofProviders: Record<string, object>,
): Promise<TokenClientPod> {
  const config = {
    cacheDir: CACHE_FOLDER,
    providers: {
      ...Object.fromEntries(simulated.map((setup) => [setup.name, simulatedConfig(observer, setup)])),
      ...ofProviders,
    },
  };
  await cluster.create([clientConfigMap(observer, { namespace, pod, config })]);
  const body = clientPod(t, cluster, observer, {
    namespace,
    pod,
    files: [...providers.map(({ tokenPath }) => tokenPath), LATE_PATH],
    shared: [
      { name: 'tokens', mountPath: TOKEN_FOLDER, readOnly: true },
      { name: 'late', mountPath: LATE_FOLDER },
      { name: 'cache', mountPath: CACHE_FOLDER },
    ],
    volumes: [
      { name: 'late', emptyDir: {} },
      { name: 'cache', emptyDir: {} },
      {
        name: 'tokens',
        projected: {
          sources: providers.map(({ audience, tokenPath }) => ({
            serviceAccountToken: {
              audience,
              expirationSeconds: EXPIRATION_SECONDS,
              path: tokenPath.slice(TOKEN_FOLDER.length + 1),
            },
          })),
        },
      },
    ],
  });
  await startInTurn(cluster, namespace, body, () => cluster.podReady(namespace, pod, START_SECONDS));
  return {
    pod,
    latePath: LATE_PATH,
    providers,
    simulated,
    capabilities: [...CLIENT_CAPABILITIES],
    configurable: FULLY_CONFIGURABLE,
    timeLimitMs: SHORT_TIMEOUT_MS,
    ...podDriver(
      t,
      cluster,
      { namespace, name: pod, container: CLIENT_NAME, probePort: PROBE_PORT, writableFolders: [CACHE_FOLDER] },
      observer,
    ),
    call: (provider, patienceMs) => callClientPod(cluster, { namespace, pod, provider, patienceMs }),
  };
}

function clientConfig(observer: Observer, description: ProviderDescription, provider: SessionProvider): object {
  const declared = description.grants.find(({ grant }) => grant === 'jwt-bearer');
  if (declared === undefined) {
    throw new NotTestable(`the provider ${description.name} does not declare the grant jwt-bearer`);
  }
  return {
    baseURL: observer.baseURL(description.name),
    oauth2: {
      issuer: description.issuer,
      clientId: provider.clientId,
      scopes: provider.scopes,
      authFlow: 'jwt_bearer',
      subjectTokenSource: {
        type: 'kubernetes_sa',
        ...(provider.pathConfigured ? { tokenPath: provider.tokenPath } : {}),
      },
      clientAuthentication: declared.clientAuthentication === 'subject-token' ? 'client_assertion' : 'none',
    },
  };
}

function simulatedConfig(observer: Observer, setup: SimulatedSetup): object {
  const { name, issuer, clientId, scopes, authFlow, tokenExchangeAudience, tokenPath, impatient } = setup;
  return {
    baseURL: observer.baseURL(name),
    oauth2: {
      issuer,
      clientId,
      scopes,
      authFlow,
      subjectTokenSource: { type: 'kubernetes_sa', tokenPath },
      ...(tokenExchangeAudience === undefined ? {} : { tokenExchangeAudience }),
      ...(impatient === true ? { timeoutMs: SHORT_TIMEOUT_MS } : {}),
    },
  };
}

/**
 * The session of the token client in the slot, shared by all requirements that are planned for the candidate: across
 * rotations and past the first expiry where one of them needs that (`preconditions.rotations`). On the accelerated
 * clock each token rotates twice at least; on the real one, where that takes 18 minutes, both together.
 *
 * @throws NotApplicable where the client could not be configured for a simulated provider that the requirement needs
 */
export async function observeClient(t: RequirementContext): Promise<ClientSession> {
  const accelerated = t.clock.kind === 'accelerated';
  const rotations = { each: accelerated ? 2 : 1, total: accelerated ? 4 : 2 };
  const session = await observe(t, t.planned.rotations ? { rotations } : {});
  const { simulatedProviders = [] } = t.preconditions;
  const missing = simulatedProviders.find(
    (needed) => !session.simulated.some(({ name }) => name === needed) && !isNotConfigurable(session, needed),
  );
  if (missing !== undefined) {
    t.notApplicable(`the client could not be configured for the simulated provider "${missing}"`);
  }
  return forRequirement(session, simulatedProviders);
}

/**
 * Whether a simulated provider is about a setting that the client has not: the requirement is then evaluated without
 * it.
 */
function isNotConfigurable({ configurable }: ClientSession, simulated: string): boolean {
  return simulated === 'exchange-audience' && !configurable.tokenExchangeAudience;
}

async function observe(t: RequirementContext, plan: Pick<SessionPlan, 'rotations'>): Promise<ClientSession> {
  const target = targetFor(t.candidate, 'token-client');
  const session = await t.sharedByAllFiles('client session', async () => {
    const pace = { ...plan, subjectLifeSeconds: t.clock.clientLifetimeSeconds, paceMs: 1_000, patienceMs: 15_000 };
    if (target === undefined) {
      const { client, beside } = await deployTokenClient(t);
      return driveClientSession(client, pace, beside);
    }
    const client = await startTargetClient(t, target);
    try {
      return await driveClientSession(client, pace);
    } finally {
      await client.stop();
    }
  });
  t.evidence('client session', summarise(session));
  // Each path once: another instance of the client has files of its own.
  const files = session.files.filter(({ path }, index, all) => all.findIndex((one) => one.path === path) === index);
  t.evidence(TIMELINE, timelineOf(files, session.exchanges, session.resources));
  requireReached(session);
  return session;
}
