import { sweepDeadRuns } from '../environment/containers.ts';
import { Environment, type EnvironmentOptions } from '../environment/environment.ts';
import { enterRun, leaveRun, newRunId, startTicks } from '../environment/live-runs.ts';
import { forgetWarm, type WarmEnvironment, writeWarm } from '../environment/warm.ts';
import { NODE_IMAGES } from '../role-data/index.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type { ClockSettings, IdentityProviderKind } from '../rpc/protocol.ts';
import { type ControlServer, startControlServer } from '../rpc/server.ts';
import { ownEnvironment } from './run-environment.ts';

export interface WarmOptions {
  name: string;
  identityProvider: IdentityProviderKind;
  clock: ClockSettings;
  /** What targets put into the environment's own slots. */
  slots: Partial<EnvironmentOptions>;
  /** SHA-256 of the files of these targets. */
  targets: string[];
  onProgress: (part: string, message: string) => void;
}

/** The candidate that nobody evaluates: by it the environment is asked for what it holds. */
const NOBODY: Candidate = { kind: 'references', name: 'up', planned: [] };

/**
 * An environment that stays until it is told to stop, and the server by which runs reach it. Lives in a process of its
 * own.
 */
export class WarmServer {
  readonly #options: WarmOptions;
  readonly #runId = newRunId();
  readonly #environment: Environment;
  #control: ControlServer | undefined;

  constructor(options: WarmOptions) {
    this.#options = options;
    const { identityProvider, clock, slots, onProgress } = options;
    this.#environment = new Environment({
      runId: this.#runId,
      cluster: 'k3s',
      identityProvider,
      clock,
      evaluatesTwins: false,
      // Some requirement of a later run may ask for it.
      networkPolicies: true,
      ...slots,
      onProgress,
    });
  }

  /** Starts everything and writes how to reach it. @returns what it wrote */
  async start(): Promise<WarmEnvironment> {
    enterRun(this.#runId);
    await sweepDeadRuns();
    const environment = ownEnvironment(this.#environment);
    const { promise: broken, resolve: breakOff } = Promise.withResolvers<string>();
    await environment.watch(breakOff);
    await environment.warmUp({ identityProvider: true, images: NODE_IMAGES });
    const [cluster, provider] = await Promise.all([
      environment.calls.cluster({}, NOBODY),
      environment.calls.identityProvider({}, NOBODY),
    ]);
    this.#control = await startControlServer({
      ...environment.calls,
      broken: async () => ({ why: await broken }),
      discover: () => environment.discover(),
      requests: async () => ({ requests: await environment.requests() }),
      release: async (_: object, candidate: Candidate) => {
        await environment.release(candidate);
        return {};
      },
    });
    const { name, clock } = this.#options;
    const warm: WarmEnvironment = {
      name,
      runId: this.#runId,
      pid: process.pid,
      startTicks: startTicks(process.pid) ?? 'unknown',
      url: this.#control.url,
      secret: this.#control.secret,
      clock: clock.kind,
      targets: this.#options.targets,
      holds: [
        `cluster: ${cluster.issuer}, ${clock.kind} clock`,
        `identity provider: ${provider.description.kind} ${provider.description.version}, ${provider.description.providers.map(({ issuer }) => issuer).join(', ')}`,
      ],
      since: new Date().toISOString(),
    };
    writeWarm(warm);
    return warm;
  }

  async stop(): Promise<void> {
    await this.#control?.close();
    await this.#environment.stop();
    leaveRun(this.#runId);
    forgetWarm(this.#options.name);
  }
}
