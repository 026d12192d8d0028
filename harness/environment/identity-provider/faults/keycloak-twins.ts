import type KeycloakAdminClient from '@keycloak/keycloak-admin-client';
import type { GrantDeclaration } from '../../../oauth/provider.ts';
import { GRANT_ALIAS, type RealmRepresentation, type RealmTrust } from '../keycloak/realm.ts';
import type { KeycloakServerOptions } from '../keycloak/start-arguments.ts';

/** What a Keycloak that is set up badly has otherwise than the reference. */
export interface KeycloakTwin {
  /** Image, where it is another one. */
  image?: KeycloakServerOptions['image'];
  /** Before the realm names of the reference, since they may share a server. */
  realmPrefix?: string;
  grants?: GrantDeclaration[];
  /** Changes the realm before it is made. */
  realm?(realm: RealmRepresentation, trust: RealmTrust, audience: string): void;
  /** What a realm's JSON cannot say. */
  finish?(admin: KeycloakAdminClient, realm: string): Promise<void>;
  /** True where every client may bring assertions of every subject. */
  untied?: boolean;
  /** The one client of all workloads, where they need no registration. */
  clientId?: string;
}

const EXCHANGE_CLIENT = 'exchange';

/** Faults that somebody else wrote: Keycloak's own defaults and its own legacy feature, as measured on 26.7.4. */
export const KEYCLOAK_TWINS: Record<string, KeycloakTwin> = {
  /** The JWT authorization grant as it comes: a token is good once, for 300 s, and in the hands of every client. */
  'jwt-grant-defaults': {
    realmPrefix: 'jwt-grant-defaults-',
    untied: true,
    realm({ identityProviders }) {
      for (const { alias, config } of identityProviders) {
        if (alias !== GRANT_ALIAS) {
          continue;
        }
        delete (config as Record<string, unknown>).jwtAuthorizationGrantAssertionReuseAllowed;
        delete (config as Record<string, unknown>).jwtAuthorizationGrantMaxAllowedAssertionExpiration;
      }
    },
  },

  /**
   * Token exchange V1, deprecated: looks at neither the audience nor the presence of `exp`, and lets every
   * ServiceAccount in.
   */
  'legacy-token-exchange': {
    image: 'keycloak-preview',
    realmPrefix: 'legacy-token-exchange-',
    clientId: EXCHANGE_CLIENT,
    grants: [{ grant: 'token-exchange', clientAuthentication: 'none' }],
    realm(realm, trust, audience) {
      realm.clients = [{ clientId: EXCHANGE_CLIENT, enabled: true, publicClient: true, standardFlowEnabled: false }];
      realm.identityProviders = [
        {
          alias: GRANT_ALIAS,
          providerId: 'oidc',
          enabled: true,
          config: {
            issuer: trust.issuer,
            useJwksUrl: 'true',
            jwksUrl: trust.jwksUri,
            validateSignature: 'true',
            clientId: audience,
            disableUserInfo: 'true',
            // A ServiceAccount's token has no `typ` claim.
            disableTypeClaimCheck: 'true',
          },
        },
      ];
    },
    async finish(admin, realm) {
      const { scopePermissions } = await admin.identityProviders.updatePermission(
        { realm, alias: GRANT_ALIAS },
        { enabled: true },
      );
      const id = async (clientId: string): Promise<string> =>
        (await admin.clients.find({ realm, clientId }))[0]?.id ?? '';
      const [management, exchange] = await Promise.all([id('realm-management'), id(EXCHANGE_CLIENT)]);
      const policy = await admin.clients.createPolicy({ realm, id: management, type: 'client' }, {
        name: 'exchange',
        type: 'client',
        clients: [exchange],
      } as Parameters<typeof admin.clients.createPolicy>[1]);
      const permissionId = (scopePermissions as Record<string, string> | undefined)?.['token-exchange'] ?? '';
      const permission = await admin.clients.findOnePermission({ realm, id: management, type: 'scope', permissionId });
      await admin.clients.updatePermission(
        { realm, id: management, type: 'scope', permissionId },
        { ...permission, policies: [policy.id ?? ''] },
      );
    },
  },
};
