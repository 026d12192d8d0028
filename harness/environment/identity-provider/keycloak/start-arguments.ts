import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';

/** Port of Keycloak's plain http, for its administrator alone. */
export const ADMIN_PORT = 8080;

/** What is started: one of our images, with or without a limit on how long an issuer's keys are used. */
export interface KeycloakServerOptions {
  image: 'keycloak' | 'keycloak-preview' | 'keycloak-26-4';
  /** Absent: Keycloak's defaults. */
  keysLifespanSeconds?: number;
}

/** The files that {@link startArguments} name, by their names. @param ca what issuers' TLS is verified by, PEM */
export function configurationFiles(
  { cert, key, ca }: { cert: string; key: string; ca: string },
  { keysLifespanSeconds }: KeycloakServerOptions,
): Record<string, string> {
  return {
    'tls.crt': cert,
    'tls.key': key,
    'ca.crt': ca,
    ...(keysLifespanSeconds === undefined ? {} : { 'caches.xml': cachesOf(keysLifespanSeconds) }),
  };
}

/** Infinispan's configuration: what it does not name is as Keycloak has it. */
function cachesOf(keysLifespanSeconds: number): string {
  return `<infinispan xmlns="urn:infinispan:config:16.0">
  <cache-container>
    <local-cache name="keys" simple-cache="true">
      <expiration lifespan="${keysLifespanSeconds * 1_000}"/>
    </local-cache>
  </cache-container>
</infinispan>
`;
}

/** Arguments of `kc.sh start`, without those that say what is built. @param folder of {@link configurationFiles} */
export function startArguments(folder: string, { keysLifespanSeconds }: KeycloakServerOptions): string[] {
  return [
    '--cache=local',
    ...(keysLifespanSeconds === undefined
      ? []
      : [`--cache-config-file=${folder}/caches.xml`, '--cache-config-mutate=true']),
    `--hostname=https://${HOSTS.keycloak}:${IDENTITY_PROVIDER_PORT}`,
    '--http-enabled=true',
    `--http-port=${ADMIN_PORT}`,
    `--https-port=${IDENTITY_PROVIDER_PORT}`,
    `--https-certificate-file=${folder}/tls.crt`,
    `--https-certificate-key-file=${folder}/tls.key`,
    `--truststore-paths=${folder}/ca.crt`,
    '--http-access-log-enabled=true',
  ];
}
