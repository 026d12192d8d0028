import type { AskedFor } from '../../kubernetes/api-record.ts';
import type { ApiFault } from '../../rpc/target-access.ts';

/** A fault, and how often it may still happen. */
interface Armed {
  fault: ApiFault;
  from: number;
  until: number;
  left: number;
}

/** The faults in force, over time. */
export class ApiFaults {
  #armed: Armed[] = [];
  #timers: NodeJS.Timeout[] = [];

  /** Replaces all faults. @param onBegin is told of each one when it begins: what is open already may be concerned */
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

  /** The first fault of these kinds that is in force for a request; it counts as having happened. */
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

/** Where `cut-log` ends an answer that comes in chunks: for each in turn how many of its bytes come through; undefined: all, so far. */
export function logCutter({ bytes = 1, within }: ApiFault): (chunk: Buffer) => number | undefined {
  if (within === undefined) {
    let room = bytes;
    return (chunk) => {
      const at = room;
      room -= chunk.length;
      return room < 0 ? at : undefined;
    };
  }
  const wanted = Buffer.from(within);
  // The end of what came through: the text may lie across two chunks.
  let tail = Buffer.alloc(0);
  return (chunk) => {
    const seen = Buffer.concat([tail, chunk]);
    const found = seen.indexOf(wanted);
    if (found >= 0) return Math.max(0, found + Math.floor(wanted.length / 2) - tail.length);
    tail = seen.subarray(Math.max(0, seen.length - wanted.length + 1));
    return undefined;
  };
}

/** A refusal as the API server words it (meta/v1 Status). */
export function statusBody(code: number, reason: string, message: string): string {
  return JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code });
}

export const EXPIRED_MESSAGE = 'The resourceVersion for the provided watch is too old.';
