import { createPrivateKey, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { makePki } from './pki.ts';

test('a server certificate is of the run CA, for its names and addresses only', async () => {
  const pki = await makePki('r1');
  const { cert, key } = await pki.issue('keycloak.conformance.test', { ips: ['10.0.0.7'] });
  const certificate = new X509Certificate(cert);
  expect(certificate.verify(new X509Certificate(pki.ca).publicKey)).toBe(true);
  expect(certificate.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect(certificate.checkHost('keycloak.conformance.test')).toBe('keycloak.conformance.test');
  expect(certificate.checkIP('10.0.0.7')).toBe('10.0.0.7');
  expect(certificate.checkHost('cluster.conformance.test')).toBeUndefined();
  expect(certificate.ca).toBe(false);
});

test('another run does not trust it', async () => {
  const [one, other] = await Promise.all([makePki('r1'), makePki('r2')]);
  const { cert } = await one.issue('cluster.conformance.test');
  expect(new X509Certificate(cert).verify(new X509Certificate(other.ca).publicKey)).toBe(false);
});

test('the files of the cluster are those of k3s’ custom CA', async () => {
  const pki = await makePki('r1');
  expect(Object.keys(pki.clusterFiles).sort()).toEqual([
    'client-ca.crt',
    'client-ca.key',
    'request-header-ca.crt',
    'request-header-ca.key',
    'server-ca.crt',
    'server-ca.key',
    'service.key',
  ]);
  expect(pki.clusterFiles['server-ca.crt']).toBe(pki.ca);
  expect(createPrivateKey(pki.serviceAccountKey).asymmetricKeyType).toBe('ec');
  expect(pki.serviceAccountKey, 'Kubernetes takes no PKCS #8 here').toContain('BEGIN EC PRIVATE KEY');
  expect(pki.clusterFiles['service.key'], 'tokens are signed with the first key of the file').toBe(
    pki.serviceAccountKey + pki.previousServiceAccountKey,
  );
});
