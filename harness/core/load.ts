import { cpus, freemem, totalmem } from 'node:os';
import { performance } from 'node:perf_hooks';

/** How busy the machine is. */
export interface Load {
  /**
   * 0 (idle) to 1 (nothing is left), since the call before: the fullest of the machine's processors together, this process's event
   * loop, and the machine's memory.
   */
  busy(): number;
}

/** A machine whose memory is used to this share has no room for more, whatever its processors do. */
const MEMORY_FULL = 0.85;

/** The load of this machine and of the process that asks. */
export function machineLoad(): Load {
  let processors = processorTimes();
  let loop = performance.eventLoopUtilization();
  return {
    busy() {
      const now = processorTimes();
      const all = now.all - processors.all;
      const idle = now.idle - processors.idle;
      processors = now;
      const loopNow = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(loopNow, loop);
      loop = loopNow;
      const memory = 1 - freemem() / totalmem();
      return Math.max(all === 0 ? 1 : 1 - idle / all, utilization, memory >= MEMORY_FULL ? 1 : 0);
    },
  };
}

/**
 * Measures the share of the processors' time, 0 to 1, that was not idle since this call. What a processor waited for (a disk, a hypervisor)
 * counts as busy: there was something to do.
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
