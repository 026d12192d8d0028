import type { Grant } from '../../../oauth/provider.ts';
import type { KeyCache } from './cluster-keys.ts';

/** One provider as it is configured; plain data, so that a pod can read it from a file. */
export interface EmbeddedProviderConfig {
  issuer: string;
  /**
   * Issuer of the cluster whose ServiceAccounts are trusted; its keys are found by its discovery, unless `keys` says
   * otherwise.
   */
  clusterIssuer: string;
  keys?: { url: string } | { jwks: string };
  keyCache: KeyCache;
  /** Allowed `alg` values of the cluster's tokens. */
  algorithms: string[];
  /** The audience that a projected token must name. */
  audience: string;
  /** Grants that are served. */
  grants: Grant[];
  accessTokenAudience: string;
  accessTokenLifetimeSeconds: number;
  /** Seconds by which the clocks of cluster and provider may differ. */
  clockToleranceSeconds: number;
  /** The resource server that may introspect (RFC 7662); given, access tokens are opaque, else they are JWTs. */
  introspectedBy?: { clientId: string; clientSecret: string };
}
