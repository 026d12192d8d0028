import { makePki } from '../../core/pki.ts';
import { Resolver } from '../../core/resolver.ts';
import { createForge, type TokenForge } from '../../core/token.ts';
import { projectedClaims } from '../../fakes/additional-issuer.ts';
import type { Fetch } from '../../oauth/fetch.ts';
import type { IdentityProviderContext } from './context.ts';
import { KeycloakServers } from './keycloak/servers.ts';

/** The issuing half of a cluster, in this process: for tests of identity providers that need no cluster. */
export interface TestIssuer {
  readonly issuer: string;
  readonly forge: TokenForge;
  readonly jwks: { keys: Record<string, unknown>[] };
  /** Everything to start an identity provider with that trusts this issuer; listens on loopback. */
  readonly context: IdentityProviderContext;
  /** Answers for discovery and keys; can be replaced, to make the issuer unreachable. */
  serve: Fetch;
  /** A token as the API server makes it. */
  mint(token: {
    namespace: string;
    serviceAccount: string;
    audiences: string[];
    expirationSeconds?: number;
  }): Promise<string>;
}

export async function makeTestIssuer(issuer = 'https://cluster.conformance.test:6443'): Promise<TestIssuer> {
  const pki = await makePki('test');
  const forge = createForge(pki.serviceAccountKey);
  const jwks = { keys: [{ ...forge.jwk }] };
  const documents: Record<string, unknown> = {
    [`${issuer}/.well-known/openid-configuration`]: { issuer, jwks_uri: `${issuer}/openid/v1/jwks` },
    [`${issuer}/openid/v1/jwks`]: jwks,
  };
  const test: TestIssuer = {
    issuer,
    forge,
    jwks,
    async serve(url, init) {
      const type = url.endsWith('/jwks') ? 'application/jwk-set+json' : 'application/json';
      if (documents[url] === undefined) {
        return new Response('', { status: 404 });
      }
      // As strict as the API server is.
      if (!init?.headers?.accept?.includes(type)) {
        return new Response('', { status: 406 });
      }
      return Response.json(documents[url], { headers: { 'content-type': type } });
    },
    mint: (token) => forge.sign(projectedClaims(issuer, token)),
    context: {
      pki,
      trust: { issuer, jwksUri: `${issuer}/openid/v1/jwks`, ca: pki.ca },
      fetch: (url, init) => test.serve(url, init),
      image: () => Promise.reject(new Error('there is no engine here')),
      labels: {},
      bindAddress: '127.0.0.1',
      resolver: new Resolver({ routes: {}, ca: pki.ca }),
      onProgress() {},
      keycloakServers: new KeycloakServers(),
    },
  };
  return test;
}
