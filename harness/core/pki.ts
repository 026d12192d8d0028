import 'reflect-metadata';
import { createPrivateKey } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

/** A certificate and its private key, both PEM (the key in PKCS #8). */
export interface Certificate {
  cert: string;
  key: string;
}

/** The keys of one run. It is made before anything starts, so that every server can be given its trust at once. */
export interface RunPki {
  /** Certificate of the run's CA, PEM: every TLS server of the run has a certificate of this CA. */
  readonly ca: string;
  /** A server certificate for `host` (DNS name or IP address) and further names. */
  issue(host: string, extra?: { names?: string[]; ips?: string[] }): Promise<Certificate>;
  /**
   * Files for k3s' documented custom CA and ServiceAccount key, by their path below `/var/lib/rancher/k3s/server/tls`
   * (https://docs.k3s.io/cli/certificate, "Using custom CA certificates").
   */
  readonly clusterFiles: Record<string, string>;
  /** Private half of the ServiceAccount signing key, PEM: tokens of the cluster can be re-signed with it. */
  readonly serviceAccountKey: string;
  /**
   * The same of the key that was rolled over to it. `service.key` holds both, the new one first: so k3s describes the
   * rollover (https://docs.k3s.io/cli/certificate, "Service-Account Issuer Key Rotation").
   */
  readonly previousServiceAccountKey: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Certificates begin an hour in the past, so that a clock that differs a little between hosts does no harm. */
function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - DAY_MS / 24), notAfter: new Date(now + 30 * DAY_MS) };
}

async function makeKey(): Promise<{ keys: CryptoKeyPair; pem: string }> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  return { keys, pem: await exportKey(keys.privateKey) };
}

async function exportKey(key: CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

/** SEC 1 ("EC PRIVATE KEY"): of PKCS #8 Kubernetes cannot take the public half, which it needs of `service.key`. */
function toSec1(pem: string): string {
  return createPrivateKey(pem).export({ type: 'sec1', format: 'pem' }).toString();
}

async function makeAuthority(name: string): Promise<{ cert: x509.X509Certificate; keys: CryptoKeyPair; pem: string }> {
  const { keys, pem } = await makeKey();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(),
    name: `CN=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert, keys, pem };
}

/**
 * Makes the run's CA, the cluster's other CAs and its ServiceAccount signing key (all ECDSA P-256; about 10 ms each).
 *
 * The run's CA is the cluster's server CA too: one trust for the issuer, the identity provider and the resource server.
 */
export async function makePki(runId: string): Promise<RunPki> {
  x509.cryptoProvider.set(crypto);
  const [server, client, requestHeader, service, previousService] = await Promise.all([
    makeAuthority(`kube-agent-conformance ${runId}`),
    makeAuthority(`kube-agent-conformance ${runId} client`),
    makeAuthority(`kube-agent-conformance ${runId} request header`),
    makeKey(),
    makeKey(),
  ]);
  const ca = server.cert.toString('pem');
  return {
    ca,
    serviceAccountKey: toSec1(service.pem),
    previousServiceAccountKey: toSec1(previousService.pem),
    clusterFiles: {
      'server-ca.crt': ca,
      'server-ca.key': toSec1(server.pem),
      'client-ca.crt': client.cert.toString('pem'),
      'client-ca.key': toSec1(client.pem),
      'request-header-ca.crt': requestHeader.cert.toString('pem'),
      'request-header-ca.key': toSec1(requestHeader.pem),
      'service.key': toSec1(service.pem) + toSec1(previousService.pem),
    },
    async issue(host, extra = {}) {
      const { keys, pem } = await makeKey();
      const names = [host, ...(extra.names ?? []), ...(extra.ips ?? [])];
      const cert = await x509.X509CertificateGenerator.create({
        ...validity(),
        subject: `CN=${host}`,
        issuer: server.cert.subject,
        publicKey: keys.publicKey,
        signingKey: server.keys.privateKey,
        signingAlgorithm: ALGORITHM,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
          new x509.SubjectAlternativeNameExtension(
            names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }) as const),
          ),
        ],
      });
      return { cert: cert.toString('pem'), key: pem };
    },
  };
}
