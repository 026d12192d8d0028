import { createHmac } from 'node:crypto';
import { exportSPKI, importJWK, type JWK } from 'jose';
import { OAuth2Issuer, OAuth2Server } from 'oauth2-mock-server';

/** Signs any claims with keys of its own: another cluster, or somebody who would like to be this one. */
export interface RogueIssuer {
  /** Signs `claims` as they are. `header` replaces the header's members (`kid`, `typ`, …); `alg` is the key's. */
  sign(claims: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
}

/**
 * Makes a rogue issuer with a key of its own, on `oauth2-mock-server`.
 *
 * @param algorithm of its key: the cluster's, so that a provider cannot refuse it for the algorithm
 */
export async function makeRogueIssuer(algorithm = 'ES256'): Promise<RogueIssuer> {
  const issuer = new OAuth2Issuer();
  issuer.url = 'https://rogue.conformance.test';
  await issuer.keys.generate(algorithm, { kid: 'rogue' });
  return rogueOf(issuer);
}

/** A rogue issuer whose discovery document and keys can be had on the loopback interface. */
export interface ListeningRogueIssuer extends RogueIssuer {
  readonly issuer: string;
  stop(): Promise<void>;
}

/** As {@link makeRogueIssuer}; a provider that believes whatever issuer a token names finds its keys. */
export async function startRogueIssuer(algorithm = 'ES256'): Promise<ListeningRogueIssuer> {
  const server = new OAuth2Server();
  await server.issuer.keys.generate(algorithm, { kid: 'rogue' });
  await server.start(0, '127.0.0.1');
  server.issuer.url = `http://127.0.0.1:${server.address().port}`;
  return {
    ...rogueOf(server.issuer),
    issuer: server.issuer.url,
    stop: () => server.stop(),
  };
}

function rogueOf(issuer: OAuth2Issuer): RogueIssuer {
  return {
    sign: (claims, header = {}) =>
      issuer.buildToken({
        scopesOrTransform(itsHeader, itsClaims) {
          // Kubernetes writes no `typ`, so that neither does the imitation.
          Object.assign(itsHeader, { typ: undefined, ...header });
          for (const name of Object.keys(itsClaims)) {
            delete itsClaims[name];
          }
          Object.assign(itsClaims, claims);
        },
      }),
  };
}

function encode(part: Record<string, unknown>): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

/** An unsecured JWT (RFC 7519 section 6): no signature. `algorithm` may be spelled otherwise (`None`). */
export function unsecured(claims: Record<string, unknown>, algorithm = 'none'): string {
  return `${encode({ alg: algorithm })}.${encode(claims)}.`;
}

/** The same header and signature under other claims. */
export function tamper(token: string, change: (claims: Record<string, unknown>) => void): string {
  const [header, payload, signature] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString()) as Record<string, unknown>;
  change(claims);
  return `${header}.${encode(claims)}.${signature}`;
}

/** A JWT by HMAC with `secret`, for algorithm confusion (RFC 8725 section 2.1). */
export function signHs256(
  claims: Record<string, unknown>,
  secret: string | Buffer,
  header: Record<string, unknown> = {},
): string {
  const input = `${encode({ ...header, alg: 'HS256' })}.${encode(claims)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

/**
 * What somebody may take for "the public key" when it is used as a secret: its PEM (with and without the last line's
 * end) and its DER.
 */
export async function publicKeyAsSecrets(key: JWK, algorithm: string): Promise<Record<string, string | Buffer>> {
  const imported = await importJWK(key, algorithm, { extractable: true });
  if (imported instanceof Uint8Array) {
    throw new TypeError('not a public key');
  }
  const pem = await exportSPKI(imported);
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  return { PEM: `${pem.trimEnd()}\n`, 'PEM without the last line end': pem.trimEnd(), DER: der };
}
