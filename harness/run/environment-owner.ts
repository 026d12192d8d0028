import { describeError } from '../core/errors.ts';
import { stopOnSignal } from '../core/signals.ts';
import type { Session } from './session.ts';

/** Who stops the environment of a session: at its end, on a signal, and once. */
export class EnvironmentOwner {
  readonly #session: Pick<Session, 'options' | 'stop'>;
  #stopping: Promise<string[]> | undefined;
  #release = (): void => undefined;
  isInterrupted = false;

  constructor(session: Pick<Session, 'options' | 'stop'>) {
    this.#session = session;
  }

  /**
   * From now on a signal stops it: again after each start of Vitest, whose own listeners would leave everything behind.
   */
  listen(): void {
    this.#release();
    this.#release = stopOnSignal(async () => {
      this.isInterrupted = true;
      await this.stop();
    });
  }

  /**
   * Never rejects: what was evaluated is not lost for what could not be removed.
   *
   * @returns what went wrong, as faults of the harness
   */
  stop(): Promise<string[]> {
    this.#stopping ??= this.#session.stop().then(
      () => [],
      (error: unknown) => [this.#describe(error)],
    );
    return this.#stopping;
  }

  #describe(error: unknown): string {
    const { cluster, context, namespaces = [] } = this.#session.options;
    const words = [
      ...(cluster === 'kubeconfig' ? ['--cluster kubeconfig'] : []),
      ...(context === undefined ? [] : [`--context ${context}`]),
      ...namespaces.map((name) => `--namespace ${name}`),
    ];
    return `what the run made could not all be removed (\`conformance ${['clean', ...words].join(' ')}\` removes it): ${describeError(error)}`;
  }

  /** As {@link stop}; a signal does nothing any more. */
  async end(): Promise<string[]> {
    const faults = await this.stop();
    this.#release();
    return faults;
  }
}
