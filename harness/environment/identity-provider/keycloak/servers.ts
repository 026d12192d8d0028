import { text } from 'node:stream/consumers';
import KeycloakAdminClient from '@keycloak/keycloak-admin-client';
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from 'testcontainers';
import { redact } from '../../../tokens/redact.ts';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../names.ts';
import type { IdentityProviderContext } from '../context.ts';

/** Of the first administrator; see fixtures/images/keycloak. It guards a container that lives for one run. */
const ADMINISTRATOR = { username: 'admin', password: 'conformance' };

const START_DEADLINE_MS = 120_000;
const ADMIN_PORT = 8080;
const TLS_FOLDER = '/opt/conformance/tls';
const LOG_LINES = 25;

/** A running Keycloak, before any realm of ours is in it. */
export interface KeycloakServer {
  readonly admin: KeycloakAdminClient;
  /** As the server says itself; asked for while realms are made. */
  version(): Promise<string>;
  /** Where pods reach it, and where the harness does. */
  readonly upstream: { address: string; port: number };
  readonly route: { host: string; port: number };
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

async function lastLines(container: StartedTestContainer): Promise<string> {
  const log = await container.logs({ tail: LOG_LINES }).then(text, () => '');
  return redact(log.trimEnd());
}

async function startServer(context: IdentityProviderContext, imageName: string): Promise<KeycloakServer> {
  const { network } = context;
  if (network === undefined) throw new Error('Keycloak needs a container engine, and this run has no network');
  const [image, { cert, key }] = await Promise.all([context.image(imageName), context.pki.issue(HOSTS.keycloak)]);
  context.onProgress('starts Keycloak');
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
    ])
    .withCommand([
      'start',
      '--optimized',
      '--cache=local',
      `--hostname=https://${HOSTS.keycloak}:${IDENTITY_PROVIDER_PORT}`,
      '--http-enabled=true',
      `--http-port=${ADMIN_PORT}`,
      `--https-port=${IDENTITY_PROVIDER_PORT}`,
      `--https-certificate-file=${TLS_FOLDER}/tls.crt`,
      `--https-certificate-key-file=${TLS_FOLDER}/tls.key`,
      `--truststore-paths=${TLS_FOLDER}/ca.crt`,
    ])
    // Only says when it is worth asking; ready is the realm that answers.
    .withWaitStrategy(Wait.forLogMessage(/Listening on:/))
    .withStartupTimeout(START_DEADLINE_MS)
    .start();

  const host = isLocal(container.getHost()) ? '127.0.0.1' : container.getHost();
  const assertAlive = async (): Promise<void> => {
    const { container: containers } = await getContainerRuntimeClient();
    const { State: state } = await containers.inspect(containers.getById(container.getId()));
    if (!state.Running) {
      throw new Error(
        `Keycloak's container has exited (code ${state.ExitCode}); its last lines:\n${await lastLines(container)}`,
      );
    }
  };
  try {
    context.onProgress('sets Keycloak up');
    const admin = new KeycloakAdminClient({
      baseUrl: `http://${host}:${container.getMappedPort(ADMIN_PORT)}`,
      timeout: 30_000,
    });
    await admin.auth({ ...ADMINISTRATOR, grantType: 'password', clientId: 'admin-cli' });
    const version = admin.serverInfo.find().then(({ systemInfo }) => systemInfo?.version ?? 'unknown');
    // Told to whoever asks for it.
    version.catch(() => undefined);
    return {
      admin,
      version: () => version,
      upstream: { address: container.getIpAddress(network.getName()), port: IDENTITY_PROVIDER_PORT },
      route: { host, port: container.getMappedPort(IDENTITY_PROVIDER_PORT) },
      assertAlive,
      // Its data is in its container alone, so that nothing is lost by not waiting for it.
      stop: async () => {
        await container.stop({ timeout: 0 });
      },
    };
  } catch (cause) {
    const lines = await lastLines(container);
    await container.stop({ timeout: 0 });
    throw new Error(`Keycloak came up but could not be set up; its last lines:\n${lines}`, { cause });
  }
}

/** The Keycloak containers of one run: one for each image, shared by the reference and by the twins that are only other realms. */
export class KeycloakServers {
  readonly #servers = new Map<string, { server: Promise<KeycloakServer>; users: number }>();

  /** Starts the server of an image, or joins the one that is there. Each `acquire` wants one {@link release}. */
  acquire(context: IdentityProviderContext, imageName: string): Promise<KeycloakServer> {
    const known = this.#servers.get(imageName);
    if (known !== undefined) {
      known.users += 1;
      return known.server;
    }
    const server = startServer(context, imageName);
    this.#servers.set(imageName, { server, users: 1 });
    return server;
  }

  /** The last one to go stops the container. */
  async release(imageName: string): Promise<void> {
    const known = this.#servers.get(imageName);
    if (known === undefined) return;
    known.users -= 1;
    if (known.users > 0) return;
    this.#servers.delete(imageName);
    await (await known.server).stop();
  }
}
