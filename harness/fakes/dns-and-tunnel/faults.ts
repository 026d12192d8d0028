/** What the fake can do to the requests of a target. */
export interface EdgeFault {
  kind: /** 429 with Retry-After. */
    | 'too-many-requests'
    /** 500 with a body of the API's form. */
    | 'server-error'
    /** 502 with a page in HTML, as a gateway in front of the API answers. */
    | 'bad-gateway'
    /** The request waits before it is handled. */
    | 'latency'
    /** The request is handled; its connection is reset before the answer. */
    | 'lost-answer'
    /** The connection is reset before anything is handled. */
    | 'outage';
  /** Only requests with one of these methods. */
  methods?: string[];
  /** Only requests for one of these. */
  of?: ('records' | 'tunnel')[];
  /** Happens to at most so many requests; default: to all. */
  times?: number;
  /** Lasts so many seconds; default: until other faults are set. */
  forSeconds?: number;
  /** Retry-After (default 1) or the latency (default 1). */
  seconds?: number;
}

interface ArmedFault {
  fault: EdgeFault;
  until: number;
  left: number;
}

/** The faults in force. */
export class EdgeFaults {
  #armed: ArmedFault[] = [];

  /** Replaces all faults; an empty list ends them. */
  set(faults: EdgeFault[]): void {
    const now = performance.now();
    this.#armed = faults.map((fault) => ({
      fault,
      until: fault.forSeconds === undefined ? Number.POSITIVE_INFINITY : now + fault.forSeconds * 1000,
      left: fault.times ?? Number.POSITIVE_INFINITY,
    }));
  }

  /** The faults that a request meets, in the order in which they were set; each counts as having happened. */
  take(method: string, of: 'records' | 'tunnel' | undefined): EdgeFault[] {
    const now = performance.now();
    const met: EdgeFault[] = [];
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
