import { request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http';
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from 'testcontainers';
import type { z } from 'zod';
import { HarnessError, NotApplicable } from '../../../core/errors.ts';
import { isHopByHop } from '../../../core/hop-by-hop.ts';
import { LogTail } from '../../../core/log-tail.ts';
import { HOSTS, IDENTITY_PROVIDER_PORT } from '../../../core/names.ts';
import { fill, type Values } from '../../../core/placeholders.ts';
import { listenHttps } from '../../../fakes/https-listener.ts';
import type { containerServerSchema } from '../../../role-data/identity-provider/target-file.ts';
import type { IdentityProviderContext } from '../context.ts';
import { RequestCounter } from '../request-counter.ts';
import type { TargetServer } from './servers.ts';

type ContainerServer = z.infer<typeof containerServerSchema>;

const START_DEADLINE_MS = 120_000;
const LOG_LINES = 25;

/** The headers that pass; the host, too, which the container has to know. */
function endToEnd({ headers }: IncomingMessage): Record<string, string | string[] | undefined> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !isHopByHop(name)));
}

/** Lets one in after the other. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Resolves when it is one's turn, with what ends it. */
  async take(): Promise<() => void> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    return resolve;
  }
}

/**
 * Passes requests on to a container as a TLS terminator does. What the container ends without an answer is ended here,
 * too.
 */
export function passTo(host: string, port: number, turns?: Turns): RequestListener {
  return async (request, response) => {
    const end = await turns?.take();
    if (end !== undefined) {
      response.on('close', end);
    }
    if (response.destroyed) {
      return end?.();
    }
    const outgoing = httpRequest({
      host,
      port,
      method: request.method,
      path: request.url,
      headers: { ...endToEnd(request), 'x-forwarded-proto': 'https' },
      agent: false,
    });
    outgoing.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, endToEnd(answer));
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    outgoing.on('error', () => response.destroy());
    response.on('close', () => outgoing.destroy());
    request.pipe(outgoing);
  };
}

/**
 * The containers of a target file's `server: {kind: container}`: one for each provider, behind one https listener with
 * a certificate of the run's CA. Each is started when its provider is set up.
 *
 * @throws NotApplicable with a live cluster, which reaches nothing of the harness's
 */
export async function startContainers(
  context: IdentityProviderContext,
  server: ContainerServer,
  file: string,
): Promise<TargetServer> {
  const { network } = context;
  if (network === undefined) {
    throw new NotApplicable(
      `${file}: with --cluster kubeconfig no container is started, since nothing of the harness's can be reached from a live cluster; start your own where it reaches the cluster's issuer, and describe it as \`server: {kind: running}\``,
    );
  }
  const image = server.image.includes(':') ? server.image : await context.image(server.image);
  const url = `https://${HOSTS.target}:${IDENTITY_PROVIDER_PORT}`;
  const counter = new RequestCounter();
  const mounts: Record<string, RequestListener> = {};
  const { cert, key } = await context.pki.issue(HOSTS.target, { ips: [context.bindAddress] });
  const onRequest = (path: string): void => counter.count(path);
  const listener = await listenHttps({ bindAddress: context.bindAddress, port: 0, cert, key, mounts, onRequest });
  const upstream = { address: listener.address, port: listener.port };
  context.resolver.add(`${HOSTS.target}:${IDENTITY_PROVIDER_PORT}`, { host: upstream.address, port: upstream.port });

  const containers = new Map<string, { container: StartedTestContainer; log: LogTail; turns?: Turns }>();
  return {
    kind: server.image,
    values: { 'server.url': url },
    upstream,
    version: async () => server.version,
    requests: () => ({ counts: counter.counts, countedBy: 'the listener in front of it' }),
    async startFor(provider, values) {
      const filled = fill(
        { command: server.command, environment: server.environment, files: server.files },
        values,
        `${file}: server`,
      );
      const log = new LogTail(LOG_LINES);
      context.onProgress(`starts ${server.image} for ${provider}`);
      const ports = [server.port, ...(server.adminPort === undefined ? [] : [server.adminPort])];
      let wanted = new GenericContainer(image)
        .withNetwork(network)
        .withLabels(context.labels)
        .withExposedPorts(...ports)
        .withEnvironment(filled.environment)
        .withCopyContentToContainer(
          Object.entries(filled.files).map(([target, content]) => ({ target, content, mode: 0o444 })),
        )
        .withLogConsumer(log.consume)
        .withWaitStrategy(Wait.forHttp(server.ready, server.adminPort ?? server.port))
        .withStartupTimeout(START_DEADLINE_MS);
      if (filled.command !== undefined) {
        wanted = wanted.withCommand(filled.command);
      }
      const container = await wanted.start().catch((cause: unknown) => {
        throw new HarnessError(`${server.image} did not come up for ${provider}; its last lines:\n${log}`, { cause });
      });
      const turns = server.oneAtATime ? new Turns() : undefined;
      containers.set(provider, { container, log, ...(turns === undefined ? {} : { turns }) });
      const host = container.getHost() === 'localhost' ? '127.0.0.1' : container.getHost();
      mounts[provider] = passTo(host, container.getMappedPort(server.port), turns);
      return server.adminPort === undefined
        ? {}
        : ({ 'server.admin': `http://${host}:${container.getMappedPort(server.adminPort)}` } satisfies Values);
    },
    async alone(provider, work) {
      const end = await containers.get(provider)?.turns?.take();
      try {
        return await work();
      } finally {
        end?.();
      }
    },
    async assertAlive() {
      const { container: client } = await getContainerRuntimeClient();
      for (const [provider, { container, log }] of containers) {
        const { State: state } = await client.inspect(client.getById(container.getId()));
        if (!state.Running) {
          throw new HarnessError(
            `${server.image} for ${provider} has exited with code ${state.ExitCode}; its last lines:\n${log}`,
          );
        }
      }
    },
    async stop() {
      await listener.close();
      // Its data is in its container alone, so that nothing is lost by not waiting for it.
      await Promise.all([...containers.values()].map(({ container }) => container.stop({ timeout: 0 })));
    },
  };
}
