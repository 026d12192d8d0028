import type { StartedNetwork } from 'testcontainers';
import type { Resolver } from '../../core/resolver.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import type { Fetch } from '../../oauth/fetch.ts';
import type { ClusterTrust, WorkloadIdentity } from '../../oauth/provider.ts';
import type { KeycloakServers } from './keycloak/servers.ts';

/** What a run gives to the identity providers that it starts. */
export interface IdentityProviderContext {
  pki: {
    /** Certificate of the run's CA, PEM. */
    ca: string;
    issue(host: string, extra?: { ips?: string[] }): Promise<{ cert: string; key: string }>;
  };
  trust: ClusterTrust;
  /**
   * The public keys of {@link trust}, a JWK Set as JSON text, once the cluster is up: for who needs them before the
   * first token.
   */
  clusterKeys?(): Promise<string>;
  /** `fetch` that knows the run's names and trusts the run's CA. */
  fetch: Fetch;
  /** The run's network, where there is an engine. */
  network?: StartedNetwork;
  /** Reference of one of our images (`keycloak`, `keycloak-preview`), built or pulled if need be. */
  image(name: string): Promise<string>;
  /** Labels of every container of the run. */
  labels: Record<string, string>;
  /** Address of this host that pods can reach: where servers in this process listen. */
  bindAddress: string;
  /**
   * Learns where the provider's name leads. One resolver for each provider that is started: twins share their
   * reference's name.
   */
  resolver: Resolver;
  onProgress(message: string): void;
  /** On a live cluster, whose pods do not reach this host: what a provider that runs there as a pod needs. */
  pods?: {
    cluster(): Promise<ClusterData>;
    /** Where it lives until the end of the run. */
    namespace(): Promise<string>;
    /** Labels of its objects. */
    lasting: Record<string, string>;
  };
  /** The run's Keycloak containers, shared by the reference and its twins. */
  keycloakServers: KeycloakServers;
  /** Names of the providers to be started; `production` and `staging` if not given. */
  providers?: string[];
  /** Life of the access tokens in seconds; 60 if not given. */
  accessTokenLifetimeSeconds?: number;
}

export const DEFAULT_PROVIDERS = ['production', 'staging'];
export const DEFAULT_ACCESS_TOKEN_LIFETIME_SECONDS = 60;

/** Client id of a ServiceAccount. A namespace has no dot in its name, so that no two of them get the same. */
export function clientIdOf({ namespace, serviceAccount }: WorkloadIdentity): string {
  return `${namespace}.${serviceAccount}`;
}
