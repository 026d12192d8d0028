/**
 * What a fake can do to the requests of a target.
 *
 * @typeParam Subject kinds of things that requests of this service are about
 */
export interface ServiceFault<Subject extends string = never> {
  kind: /** 429 with Retry-After. */
    | 'too-many-requests'
    /** 500 with a body of the service's form. */
    | 'server-error'
    /** 502 with a page in HTML, as a gateway in front of the service answers. */
    | 'bad-gateway'
    /** The request waits before it is handled. */
    | 'latency'
    /** The request is handled; its connection is reset before the answer. */
    | 'lost-answer'
    /** The connection is reset before anything is handled. */
    | 'outage';
  /** Only requests with one of these methods. */
  methods?: string[];
  /** Only requests about one of these. */
  of?: Subject[];
  /** Happens to at most so many requests; default: to all. */
  times?: number;
  /** Lasts so many seconds; default: until other faults are set. */
  forSeconds?: number;
  /** Retry-After (default 1) or the latency (default 1). */
  seconds?: number;
}

interface ArmedFault<Subject extends string> {
  fault: ServiceFault<Subject>;
  until: number;
  left: number;
}

/** The faults in force. */
export class ServiceFaults<Subject extends string = never> {
  #armed: ArmedFault<Subject>[] = [];

  /** Replaces all faults; an empty list ends them. */
  set(faults: ServiceFault<Subject>[]): void {
    const now = performance.now();
    this.#armed = faults.map((fault) => ({
      fault,
      until: fault.forSeconds === undefined ? Number.POSITIVE_INFINITY : now + fault.forSeconds * 1000,
      left: fault.times ?? Number.POSITIVE_INFINITY,
    }));
  }

  /**
   * The faults that a request meets, in the order in which they were set; each counts as having happened. Latency comes
   * before another fault, never after it.
   *
   * @param of what the request is about; absent where nothing of the kind is known of it
   */
  take(method: string, of?: Subject): ServiceFault<Subject>[] {
    const now = performance.now();
    const met: ServiceFault<Subject>[] = [];
    for (const armed of this.#armed) {
      const { fault, until, left } = armed;
      const concerns =
        (fault.methods === undefined || fault.methods.includes(method)) &&
        (fault.of === undefined || (of !== undefined && fault.of.includes(of)));
      if (concerns && left > 0 && now < until) {
        armed.left -= 1;
        met.push(fault);
        if (fault.kind !== 'latency') {
          break;
        }
      }
    }
    return met;
  }
}
