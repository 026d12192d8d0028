import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import type { JWTPayload } from 'jose';
import { createForge, type TokenForge } from '../core/token.ts';
import type { AdditionalIssuerTrust, WorkloadIdentity } from '../oauth/provider.ts';
import { subjectOf } from '../oauth/provider.ts';
import { type HttpsListener, listenHttps } from './https-listener.ts';

/** The claims of a projected token as the API server writes them, issued now. */
export function projectedClaims(
  issuer: string,
  {
    audiences,
    expirationSeconds = 3_600,
    ...workload
  }: WorkloadIdentity & { audiences: string[]; expirationSeconds?: number },
): JWTPayload {
  const iat = Math.floor(Date.now() / 1_000);
  return {
    iss: issuer,
    sub: subjectOf(workload),
    aud: audiences,
    iat,
    nbf: iat,
    exp: iat + expirationSeconds,
    jti: randomUUID(),
    'kubernetes.io': {
      namespace: workload.namespace,
      serviceaccount: { name: workload.serviceAccount, uid: randomUUID() },
    },
  };
}

/** Where an issuer of the harness's own can be served, so that the identity provider reaches it. */
export interface IssuerPlace {
  /** IP address to bind, and its host in URLs. */
  address: string;
  /** Certificate for the address, and its key, PEM. */
  cert: string;
  key: string;
  /** True for an issuer by plain http. */
  plainHttp?: boolean;
}

/**
 * The issuing half of a cluster, served by the harness: its keys can be rolled and withdrawn, and it can be out of
 * reach.
 */
export interface AdditionalIssuer {
  readonly issuer: string;
  /** By its discovery; `keys` names another place. */
  trust(keys?: AdditionalIssuerTrust['keys']): AdditionalIssuerTrust;
  /** From now on these are its public keys, and no others. */
  publish(...keys: TokenForge[]): void;
  setReachable(reachable: boolean): void;
  /** A public copy of its discovery and keys under another URL, which stays in reach. */
  mirror(): Promise<{ keyUrl: string; requests: string[]; readonly isOutOfReach: boolean }>;
  /** URLs of its keys (`jku`) and of its TLS certificate (`x5u`). */
  readonly keyUrl: string;
  readonly certificateUrl: string;
  /** Paths that were requested of it. */
  readonly requests: string[];
  /**
   * True where nobody has asked it anything although they would have: nobody connected, or whoever connected rejected
   * its TLS. Whoever connected only while it was unreachable has given it up.
   */
  readonly isOutOfReach: boolean;
  stop(): Promise<void>;
}

/** A signing key of an issuer. @param algorithm RS256 or ES256 */
export function makeSigningKey(algorithm = 'ES256'): TokenForge {
  const { privateKey } =
    algorithm === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2_048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return createForge(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
}

const KEYS_PATH = '/openid/v1/jwks';
const CERTIFICATE_PATH = '/certificate.pem';

/** One listener with a discovery document and keys, at a URL of its own. */
interface IssuerServer {
  url: string;
  /** Paths that were asked of it. */
  requests: string[];
  listener: HttpsListener;
}

/**
 * Serves a discovery document and keys.
 *
 * @param issuerOf the issuer that the document names, by the URL at which it is served
 */
async function serveIssuer(
  { address, cert, key, plainHttp = false }: IssuerPlace,
  issuerOf: (url: string) => string,
  jwks: () => string,
): Promise<IssuerServer> {
  const requests: string[] = [];
  let url = '';
  const answering =
    (path: string, body: () => string): RequestListener =>
    (request, response) => {
      requests.push(path);
      request.resume();
      response.writeHead(200, { 'content-type': 'application/json' }).end(body());
    };
  const listener = await listenHttps({
    bindAddress: address,
    port: 0,
    cert,
    key,
    plainHttp,
    mounts: {
      '.well-known': answering('/.well-known/openid-configuration', () => discoveryDocument(issuerOf(url), url)),
      openid: answering(KEYS_PATH, jwks),
      'certificate.pem': answering(CERTIFICATE_PATH, () => cert),
    },
  });
  url = `${plainHttp ? 'http' : 'https'}://${listener.address}:${listener.port}`;
  return { url, requests, listener };
}

function discoveryDocument(issuer: string, url: string): string {
  return JSON.stringify({
    issuer,
    jwks_uri: `${url}${KEYS_PATH}`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  });
}

/** Starts an issuer on a port of its own, with no key published yet. */
export async function startAdditionalIssuer(place: IssuerPlace): Promise<AdditionalIssuer> {
  let published: TokenForge[] = [];
  const jwks = (): string => JSON.stringify({ keys: published.map(({ jwk }) => jwk) });
  const { url: issuer, requests, listener } = await serveIssuer(place, (url) => url, jwks);
  const listeners = [listener];
  return {
    issuer,
    keyUrl: `${issuer}${KEYS_PATH}`,
    certificateUrl: `${issuer}${CERTIFICATE_PATH}`,
    requests,
    get isOutOfReach() {
      return requests.length === 0 && (listener.letIn > 0 || listener.turnedAway === 0);
    },
    trust: (keys) => ({
      issuer,
      algorithms: ['ES256'],
      published: jwks(),
      ...(keys === undefined ? {} : { keys }),
    }),
    publish(...keys) {
      published = keys;
    },
    setReachable: (reachable) => listener.setReachable(reachable),
    async mirror() {
      const copy = await serveIssuer(place, () => issuer, jwks);
      listeners.push(copy.listener);
      return {
        keyUrl: `${copy.url}${KEYS_PATH}`,
        requests: copy.requests,
        // Whoever went to the issuer instead reaches this host, and should have asked here.
        get isOutOfReach() {
          const hasCalled = listener.turnedAway > 0 || listener.letIn > 0;
          return copy.requests.length === 0 && (copy.listener.letIn > 0 || !hasCalled);
        },
      };
    },
    async stop() {
      await Promise.all(listeners.map((each) => each.close()));
    },
  };
}
