import KeycloakAdminClient, { NetworkError } from '@keycloak/keycloak-admin-client';
import { redact } from '../../../core/redact.ts';
import { limitSeconds } from '../../../core/time-limits.ts';

/** Name of the first administrator; see fixtures/images/keycloak. */
export const ADMINISTRATOR = 'admin';
/** Its password in our images, where it guards a container that nobody but this host reaches. */
const PASSWORD = 'conformance';
/** A server that is being set up while clusters start has little time for each request. */
const REQUEST_DEADLINE_MS = limitSeconds('keycloakRequest') * 1_000;
/** Keycloak's minute is short for a machine that may stall for a part of it: a request must not outlive its token. */
const ADMINISTRATOR_TOKEN_SECONDS = 600;

/**
 * Awaits a call of Keycloak's Admin REST API. Its own error holds the request with the administrator's token, so that
 * only the answer is reported.
 */
export async function administer<T>(what: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    const status = error instanceof NetworkError ? `${error.response.status} ` : '';
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
    throw new Error(
      redact(`Keycloak, ${what}: ${status}${error instanceof Error ? error.message : String(error)}${cause}`),
    );
  }
}

/** Logs the administrator in, for long enough. @param baseUrl of the admin port */
export async function logInAdministrator(baseUrl: string, password = PASSWORD): Promise<KeycloakAdminClient> {
  const admin = new KeycloakAdminClient({ baseUrl, timeout: REQUEST_DEADLINE_MS });
  const logIn = (): Promise<void> =>
    administer(
      'log in',
      admin.auth({ username: ADMINISTRATOR, password, grantType: 'password', clientId: 'admin-cli' }),
    );
  await logIn();
  const realm = { accessTokenLifespan: ADMINISTRATOR_TOKEN_SECONDS };
  await administer('write the realm master', admin.realms.update({ realm: 'master' }, realm));
  await logIn();
  return admin;
}
