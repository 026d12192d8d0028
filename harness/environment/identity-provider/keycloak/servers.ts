import type KeycloakAdminClient from '@keycloak/keycloak-admin-client';
import type { IdentityProviderContext } from '../context.ts';
import { administer, logInAdministrator } from './administer.ts';
import { KeycloakContainer } from './container.ts';
import { startKeycloakPod } from './pod.ts';
import type { KeycloakServerOptions } from './start-arguments.ts';

/** A running Keycloak, before any realm of ours is in it. */
export interface KeycloakServer {
  readonly admin: KeycloakAdminClient;
  /** As the server says itself; asked for while realms are made. */
  version(): Promise<string>;
  /** Where pods reach it, and where the harness does. */
  readonly upstream: { address: string; port: number };
  readonly route: { host: string; port: number };
  /** What its access log says; shared by all who share the server. Absent where nobody reads that. */
  requests?(): { counts: Record<string, number>; countedBy: string };
  /** Where it finds the keys of the cluster, where it cannot ask the issuer for them. */
  readonly keysUrl?: string;
  /** Leads it to a server on loopback of this host, where it would not reach that by itself. */
  reach?(url: string): Promise<void>;
  /** Rejects with what is known of it, such as its last log lines, if it is gone. */
  assertAlive(): Promise<void>;
  stop(): Promise<void>;
}

async function startServer(context: IdentityProviderContext, options: KeycloakServerOptions): Promise<KeycloakServer> {
  const container = await KeycloakContainer.start(context, options);
  try {
    context.onProgress('sets Keycloak up');
    const admin = await logInAdministrator(container.adminUrl);
    const version = administer('server info', admin.serverInfo.find()).then(
      ({ systemInfo }) => systemInfo?.version ?? 'unknown',
    );
    // Reported to whoever asks for it.
    version.catch(() => undefined);
    return {
      admin,
      version: () => version,
      requests: () => ({ counts: container.log.requests.counts, countedBy: 'its access log' }),
      upstream: container.upstream,
      route: container.route,
      assertAlive: () => container.assertAlive(),
      stop: () => container.stop(),
    };
  } catch (cause) {
    await container.stop();
    const lines = String(container.log);
    throw new Error(`Keycloak came up but does not let its administrator in; its last lines:\n${lines}`, { cause });
  }
}

/**
 * The Keycloak servers of one run, containers or pods: one for each kind that is asked for, shared by the reference and
 * by the twins that are only other realms.
 */
export class KeycloakServers {
  readonly #servers = new Map<string, { server: Promise<KeycloakServer>; users: number }>();

  /** Starts the server, or joins the one that is there. Each `acquire` wants one {@link release}. */
  acquire(context: IdentityProviderContext, options: KeycloakServerOptions): Promise<KeycloakServer> {
    const known = this.#servers.get(keyOf(options));
    if (known !== undefined) {
      known.users += 1;
      return known.server;
    }
    const server =
      context.pods === undefined ? startServer(context, options) : startKeycloakPod(context, context.pods, options);
    this.#servers.set(keyOf(options), { server, users: 1 });
    return server;
  }

  /** The last one to go stops the container. */
  async release(options: KeycloakServerOptions): Promise<void> {
    const known = this.#servers.get(keyOf(options));
    if (known === undefined) {
      return;
    }
    known.users -= 1;
    if (known.users > 0) {
      return;
    }
    this.#servers.delete(keyOf(options));
    // One that did not come up has reported that already, and has nothing to stop.
    const server = await known.server.catch(() => undefined);
    await server?.stop();
  }
}

const keyOf = ({ image, keysLifespanSeconds }: KeycloakServerOptions): string =>
  `${image} ${keysLifespanSeconds ?? ''}`;
