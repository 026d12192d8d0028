import { readFileSync } from 'node:fs';
import { cpus, freemem, totalmem } from 'node:os';
import { performance } from 'node:perf_hooks';

/** How busy the machine is. */
export interface Load {
  /**
   * 0 (idle) to 1 (nothing is left), since the call before: the fullest of the machine's processors together, this
   * process's event loop, and the machine's memory.
   */
  busy(): number;
}

/** A machine whose memory is used to this share has no room for more, whatever its processors do. */
const MEMORY_FULL = 0.85;

/** The load of this machine and of the process that asks. */
export function machineLoad(): Load {
  const processors = pressureSince() ?? utilizationSince();
  let loop = performance.eventLoopUtilization();
  return {
    busy() {
      const loopNow = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(loopNow, loop);
      loop = loopNow;
      const memory = 1 - freemem() / totalmem();
      return Math.max(processors(), utilization, memory >= MEMORY_FULL ? 1 : 0);
    },
  };
}

/**
 * Linux' pressure stall information (Documentation/accounting/psi.rst): some task waited for a processor for `total`
 * microseconds.
 */
const PRESSURE_FILE = '/proc/pressure/cpu';

/** @returns undefined where the contents are not those of a pressure file */
export function stalledMicroseconds(contents: string): number | undefined {
  const total = /^some .*\btotal=(\d+)$/m.exec(contents)?.[1];
  return total === undefined ? undefined : Number(total);
}

/**
 * Measures the share of the time since the call before, 0 to 1, in which some task waited for a processor: a machine
 * may be fully used and nobody wait.
 *
 * @returns undefined where the kernel does not say
 */
function pressureSince(): (() => number) | undefined {
  const read = (): number | undefined => {
    try {
      return stalledMicroseconds(readFileSync(PRESSURE_FILE, 'utf8'));
    } catch {
      return undefined;
    }
  };
  const first = read();
  if (first === undefined) {
    return undefined;
  }
  let before = first;
  let at = performance.now();
  return () => {
    const now = read() ?? before;
    const elapsed = (performance.now() - at) * 1_000;
    const share = elapsed === 0 ? 1 : Math.min(1, (now - before) / elapsed);
    before = now;
    at = performance.now();
    return share;
  };
}

/** How many tasks run or wait for a processor at this instant, and since when; see proc_loadavg(5). */
const LOAD_FILE = '/proc/loadavg';

/** @returns undefined where the contents are not those of that file */
export function runnableTasks(contents: string): number | undefined {
  const runnable = /^\S+ \S+ \S+ (\d+)\/\d+ /.exec(contents)?.[1];
  return runnable === undefined ? undefined : Number(runnable);
}

const SAMPLE_EVERY_MS = 500;

/** Tasks for each processor of this machine that run or wait for one, sampled twice a second from its making on. */
export class QueueLength {
  #samples = 0;
  #sum = 0;

  constructor(read: () => string = () => readFileSync(LOAD_FILE, 'utf8'), everyMs = SAMPLE_EVERY_MS) {
    setInterval(() => {
      try {
        const runnable = runnableTasks(read());
        if (runnable !== undefined) {
          this.#samples += 1;
          this.#sum += runnable / cpus().length;
        }
      } catch {
        // The kernel does not say.
      }
    }, everyMs).unref();
  }

  /** Gives the mean since this call; undefined where nothing was sampled. */
  since(): () => number | undefined {
    const [samples, sum] = [this.#samples, this.#sum];
    return () => (this.#samples === samples ? undefined : (this.#sum - sum) / (this.#samples - samples));
  }
}

/** Measures the share of the processors' time since the call before, 0 to 1, that was not idle. */
function utilizationSince(): () => number {
  let processors = processorTimes();
  return () => {
    const now = processorTimes();
    const all = now.all - processors.all;
    const idle = now.idle - processors.idle;
    processors = now;
    return all === 0 ? 1 : 1 - idle / all;
  };
}

/**
 * Measures the share of the processors' time, 0 to 1, that was not idle since this call. What a processor waited for (a
 * disk, a hypervisor) counts as busy: there was something to do.
 */
export function processorsSince(): () => number {
  const began = performance.now();
  const { idle } = processorTimes();
  return () => {
    const all = (performance.now() - began) * cpus().length;
    return all === 0 ? 1 : Math.min(1, Math.max(0, 1 - (processorTimes().idle - idle) / all));
  };
}

function processorTimes(): { all: number; idle: number } {
  const times = cpus().map((processor) => processor.times);
  return {
    all: times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0),
    idle: times.reduce((sum, { idle }) => sum + idle, 0),
  };
}
