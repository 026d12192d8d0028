import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import KeycloakAdminClient, { NetworkError } from '@keycloak/keycloak-admin-client';
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import { redact } from '../../../core/redact.ts';
import { limitSeconds } from '../../../core/time-limits.ts';
import type { IdentityProviderContext } from '../context.ts';
import { RequestCounter } from '../request-counter.ts';

/** Of the first administrator; see fixtures/images/keycloak. It guards a container that lives for one run. */
const ADMINISTRATOR = { username: 'admin', password: 'conformance' };

const START_DEADLINE_MS = limitSeconds('keycloakStart') * 1_000;
/** A server that is being set up while clusters start has little time for each request. */
const REQUEST_DEADLINE_MS = limitSeconds('keycloakRequest') * 1_000;
/** Keycloak's minute is short for a machine that may stall for a part of it: a request must not outlive its token. */
const ADMINISTRATOR_TOKEN_SECONDS = 600;
const ADMIN_PORT = 8080;
const TLS_FOLDER = '/opt/conformance/tls';
const CACHES_FILE = '/opt/conformance/caches.xml';

/**
 * How long Keycloak uses an issuer's keys as it has fetched them. By its defaults it is until a token names a key that is not
 * among them, so that one which was withdrawn stays good (catalogue AI-14; measured on 26.7.4).
 */
export const KEYS_LIFESPAN_SECONDS = 40;

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

/** What is started: one of our images, with or without a limit on how long an issuer's keys are used. */
export interface KeycloakServerOptions {
  image: 'keycloak' | 'keycloak-preview' | 'keycloak-26-4';
  /** Absent: Keycloak's defaults. */
  keysLifespanSeconds?: number;
}

const LOG_LINES = 25;

/**
 * Awaits a call of Keycloak's Admin REST API. Its own error holds the request with the administrator's token, so that only
 * the answer is reported.
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

/** A running Keycloak, before any realm of ours is in it. */
export interface KeycloakServer {
  readonly admin: KeycloakAdminClient;
  /** As the server says itself; asked for while realms are made. */
  version(): Promise<string>;
  /** Where pods reach it, and where the harness does. */
  readonly upstream: { address: string; port: number };
  readonly route: { host: string; port: number };
  /** What its access log says; shared by all who share the server. */
  requests(): { counts: Record<string, number>; countedBy: string };
  /** Rejects with the container's last log lines if it is gone. */
  assertAlive(): Promise<void>;
  stop(): Promise<void>;
}

/** Publishes its ports on the loopback interface alone: the administrator's is one of them. */
class KeycloakContainer extends GenericContainer {
  protected override async beforeContainerCreated(): Promise<void> {
    const { info } = await getContainerRuntimeClient();
    if (!isLocal(info.containerRuntime.host)) return;
    const bindings = this.hostConfig.PortBindings as Record<string, { HostIp?: string; HostPort: string }[]>;
    for (const binding of Object.values(bindings).flat()) binding.HostIp = '127.0.0.1';
  }
}

function isLocal(host: string): boolean {
  return host === 'localhost' || host === '127.0.0.1';
}

/** A line of the access log, as Keycloak writes it by default (Quarkus' pattern `common`). */
const ACCESS = /\[org\.keycloak\.http\.access-log\].*"[A-Z]+ (\S+) HTTP/;

/** Keeps the last lines that a container wrote (what is left to read when it is gone), and counts the requests that it logs. */
class ServerLog {
  readonly requests = new RequestCounter();
  #lines: string[] = [];

  consume(stream: Readable): void {
    createInterface(stream).on('line', (line) => {
      const path = ACCESS.exec(line)?.[1];
      if (path !== undefined) {
        this.requests.count(path);
        return;
      }
      this.#lines = [...this.#lines, line].slice(-LOG_LINES);
    });
  }

  toString(): string {
    return this.#lines.length === 0 ? '(it wrote nothing)' : redact(this.#lines.join('\n'));
  }
}

async function startServer(
  context: IdentityProviderContext,
  { image: imageName, keysLifespanSeconds }: KeycloakServerOptions,
): Promise<KeycloakServer> {
  const { network } = context;
  if (network === undefined) throw new Error('Keycloak needs a container engine, and this run has no network');
  const [image, { cert, key }] = await Promise.all([context.image(imageName), context.pki.issue(HOSTS.keycloak)]);
  context.onProgress('starts Keycloak');
  const log = new ServerLog();
  const container = await new KeycloakContainer(image)
    .withNetwork(network)
    .withNetworkAliases(HOSTS.keycloak)
    .withLabels(context.labels)
    .withExposedPorts(IDENTITY_PROVIDER_PORT, ADMIN_PORT)
    .withCopyContentToContainer([
      { content: cert, target: `${TLS_FOLDER}/tls.crt`, mode: 0o444 },
      // Read by Keycloak's own user, who is not the owner of what is copied; the container holds nothing else.
      { content: key, target: `${TLS_FOLDER}/tls.key`, mode: 0o444 },
      { content: context.trust.ca, target: `${TLS_FOLDER}/ca.crt`, mode: 0o444 },
      ...(keysLifespanSeconds === undefined
        ? []
        : [{ content: cachesOf(keysLifespanSeconds), target: CACHES_FILE, mode: 0o444 }]),
    ])
    .withCommand([
      'start',
      '--optimized',
      '--cache=local',
      ...(keysLifespanSeconds === undefined
        ? []
        : [`--cache-config-file=${CACHES_FILE}`, '--cache-config-mutate=true']),
      `--hostname=https://${HOSTS.keycloak}:${IDENTITY_PROVIDER_PORT}`,
      '--http-enabled=true',
      `--http-port=${ADMIN_PORT}`,
      `--https-port=${IDENTITY_PROVIDER_PORT}`,
      `--https-certificate-file=${TLS_FOLDER}/tls.crt`,
      `--https-certificate-key-file=${TLS_FOLDER}/tls.key`,
      `--truststore-paths=${TLS_FOLDER}/ca.crt`,
      '--http-access-log-enabled=true',
    ])
    .withLogConsumer((stream) => log.consume(stream))
    // Only says when it is worth asking; ready is the realm that answers.
    .withWaitStrategy(Wait.forLogMessage(/Listening on:/))
    .withStartupTimeout(START_DEADLINE_MS)
    .start()
    .catch((cause: unknown) => {
      throw new Error(`Keycloak did not come up; its last lines:\n${log}`, {
        cause,
      });
    });

  const host = isLocal(container.getHost()) ? '127.0.0.1' : container.getHost();
  const stop = async (): Promise<void> => {
    // Its data is in its container alone, so that nothing is lost by not waiting for it.
    await container.stop({ timeout: 0 }).catch((error: { statusCode?: number }) => {
      // Somebody was faster.
      if (error.statusCode !== 404) throw error;
    });
  };
  try {
    context.onProgress('sets Keycloak up');
    const admin = new KeycloakAdminClient({
      baseUrl: `http://${host}:${container.getMappedPort(ADMIN_PORT)}`,
      timeout: REQUEST_DEADLINE_MS,
    });
    const logIn = (): Promise<void> =>
      administer('log in', admin.auth({ ...ADMINISTRATOR, grantType: 'password', clientId: 'admin-cli' }));
    await logIn();
    const realm = { accessTokenLifespan: ADMINISTRATOR_TOKEN_SECONDS };
    await administer('write the realm master', admin.realms.update({ realm: 'master' }, realm));
    await logIn();
    const version = administer('server info', admin.serverInfo.find()).then(
      ({ systemInfo }) => systemInfo?.version ?? 'unknown',
    );
    // Reported to whoever asks for it.
    version.catch(() => undefined);
    return {
      admin,
      version: () => version,
      requests: () => ({ counts: log.requests.counts, countedBy: 'its access log' }),
      upstream: { address: container.getIpAddress(network.getName()), port: IDENTITY_PROVIDER_PORT },
      route: { host, port: container.getMappedPort(IDENTITY_PROVIDER_PORT) },
      async assertAlive() {
        const { container: containers } = await getContainerRuntimeClient();
        const state = await containers
          .inspect(containers.getById(container.getId()))
          .then(({ State }) => (State.Running ? undefined : `has exited with code ${State.ExitCode}`))
          .catch((error: { statusCode?: number }) => {
            if (error.statusCode === 404) return 'is gone';
            throw error;
          });
        if (state !== undefined) throw new Error(`Keycloak's container ${state}; its last lines:\n${log}`);
      },
      stop,
    };
  } catch (cause) {
    await stop();
    throw new Error(`Keycloak came up but does not let its administrator in; its last lines:\n${log}`, { cause });
  }
}

/** The Keycloak containers of one run: one for each kind that is asked for, shared by the reference and by the twins that are only other realms. */
export class KeycloakServers {
  readonly #servers = new Map<string, { server: Promise<KeycloakServer>; users: number }>();

  /** Starts the server, or joins the one that is there. Each `acquire` wants one {@link release}. */
  acquire(context: IdentityProviderContext, options: KeycloakServerOptions): Promise<KeycloakServer> {
    const known = this.#servers.get(keyOf(options));
    if (known !== undefined) {
      known.users += 1;
      return known.server;
    }
    const server = startServer(context, options);
    this.#servers.set(keyOf(options), { server, users: 1 });
    return server;
  }

  /** The last one to go stops the container. */
  async release(options: KeycloakServerOptions): Promise<void> {
    const known = this.#servers.get(keyOf(options));
    if (known === undefined) return;
    known.users -= 1;
    if (known.users > 0) return;
    this.#servers.delete(keyOf(options));
    // One that did not come up has reported that already, and has nothing to stop.
    const server = await known.server.catch(() => undefined);
    await server?.stop();
  }
}

const keyOf = ({ image, keysLifespanSeconds }: KeycloakServerOptions): string =>
  `${image} ${keysLifespanSeconds ?? ''}`;
