import type { Grant } from '../../../oauth/provider.ts';
import type { AssertionChecks } from './assertion.ts';
import type { EmbeddedBehaviour } from './behaviour.ts';
import type { KeyCache } from './cluster-keys.ts';

/** What a broken embedded provider does otherwise than the reference. */
export interface EmbeddedTwin {
  /** Makes the replaced steps, once for each provider (a step may keep a state of its own). */
  checks?(): Partial<AssertionChecks>;
  behaviour?: Partial<EmbeddedBehaviour>;
  /** Grants that it declares and does not serve. */
  switchedOff?: Grant[];
  /** Keeps the issuer's keys otherwise. */
  keyCache?: Partial<KeyCache>;
  /** True where it finds keys by the issuer's discovery, whatever it was configured with. */
  ignoresKeySources?: boolean;
  /** True where all of its providers sign with one key. */
  oneSigningKey?: boolean;
  /** True where they are opaque, and a resource server has to introspect them. */
  opaqueAccessTokens?: boolean;
  /** Life of its access tokens, whatever it declares. */
  accessTokenLifetimeSeconds?: number;
}
