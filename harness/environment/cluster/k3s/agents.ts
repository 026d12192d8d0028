import type { StartedTestContainer } from 'testcontainers';
import { HarnessError } from '../../../core/errors.ts';
import { waitUntilNodeReady } from '../readiness.ts';
import { type AgentOptions, startAgent } from './agent.ts';

export interface AgentsOptions extends Omit<AgentOptions, 'nodeName'> {
  kubeConfig: string;
  onProgress: (message: string) => void;
}

/** The nodes of a cluster besides its first one. */
export class Agents {
  readonly #options: AgentsOptions;
  readonly #joining: Promise<void>[] = [];
  readonly #started: StartedTestContainer[] = [];

  constructor(options: AgentsOptions) {
    this.#options = options;
  }

  /**
   * Adds nodes until the cluster has so many, its first one counted; settled once all are Ready.
   *
   * @throws HarnessError when one does not become Ready in time, with the last lines of its log
   */
  async addUntil(nodes: number): Promise<void> {
    while (1 + this.#joining.length < nodes) {
      this.#joining.push(this.#join(`node-${this.#joining.length + 1}`));
    }
    await Promise.all(this.#joining);
  }

  /** Stops those that have started. One that is still starting is found by the run's label. */
  async stop(): Promise<void> {
    await Promise.all(this.#started.map((agent) => agent.stop({ timeout: 5_000 })));
  }

  async #join(nodeName: string): Promise<void> {
    const { kubeConfig, onProgress, ...options } = this.#options;
    onProgress(`starting ${nodeName}`);
    const { container, log } = await startAgent({ ...options, nodeName });
    this.#started.push(container);
    try {
      await waitUntilNodeReady(kubeConfig, nodeName);
    } catch (cause) {
      throw new HarnessError(`${nodeName} did not become Ready; its last lines:\n${log.last()}`, { cause });
    }
  }
}
