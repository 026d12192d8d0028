import type { NodeImage } from '../role-data/index.ts';
import type { Requests } from '../rpc/requests.ts';
import { Clusters } from './clusters.ts';
import { onContainerEnd, removeRuns } from './containers.ts';
import { Foundations } from './foundations.ts';
import { IdentityProviders } from './identity-providers.ts';
import type { EnvironmentOptions } from './options.ts';
import { Parts } from './parts.ts';

export type { EnvironmentOptions } from './options.ts';

/** Everything that a run starts and stops. */
export class Environment {
  readonly #options: EnvironmentOptions;
  readonly #parts: Parts;
  readonly #foundations: Foundations;
  readonly clusters: Clusters;
  readonly identityProviders: IdentityProviders;
  #stopping: Promise<void> | undefined;

  constructor(options: EnvironmentOptions) {
    this.#options = options;
    this.#parts = new Parts(options.onProgress);
    this.#foundations = new Foundations(options, this.#parts);
    this.clusters = new Clusters(options, this.#parts, this.#foundations);
    this.identityProviders = new IdentityProviders(options, this.#parts, this.#foundations, this.clusters);
  }

  /** Reports a container that ends without having been stopped by the run. */
  async watch(onEnd: (message: string) => void): Promise<void> {
    const end = await onContainerEnd(this.#options.runId, () => this.#parts.isStopping, onEnd);
    this.#parts.onStop(async () => end());
  }

  /**
   * Begins what every run of this kind needs, before the first test asks for it.
   *
   * @param options.images of the pods that will be started: given to the node while it is idle, since that takes a
   *   minute on one that is not
   * @returns settled when the cluster and its images are there, or failed: the reason goes to those who ask for the
   *   part. The identity provider goes on starting: who needs it waits for it, and nobody else.
   */
  async warmUp(options: { identityProvider: boolean; images: readonly NodeImage[] }): Promise<void> {
    if (options.identityProvider) {
      this.identityProviders.inSlot().catch(() => undefined);
    }
    await Promise.allSettled([
      this.clusters.reference(),
      ...options.images.map((image) => this.clusters.imageOnReference(image)),
    ]);
  }

  async certificate(
    host: string,
    extra: { names?: string[]; ips?: string[] },
  ): Promise<{ cert: string; key: string; ca: string }> {
    const pki = await this.#foundations.pki();
    return { ...(await pki.issue(host, extra)), ca: pki.ca };
  }

  /** What the parts that were started say of themselves. */
  async discover(): Promise<Record<string, unknown>> {
    const clusters = await Promise.all(
      [...this.clusters.started].map(async ([name, cluster]) => ({
        name,
        kind: cluster.data.kind,
        ...(await cluster.discover()),
      })),
    );
    return {
      clusters,
      images: Object.fromEntries(this.#foundations.usedImages),
      identityProviders: [...this.identityProviders.started.values()].map(({ description }) => ({
        kind: description.kind,
        version: description.version,
        // Whose secret it is does not matter: none goes into a report.
        providers: description.providers.map(({ introspection, ...provider }) => ({
          ...provider,
          ...(introspection === undefined ? {} : { introspectionEndpoint: introspection.endpoint }),
        })),
      })),
    };
  }

  /** Requests to each part, as far as they were recorded. */
  async requests(): Promise<Requests[]> {
    return [...(await this.clusters.requests()), ...(await this.identityProviders.requests())];
  }

  /** Rejects if a part that was started is gone. */
  async assertAlive(): Promise<void> {
    await Promise.all(
      [...this.clusters.started.values(), ...this.identityProviders.started.values()].map((part) => part.assertAlive()),
    );
  }

  /** Stops everything; may be called again and at any time, also while parts are still starting. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    const errors = await this.#parts.stop();
    // The way to a live cluster is closed when what was made there is gone.
    const live = [...this.clusters.started.values()].filter(({ data }) => !data.owned);
    await Promise.all(live.map((cluster) => cluster.stop()));
    const network = this.#parts.started('network');
    if (network !== undefined) {
      const remove = (): Promise<unknown> => removeRuns(() => (runId) => runId === this.#options.runId);
      // What was still starting when the run was aborted is known by its label alone, and may come up while it is
      // removed.
      await network.catch(() => undefined);
      await remove().catch((error: unknown) => errors.push(error));
      await this.#parts.settled(STARTING_ENDS_SECONDS);
      await remove().catch((error: unknown) => errors.push(error));
    }
    if (errors.length > 0) {
      throw new AggregateError(errors, 'not everything could be stopped');
    }
  }
}

/** How long parts that were starting when the run was aborted may take to notice that their containers are gone. */
const STARTING_ENDS_SECONDS = 5;
