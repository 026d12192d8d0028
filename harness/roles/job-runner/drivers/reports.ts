import { z } from 'zod';
import type { Readiness, RunnerEvent, StartOptions } from '../driver.ts';

const task = { task: z.string() };
const lineSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready'), warnings: z.array(z.string()).optional() }),
  z.object({ type: z.literal('unready'), reason: z.string() }),
  z.object({ type: z.literal('claimed'), ...task }),
  z.object({ type: z.literal('refused'), ...task, reason: z.string() }),
  z.object({ type: z.literal('output'), ...task, text: z.string() }),
  z.object({
    type: z.literal('ended'),
    ...task,
    outcome: z.enum(['succeeded', 'failed', 'cancelled', 'timeout']),
    exitCode: z.number().optional(),
    reason: z.string().optional(),
    session: z.string().optional(),
  }),
]);

/** Lines of its own output that explain why a runner ended before it was ready. */
const LOG_TAIL_LINES = 20;

/** What a runner reports as JSON lines (fixtures/workloads/job-runner/README.md). Any other line is its own output. */
export class RunnerReports {
  readonly #onEvent: StartOptions['onEvent'];
  readonly #readiness = Promise.withResolvers<Readiness>();
  readonly #logTail: string[] = [];

  constructor(onEvent: StartOptions['onEvent']) {
    this.#onEvent = onEvent;
  }

  get readiness(): Promise<Readiness> {
    return this.#readiness.promise;
  }

  /** A line of the runner's own output. */
  log(text: string): void {
    this.#logTail.push(text);
    if (this.#logTail.length > LOG_TAIL_LINES) {
      this.#logTail.shift();
    }
    this.#onEvent({ at: Date.now(), type: 'log', text });
  }

  /** A line where the runner reports. */
  take(line: string): void {
    const at = Date.now();
    const report = parsedLine(line);
    if (report === undefined) {
      this.log(line);
    } else if (report.type === 'ready') {
      const { warnings } = report;
      this.#readiness.resolve({ ready: true, at, ...(warnings === undefined ? {} : { warnings }) });
    } else if (report.type === 'unready') {
      this.#readiness.resolve({ ready: false, at, reason: report.reason });
    } else {
      this.#onEvent({ at, ...report } as RunnerEvent);
    }
  }

  /** The runner has ended: it is not ready if it was not before, and the end of its log is the reason. */
  exited(at: number, how: string): void {
    this.#readiness.resolve({ ready: false, at, reason: [`it exited (${how})`, ...this.#logTail].join('\n') });
  }
}

function parsedLine(line: string): z.infer<typeof lineSchema> | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
