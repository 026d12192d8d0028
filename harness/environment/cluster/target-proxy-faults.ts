import { z } from 'zod';
import type { AskedFor } from './api-record.ts';

/** What the recording proxy can do to a target's requests. */
export const API_FAULT_KINDS = [
  /** 429 with Retry-After. */
  'too-many-requests',
  /** 500. */
  'server-error',
  /** The request waits before it is sent on. */
  'latency',
  /** Open connections are reset, and new ones are refused; with `times`, so many new ones are reset. */
  'outage',
  /** Open watches end in mid-stream; those opened while the fault lasts end after a while. */
  'cut-watch',
  /** 410 Gone: an ERROR event in a watch that begins at a resourceVersion, also in an open one; the status itself for a list that continues or names an exact version. */
  'expired',
  /** A log ends after so many bytes, or in the middle of a text. */
  'cut-log',
  /** What is read once is answered the same way again, as where the controllers have not come to it yet; watches go on. */
  'stale',
] as const;

export const apiFaultSchema = z.strictObject({
  kind: z.enum(API_FAULT_KINDS),
  /** Only requests with one of these verbs. */
  verbs: z.array(z.string()).optional(),
  /** Only requests for one of these resources, as a Role spells them: `jobs`, `pods/log`. Without verbs and resources: all, discovery too. */
  resources: z.array(z.string()).optional(),
  /** Begins so many seconds after it was set; default: at once. */
  afterSeconds: z.number().min(0).optional(),
  /** Lasts so many seconds; default: until other faults are set. */
  forSeconds: z.number().positive().optional(),
  /** Happens to at most so many requests (an outage: connections); default: to all. */
  times: z.number().int().positive().optional(),
  /** Retry-After (default 1), the latency (default 1), the life of a watch that is opened under `cut-watch` (default 1). */
  seconds: z.number().min(0).optional(),
  /** `cut-log`: how many bytes come through; default 1. */
  bytes: z.number().int().min(0).optional(),
  /** `cut-log`: instead, it ends in the middle of this text, whatever stands around it. */
  within: z.string().min(2).optional(),
  /** `cut-watch`, `cut-log`: the answer ends as if it were whole, and not by a reset of its connection. */
  clean: z.boolean().optional(),
});

export type ApiFault = z.infer<typeof apiFaultSchema>;

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
