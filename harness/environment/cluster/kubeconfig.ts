import type { V1Node } from '@kubernetes/client-node';
import { HarnessError, UsageError } from '../../core/errors.ts';
import { annotationOfThisPod, RUN_OBJECT_LABEL } from '../../core/names.ts';
import { decodeToken } from '../../core/token.ts';
import { type Settings, settingsSchema } from '../../targets/settings.ts';
import { liveImage, STOCK_NODE_IMAGE } from '../images/live-images.ts';
import type { StartedCluster } from './cluster.ts';
import { complying } from './kubeconfig/comply.ts';
import { type Credentials, credentialsOf } from './kubeconfig/credentials.ts';
import { explainNoAnswer, explainRefusal, type Way } from './kubeconfig/explain.ts';
import { type Gateway, type Rewrite, startGateway } from './kubeconfig/gateway.ts';
import { type Attachment, loadKubeconfig } from './kubeconfig/load.ts';
import { nameOfProxy } from './kubeconfig/proxy.ts';
import { createUpstream, type Upstream } from './kubeconfig/upstream.ts';

export interface KubeconfigOptions {
  runId: string;
  /** Context; default: the kubeconfig's current one. */
  context?: string;
  /** What the objects that are made there need to have. */
  settings?: Settings;
  /** Namespaces that the run is kept to; none: it makes its own. */
  namespaces?: string[];
  onProgress: (message: string) => void;
}

const CANNOT = 'the cluster is not the harness’s own (--cluster kubeconfig): it is not reconfigured';

/** One line: which cluster, by which context, as whom, by which way. */
export function describeAttachment(attachment: Attachment): string {
  const { cluster, clusterName, context, userName, user, source } = attachment;
  const acting = user.as === undefined ? '' : `, acting as "${user.as}"`;
  return `cluster "${clusterName}" (${cluster.server}), context "${context}", user "${userName}"${acting}, from ${source}`;
}

/**
 * The first question to the API server, asked as the user, without the gateway: whatever is wrong with the way shows
 * here.
 */
async function askOnce(
  { upstream, credentials }: { upstream: Upstream; credentials: Credentials },
  { method, path, body }: { method: string; path: string; body?: unknown },
): Promise<{ status: number; text: string }> {
  const { headers, certificate } = await credentials.present();
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const content = body === undefined ? '' : JSON.stringify(body);
  const request = upstream.request({
    method,
    path,
    headers: {
      accept: 'application/json',
      ...(body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(content)) }),
      ...headers,
    },
    ...(certificate === undefined ? {} : { certificate }),
  });
  request.on('error', reject);
  request.on('response', async (answer) => {
    try {
      let text = '';
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        text += chunk.toString();
      }
      resolve({ status: answer.statusCode ?? 0, text });
    } catch (error) {
      reject(error);
    }
  });
  request.end(content);
  return promise;
}

/** The words of a Status, or the beginning of what is none. */
function wordsOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === 'string') {
      return message;
    }
  } catch {
    // No JSON: a front that speaks for itself.
  }
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, 200);
}

type Ask = (question: { method: string; path: string; body?: unknown }) => Promise<{ status: number; text: string }>;

/** What the cluster says of its tokens. */
interface Issuer {
  issuer: string;
  audiences: string[];
  algorithm?: string;
  /** A token of it, where one may be made. */
  token?: string;
}

/** The discovery document of the cluster's issuer, where the harness's user may read it. */
async function discovery(ask: Ask): Promise<{ issuer?: unknown; jwks_uri?: unknown }> {
  const { status, text } = await ask({ method: 'GET', path: '/.well-known/openid-configuration' });
  if (status !== 200) {
    return {};
  }
  try {
    return JSON.parse(text) as { issuer?: unknown; jwks_uri?: unknown };
  } catch {
    return {};
  }
}

/**
 * Issuer and audiences, read from a token that the cluster mints: discovery may be closed to the harness's user. Where
 * no token may be made, discovery has to say the issuer; the audience is then taken to be the same, which is
 * Kubernetes' default.
 *
 * @param namespaces where the `default` ServiceAccount may be asked for a token, the first one first
 */
async function issuerOf(ask: Ask, namespaces: string[], way: Way): Promise<Issuer> {
  let refusal: { status: number; words: string } | undefined;
  for (const namespace of new Set(namespaces)) {
    const { status, text } = await ask({
      method: 'POST',
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/default/token`,
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [] } },
    });
    if (status === 201) {
      const { status: made } = JSON.parse(text) as { status?: { token?: string } };
      const { claims, header } = decodeToken(made?.token ?? '');
      return {
        issuer: claims.iss ?? '',
        audiences: [claims.aud ?? []].flat(),
        token: made?.token ?? '',
        ...(typeof header.alg === 'string' ? { algorithm: header.alg } : {}),
      };
    }
    refusal ??= { status, words: wordsOf(text) };
    if (status !== 403 && status !== 404) {
      break;
    }
  }
  const { issuer } = refusal?.status === 403 || refusal?.status === 404 ? await discovery(ask) : {};
  if (typeof issuer === 'string') {
    return { issuer, audiences: [issuer] };
  }
  const right =
    'create serviceaccounts/token, or get /.well-known/openid-configuration: the harness has to know the issuer';
  throw new HarnessError(explainRefusal(refusal?.status ?? 0, refusal?.words ?? '', way, right));
}

/** The API server does not know who asks, or takes him for nobody in particular. */
const NOT_KNOWN = new Set([401, 403]);

/**
 * What becomes of a ServiceAccount's token at the server of the kubeconfig, where it is not what an API server makes of
 * it: a front that knows its own users alone refuses it, and one that shows credentials of its own (`kubectl proxy`)
 * takes its holder for somebody else. Undefined where the token is taken, or nothing is known.
 */
async function misreadTokens(upstream: Upstream, token: string | undefined): Promise<string | undefined> {
  if (token === undefined) {
    return undefined;
  }
  const credentials: Credentials = {
    form: 'a token',
    present: async () => ({ headers: { authorization: `Bearer ${token}` } }),
    refused: () => undefined,
  };
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  const { status, text } = await askOnce({ upstream, credentials }, { method: 'POST', path, body });
  // Every authenticated user may ask who it is (Kubernetes, ClusterRole system:basic-user).
  if (NOT_KNOWN.has(status)) {
    return `is answered with ${status}`;
  }
  const { sub } = decodeToken(token).claims;
  const username = status === 201 ? reviewedUser(text) : undefined;
  return username === undefined || sub === undefined || username === sub
    ? undefined
    : `is taken for one of the user "${username}"`;
}

/** Who asked, as a SelfSubjectReview answers it; undefined for what is none. */
function reviewedUser(text: string): string | undefined {
  try {
    const { status } = JSON.parse(text) as { status?: { userInfo?: { username?: string } } };
    return status?.userInfo?.username;
  } catch {
    return undefined;
  }
}

/** What is known of a live cluster without any right, and what its user may read: for the report. */
async function discoverLive(ask: Ask, { issuer, audiences }: Issuer): Promise<Record<string, unknown>> {
  const read = async <T>(path: string): Promise<T | string> => {
    const { status, text } = await ask({ method: 'GET', path });
    return status === 200 ? (JSON.parse(text) as T) : `not readable: ${status} ${wordsOf(text)}`;
  };
  const version = await read<{ gitVersion?: string; platform?: string }>('/version');
  const nodes = await read<{ items: V1Node[] }>('/api/v1/nodes');
  return {
    ...(typeof version === 'string'
      ? { kubernetesVersion: version }
      : { kubernetesVersion: version.gitVersion, platform: version.platform }),
    issuer,
    apiAudiences: audiences,
    nodes:
      typeof nodes === 'string'
        ? nodes
        : nodes.items.map(({ status }) => ({
            kubeletVersion: status?.nodeInfo?.kubeletVersion,
            containerRuntimeVersion: status?.nodeInfo?.containerRuntimeVersion,
            osImage: status?.nodeInfo?.osImage,
            kernelVersion: status?.nodeInfo?.kernelVersion,
          })),
  };
}

/** In namespaces of somebody else what the run made is known by its label alone. */
function rewriteFor({ settings = settingsSchema.parse({}), namespaces = [], runId }: KubeconfigOptions): Rewrite {
  const isGiven = namespaces.length > 0;
  const own = isGiven ? { [RUN_OBJECT_LABEL]: runId } : {};
  const ofThisPod = isGiven ? annotationOfThisPod() : {};
  const labelled = {
    ...settings,
    labels: { ...settings.labels, ...own },
    annotations: { ...settings.annotations, ...ofThisPod },
  };
  return {
    own: complying(labelled),
    ...(isGiven ? { foreign: complying(settingsSchema.parse({ labels: own, annotations: ofThisPod })) } : {}),
  };
}

/** A kubeconfig that leads to the gateway: whoever holds it asks as the user, as long as this process lives. */
function kubeConfigOf({ url, secret }: Gateway, { context, clusterName, userName, namespace }: Attachment): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': context,
    // Plain http on loopback: client-node wants to be told that there is no TLS to verify.
    clusters: [{ name: clusterName, cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: userName, user: { token: secret } }],
    contexts: [{ name: context, context: { cluster: clusterName, user: userName, namespace } }],
  });
}

/**
 * Attaches to a live cluster as kubectl would: by `KUBECONFIG` or the default file, by a context, or from inside by its
 * ServiceAccount. Nothing of it is changed; the harness works in namespaces of its own. Everything goes through a
 * gateway of this process, see kubeconfig/gateway.ts, which {@link StartedCluster.stop} closes.
 *
 * @throws UsageError when there is no kubeconfig or no such context; HarnessError when the cluster does not answer, or
 * says no
 */
export async function attachKubeconfig(options: KubeconfigOptions): Promise<StartedCluster> {
  const attachment = loadKubeconfig(options.context === undefined ? {} : { context: options.context });
  const { cluster, user, missing, namespace } = attachment;
  const { settings, namespaces = [] } = options;
  options.onProgress(describeAttachment(attachment));
  if (missing.length > 0) {
    options.onProgress(`KUBECONFIG names ${missing.join(', ')}, which does not exist: skipped`);
  }
  const upstream = createUpstream(cluster);
  const { proxy } = upstream;
  if (proxy !== undefined) {
    options.onProgress(`through the proxy ${nameOfProxy(proxy)}`);
  }
  const way: Way = { attachment, proxy };
  try {
    const credentials = credentialsOf(user, cluster);
    const ask: Ask = (question) => askOnce({ upstream, credentials }, question);
    const found = await issuerOf(ask, namespaces.length > 0 ? namespaces : ['default', namespace], way);
    const { issuer, audiences, algorithm } = found;
    const [{ jwks_uri: keys }, misread] = await Promise.all([discovery(ask), misreadTokens(upstream, found.token)]);
    const gateway = await startGateway({
      upstream,
      credentials,
      explain: (error) => explainNoAnswer(error, way),
      onAskedAgain: options.onProgress,
      ...(settings === undefined && namespaces.length === 0 ? {} : { rewrite: rewriteFor(options) }),
    });
    return {
      data: {
        kind: 'kubeconfig',
        kubeConfig: kubeConfigOf(gateway, attachment),
        issuer,
        apiAudiences: audiences,
        owned: false,
        workloadImage: liveImage('node') ?? STOCK_NODE_IMAGE,
        ...(settings?.storageClassName === undefined ? {} : { storageClass: settings.storageClassName }),
        ...(misread === undefined ? {} : { misreadsTokens: misread }),
        resolver: { routes: {}, ca: '' },
      },
      takeAsOwn: (who) => gateway.takeAsOwn(who),
      ledger: gateway.ledger,
      trust: {
        issuer,
        jwksUri: typeof keys === 'string' ? keys : `${upstream.server}/openid/v1/jwks`,
        ca: upstream.ca,
        ...(algorithm === undefined ? {} : { algorithms: [algorithm] }),
      },
      discover: () => discoverLive(ask, found),
      setTokenRequestFault: () => Promise.reject(new HarnessError(CANNOT)),
      // The real clock: the cluster gives its tokens the life that it gives them.
      setLifetime: () => Promise.resolve(),
      importImage: () => Promise.reject(new HarnessError(CANNOT)),
      nodeExec: () => Promise.reject(new HarnessError(CANNOT)),
      addNodes: () => Promise.resolve(),
      async assertAlive() {
        await ask({ method: 'GET', path: '/version' }).catch((error: unknown) => {
          throw new HarnessError(explainNoAnswer(error, way));
        });
      },
      // The namespaces are removed by their own part, before.
      stop: () => gateway.close(),
    };
  } catch (error) {
    upstream.close();
    if (error instanceof HarnessError || error instanceof UsageError) {
      throw error;
    }
    throw new HarnessError(explainNoAnswer(error, way));
  }
}
