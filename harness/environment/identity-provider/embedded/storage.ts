import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';
import { GRANT_TYPES } from '../../../oauth/provider.ts';
import { SCOPES } from './behaviour.ts';
import type { ClientRegistry } from './clients.ts';
import type { EmbeddedProviderConfig } from './config.ts';

/**
 * What oidc-provider stores, by model. Nothing but clients and opaque access tokens is stored: there are no sessions,
 * and a JWT is stored by whoever has it.
 */
export function storageOf(
  { grants, introspectedBy }: Pick<EmbeddedProviderConfig, 'grants' | 'introspectedBy'>,
  clients: ClientRegistry,
): AdapterFactory {
  const findClient = (id: string): AdapterPayload | undefined => {
    if (id === introspectedBy?.clientId) {
      return {
        client_id: id,
        client_secret: introspectedBy.clientSecret,
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: [],
        response_types: [],
        redirect_uris: [],
      };
    }
    return clients.has(id)
      ? {
          client_id: id,
          token_endpoint_auth_method: 'none',
          grant_types: grants.map((grant) => GRANT_TYPES[grant]),
          response_types: [],
          redirect_uris: [],
          scope: SCOPES.join(' '),
        }
      : undefined;
  };
  return (model) => {
    if (model === 'Client') {
      return { ...STORES_NOTHING, find: async (id) => findClient(id) };
    }
    return model === 'AccessToken' ? accessTokens() : STORES_NOTHING;
  };
}

const STORES_NOTHING: Adapter = {
  async find() {
    return undefined;
  },
  async findByUserCode() {},
  async findByUid() {},
  async upsert() {},
  async consume() {},
  async destroy() {},
  async revokeByGrantId() {},
};

function accessTokens(): Adapter {
  const tokens = new Map<string, AdapterPayload>();
  return {
    ...STORES_NOTHING,
    find: async (id) => tokens.get(id),
    async upsert(id, payload) {
      tokens.set(id, payload);
    },
  };
}
