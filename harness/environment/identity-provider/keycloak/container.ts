import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import {
  GenericContainer,
  getContainerRuntimeClient,
  type StartedNetwork,
  type StartedTestContainer,
  Wait,
} from 'testcontainers';
import { LogTail } from '../../../core/log-tail.ts';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import { limitSeconds } from '../../../core/time-limits.ts';
import type { IdentityProviderContext } from '../context.ts';
import { RequestCounter } from '../request-counter.ts';
import { ADMIN_PORT, configurationFiles, type KeycloakServerOptions, startArguments } from './start-arguments.ts';

const START_DEADLINE_MS = limitSeconds('keycloakStart') * 1_000;
/** Where the files of its configuration are. */
const FOLDER = '/opt/conformance/run';
const LOG_LINES = 25;

/** Publishes its ports on the loopback interface alone: the administrator's is one of them. */
class LoopbackContainer extends GenericContainer {
  protected override async beforeContainerCreated(): Promise<void> {
    const { info } = await getContainerRuntimeClient();
    if (!isLocal(info.containerRuntime.host)) {
      return;
    }
    const bindings = this.hostConfig.PortBindings as Record<string, { HostIp?: string; HostPort: string }[]>;
    for (const binding of Object.values(bindings).flat()) {
      binding.HostIp = '127.0.0.1';
    }
  }
}

function isLocal(host: string): boolean {
  return host === 'localhost' || host === '127.0.0.1';
}

/** A line of the access log, as Keycloak writes it by default (Quarkus' pattern `common`). */
const ACCESS = /\[org\.keycloak\.http\.access-log\].*"[A-Z]+ (\S+) HTTP/;

/** Keeps the last lines of a server (what is left to read when it is gone), and counts the requests that it logs. */
class ServerLog {
  readonly requests = new RequestCounter();
  readonly #tail = new LogTail(LOG_LINES);

  consume(stream: Readable): void {
    createInterface(stream).on('line', (line) => {
      const path = ACCESS.exec(line)?.[1];
      if (path === undefined) {
        this.#tail.add(line);
      } else {
        this.requests.count(path);
      }
    });
  }

  toString(): string {
    return this.#tail.last();
  }
}

/** A container with a Keycloak that listens. */
export class KeycloakContainer {
  readonly log: ServerLog;
  readonly #container: StartedTestContainer;
  readonly #network: StartedNetwork;

  private constructor(container: StartedTestContainer, network: StartedNetwork, log: ServerLog) {
    this.#container = container;
    this.#network = network;
    this.log = log;
  }

  /** @throws Error with its last lines where it does not come up */
  static async start(context: IdentityProviderContext, options: KeycloakServerOptions): Promise<KeycloakContainer> {
    const { network } = context;
    if (network === undefined) {
      throw new Error('Keycloak needs a container engine, and this run has no network');
    }
    const [image, { cert, key }] = await Promise.all([context.image(options.image), context.pki.issue(HOSTS.keycloak)]);
    context.onProgress('starts Keycloak');
    const log = new ServerLog();
    const container = await new LoopbackContainer(image)
      .withNetwork(network)
      .withNetworkAliases(HOSTS.keycloak)
      .withLabels(context.labels)
      .withExposedPorts(IDENTITY_PROVIDER_PORT, ADMIN_PORT)
      .withCopyContentToContainer(filesOf({ cert, key, ca: context.trust.ca }, options))
      .withCommand(['start', '--optimized', ...startArguments(FOLDER, options)])
      .withLogConsumer((stream) => log.consume(stream))
      // Only says when it is worth asking; ready is the realm that answers.
      .withWaitStrategy(Wait.forLogMessage(/Listening on:/))
      .withStartupTimeout(START_DEADLINE_MS)
      .start()
      .catch((cause: unknown) => {
        throw new Error(`Keycloak did not come up; its last lines:\n${log}`, { cause });
      });
    return new KeycloakContainer(container, network, log);
  }

  /** Where the harness reaches it. */
  get route(): { host: string; port: number } {
    return { host: this.#host, port: this.#container.getMappedPort(IDENTITY_PROVIDER_PORT) };
  }

  /** Where pods reach it. */
  get upstream(): { address: string; port: number } {
    return { address: this.#container.getIpAddress(this.#network.getName()), port: IDENTITY_PROVIDER_PORT };
  }

  get adminUrl(): string {
    return `http://${this.#host}:${this.#container.getMappedPort(ADMIN_PORT)}`;
  }

  /** Rejects with the last lines of its log if it is gone. */
  async assertAlive(): Promise<void> {
    const { container: containers } = await getContainerRuntimeClient();
    const state = await containers
      .inspect(containers.getById(this.#container.getId()))
      .then(({ State }) => (State.Running ? undefined : `has exited with code ${State.ExitCode}`))
      .catch((error: { statusCode?: number }) => {
        if (error.statusCode === 404) {
          return 'is gone';
        }
        throw error;
      });
    if (state !== undefined) {
      throw new Error(`Keycloak's container ${state}; its last lines:\n${this.log}`);
    }
  }

  /** Its data is in its container alone, so that nothing is lost by not waiting for it. */
  async stop(): Promise<void> {
    await this.#container.stop({ timeout: 0 }).catch((error: { statusCode?: number }) => {
      // Somebody was faster.
      if (error.statusCode !== 404) {
        throw error;
      }
    });
  }

  get #host(): string {
    return isLocal(this.#container.getHost()) ? '127.0.0.1' : this.#container.getHost();
  }
}

/** Read by Keycloak's own user, who is not the owner of what is copied; the container holds nothing else. */
function filesOf(
  content: { cert: string; key: string; ca: string },
  options: KeycloakServerOptions,
): { content: string; target: string; mode: number }[] {
  return Object.entries(configurationFiles(content, options)).map(([name, text]) => ({
    content: text,
    target: `${FOLDER}/${name}`,
    mode: 0o444,
  }));
}
