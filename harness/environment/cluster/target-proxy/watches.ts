import type { ApiFault } from '../../../rpc/target-access.ts';
import type { ArmedFaults } from './faults.ts';
import type { Exchange } from './recorder.ts';

/** A watch that is being passed on and that a fault may end. */
export interface OpenWatch {
  readonly exchange: Exchange;
  end(fault: ApiFault): void;
}

/** The watches that are open now. */
export class OpenWatches {
  readonly #faults: ArmedFaults;
  readonly #open = new Set<OpenWatch>();

  constructor(faults: ArmedFaults) {
    this.#faults = faults;
  }

  /**
   * Takes in a watch that begins; under `cut-watch` it ends after the fault's seconds.
   *
   * @returns call it when the watch has ended
   */
  add(watch: OpenWatch): () => void {
    const cut = this.#faults.take(['cut-watch'], watch.exchange.asked);
    if (cut !== undefined) {
      const timer = setTimeout(() => watch.end(cut), (cut.seconds ?? 1) * 1000);
      return () => clearTimeout(timer);
    }
    this.#open.add(watch);
    return () => this.#open.delete(watch);
  }

  /** Ends the watches that a fault concerns, as often as it may happen. */
  endAll(fault: ApiFault): void {
    for (const watch of this.#open) {
      if (this.#faults.take([fault.kind], watch.exchange.asked, fault) !== undefined) {
        this.#open.delete(watch);
        watch.end(fault);
      }
    }
  }
}
