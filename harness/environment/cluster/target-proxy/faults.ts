import type { AskedFor } from '../../../kubernetes/api-record.ts';
import type { ApiFault } from '../../../rpc/target-access.ts';

/** A fault, when it is in force (milliseconds of `performance.now`), and how often it may still happen. */
interface ArmedFault {
  fault: ApiFault;
  from: number;
  until: number;
  left: number;
}

/** The faults in force, over time. */
export class ArmedFaults {
  #armed: ArmedFault[] = [];
  #timers: NodeJS.Timeout[] = [];

  /**
   * Replaces all faults.
   *
   * @param onBegin called with each fault when it begins: requests that are under way may be concerned
   */
  set(faults: ApiFault[], onBegin: (fault: ApiFault) => void): void {
    this.clear();
    const now = performance.now();
    this.#armed = faults.map((fault) => {
      const from = now + (fault.afterSeconds ?? 0) * 1000;
      return {
        fault,
        from,
        until: fault.forSeconds === undefined ? Number.POSITIVE_INFINITY : from + fault.forSeconds * 1000,
        left: fault.times ?? Number.POSITIVE_INFINITY,
      };
    });
    for (const { fault } of this.#armed) {
      const delay = (fault.afterSeconds ?? 0) * 1000;
      if (delay === 0) {
        onBegin(fault);
      } else {
        this.#timers.push(setTimeout(() => onBegin(fault), delay));
      }
    }
  }

  clear(): void {
    for (const timer of this.#timers) {
      clearTimeout(timer);
    }
    this.#timers = [];
    this.#armed = [];
  }

  /**
   * The first fault of these kinds that is in force for a request; it counts as having happened.
   *
   * @param asked absent for a connection, which has no request yet
   * @param only considers this fault and no other
   */
  take(kinds: readonly ApiFault['kind'][], asked?: AskedFor, only?: ApiFault): ApiFault | undefined {
    const now = performance.now();
    const armed = this.#armed.find(
      ({ fault, from, until, left }) =>
        kinds.includes(fault.kind) &&
        (only === undefined || fault === only) &&
        from <= now &&
        now < until &&
        left > 0 &&
        (asked === undefined || concerns(fault, asked)),
    );
    if (armed === undefined) {
      return undefined;
    }
    armed.left -= 1;
    return armed.fault;
  }
}

function concerns({ verbs, resources }: ApiFault, { verb, resource, subresource }: AskedFor): boolean {
  const spelled = subresource === undefined ? resource : `${resource}/${subresource}`;
  return (
    (verbs === undefined || verbs.includes(verb)) &&
    (resources === undefined || (spelled !== undefined && resources.includes(spelled)))
  );
}
