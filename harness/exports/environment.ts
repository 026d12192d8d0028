// What this module declares is public (api-report.md). It imports nothing when it is loaded: below node_modules Node
// strips no types, so the rest of the harness is loaded behind a hook, when it is used.

/** What {@link startCluster} starts. */
export interface ClusterOptions {
  /**
   * `accelerated`: the kubelet rotates projected tokens within seconds; `real`: they live 600 s, Kubernetes' minimum.
   * Default: `accelerated`.
   */
  clock?: 'accelerated' | 'real';
  /** Is told what is being started, and how long it took. Default: nobody. */
  onProgress?: (part: string, message: string) => void;
}

/** A Kubernetes cluster of this process's own (k3s in a container), whose kubelet really rotates projected tokens. */
export interface StartedCluster extends AsyncDisposable {
  /** Kubeconfig, YAML, of an administrator. */
  readonly kubeConfig: string;
  /** `iss` of the cluster's tokens. */
  readonly issuer: string;
  /** Reference of an image with Node.js that the nodes have. */
  readonly nodeImage: string;
  /**
   * Makes a namespace that enforces the Pod Security Standard `restricted`, or another one.
   *
   * @param purpose becomes part of its name
   * @returns its name
   */
  createNamespace(purpose: string, podSecurity?: 'restricted' | 'baseline' | 'privileged'): Promise<string>;
  /** Gives the nodes an image that the engine of this host has, so that pods can use it. */
  loadImage(reference: string): Promise<void>;
  /**
   * Mints a token of a ServiceAccount (TokenRequest). It is a credential: keep it out of logs.
   *
   * @param request.audience default: the API server's
   * @param request.expirationSeconds 600 at least
   * @throws Error in the words of the API server
   */
  createToken(request: ServiceAccountReference & { audience?: string; expirationSeconds?: number }): Promise<string>;
  /**
   * Starts a pod that mounts a projected token, as an agent's pod does, and waits until it is Ready. Without a
   * namespace it makes one; the ServiceAccount is `agent`, if nothing else is said, and is made where there is none.
   *
   * @throws Error when the pod does not get Ready, with what was seen last
   */
  mountToken(request: MountRequest): Promise<MountedToken>;
  /** Stops the cluster, and everything that was started with it. */
  stop(): Promise<void>;
}

/** A ServiceAccount by its name. */
export interface ServiceAccountReference {
  namespace: string;
  serviceAccount: string;
}

/** What {@link StartedCluster.mountToken} mounts. */
export interface MountRequest extends Partial<ServiceAccountReference> {
  /** `aud` of the token. */
  audience: string;
  /**
   * Seconds that the token lives on the accelerated clock: 12 at least, since the kubelet rotates at 80 % and looks
   * every second. Default: 25. On the real clock it is 600.
   */
  lifetimeSeconds?: number;
}

/** A projected token in a running pod. */
export interface MountedToken extends ServiceAccountReference, AsyncDisposable {
  readonly pod: string;
  /** Where the pod has it. */
  readonly path: string;
  readonly audience: string;
  /** The token as the file has it now. It is a credential: keep it out of logs. */
  read(): Promise<string>;
  /**
   * Waits until the kubelet has replaced a token, and reads the new one.
   *
   * @param before a token that was read; default: the one that is there now
   * @param deadlineSeconds default: the token's life
   * @throws Error when the file does not change in time
   */
  rotated(before?: string, deadlineSeconds?: number): Promise<string>;
  /** Deletes the pod. */
  stop(): Promise<void>;
}

/** What {@link startIdentityProvider} starts. */
export interface IdentityProviderOptions {
  /** `keycloak`: Keycloak in a container; `embedded`: a small provider in this process. Default: `keycloak`. */
  kind?: 'keycloak' | 'embedded';
}

/**
 * An identity provider that trusts the cluster by its discovery document and keys, and exchanges a projected token for
 * an access token without any client secret.
 */
export interface StartedIdentityProvider extends AsyncDisposable {
  readonly kind: string;
  readonly version: string;
  /** `iss` of its access tokens. */
  readonly issuer: string;
  /** `aud` that a projected token needs. */
  readonly audience: string;
  readonly tokenEndpoint: string;
  /** `aud` of its access tokens. */
  readonly accessTokenAudience: string;
  /** Grants that it declares, the first of which {@link exchange} uses: `jwt-bearer`, `token-exchange`, … */
  readonly grants: readonly string[];
  /** Certificate of the CA of every server that was started here, PEM. */
  readonly ca: string;
  /** Maps a ServiceAccount to a client. Whoever is registered already gets the same client. */
  register(workload: ServiceAccountReference): Promise<{ clientId: string }>;
  /**
   * Exchanges a projected token at the token endpoint. What the provider answers is returned, whatever it is.
   *
   * @param request.grant one of {@link grants}
   * @throws Error where there is no connection
   */
  exchange(token: string, request: { clientId: string; grant?: string; scope?: string }): Promise<ExchangeAnswer>;
  /** `fetch` that knows the names of the servers that were started here, and trusts their CA. */
  fetch(url: string | URL, init?: FetchInit): Promise<FetchAnswer>;
  stop(): Promise<void>;
}

/** An answer of a token endpoint (RFC 6749 sections 5.1 and 5.2). */
export interface ExchangeAnswer {
  /** HTTP status; absent where no complete answer came. */
  status?: number;
  /** A credential: keep it out of logs. */
  accessToken?: string;
  error?: string;
  errorDescription?: string;
  body: Record<string, unknown>;
}

/** What a request is sent with. */
export interface FetchInit {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** The parts of a `Response` that every Node has. */
export interface FetchAnswer {
  readonly status: number;
  readonly ok: boolean;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
  json(): Promise<unknown>;
}

/**
 * A resource server that takes the access tokens of a provider: it verifies signature, `iss`, `aud` and `exp`, and
 * speaks the OpenAI-compatible `/v1/models` and `/v1/chat/completions`. Refusals are those of RFC 6750 section 3.
 */
export interface StartedResourceServer extends AsyncDisposable {
  /** Its base URL, as a pod knows it by {@link hostAliases}; {@link fetch} is for this process. */
  readonly url: string;
  /**
   * What a pod needs in `spec.hostAliases` to reach this server and the provider's token endpoint by their names. The
   * pod has to trust the provider's {@link StartedIdentityProvider.ca}.
   */
  readonly hostAliases: { ip: string; hostnames: string[] }[];
  /** Asks it. @param path begins with a slash, for example `/v1/models` */
  fetch(path: string, init?: FetchInit & { accessToken?: string }): Promise<FetchAnswer>;
  /** Every request to it so far, whoever made it, in their order. */
  requests(): Promise<ResourceRequest[]>;
  /** Every token request so far that pods made by {@link hostAliases}, in their order. */
  tokenRequests(): Promise<TokenRequest[]>;
  stop(): Promise<void>;
}

/** A request to a resource server. */
export interface ResourceRequest {
  /** RFC 3339. */
  at: string;
  method: string;
  path: string;
  status: number;
  /** Why it was refused. */
  reason?: string;
  /** Claims of its Bearer token; the token itself is not kept. */
  claims?: Record<string, unknown>;
}

/** A request to the token endpoint. */
export interface TokenRequest {
  /** RFC 3339. */
  at: string;
  /** Its parameters. Of a token its header and claims are kept, never its signature. */
  parameters: Record<string, (string | { header: Record<string, unknown>; claims: Record<string, unknown> })[]>;
  status: number;
  /** `error` of the answer. */
  error?: string;
}

/**
 * Starts a cluster. The container engine and the images are set up when they are not there, which takes minutes the
 * first time: run `npx kube-agent-conformance setup` before. What a process that was killed left behind is removed by
 * the next one.
 *
 *     await using cluster = await startCluster();
 *
 * @throws Error that says what is missing and how to fix it
 */
export async function startCluster(options: ClusterOptions = {}): Promise<StartedCluster> {
  return (await parts()).startCluster(options);
}

/**
 * Starts an identity provider beside a cluster: one of each kind.
 *
 *     await using provider = await startIdentityProvider(cluster);
 *
 * @throws Error when it does not come up, with what was seen last
 */
export async function startIdentityProvider(
  cluster: StartedCluster,
  options: IdentityProviderOptions = {},
): Promise<StartedIdentityProvider> {
  return (await parts()).startIdentityProvider(cluster, options);
}

/**
 * Starts a resource server for the access tokens of a provider.
 *
 *     await using server = await startResourceServer(provider);
 */
export async function startResourceServer(provider: StartedIdentityProvider): Promise<StartedResourceServer> {
  return (await parts()).startResourceServer(provider);
}

/** The rest of the harness, which Node can load since 22.18. */
async function parts(): Promise<typeof import('./parts.ts')> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 18)) {
    throw new Error(
      `kube-agent-conformance/environment needs Node 22.18 or newer, and this is ${process.versions.node}`,
    );
  }
  await import('../cli/strip-types.mjs');
  return import('./parts.ts');
}
