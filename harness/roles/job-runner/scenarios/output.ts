/** What is read of the agents’ output, and what that takes (JL-25a, JL-34, JL-35). */

import type { RequirementContext } from '../../../rpc/context.ts';
import { withReadyJobRunner } from '../launch.ts';
import {
  allOver,
  LAST_OUTPUT_SECONDS,
  type RunnerRecord,
  SECOND_REPORT_SECONDS,
  summarise,
  TASK_SECONDS,
} from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { type LogRequest, logRequestsOf } from './logs.ts';
import { limitsTasks } from './tasks.ts';

export interface OutputRecord extends RunnerRecord {
  lines: number;
  /** Its requests for the log. */
  logs: LogRequest[];
}

const LINES = 14;
const LINE_BYTES = 16;
/** Late enough that a runner which asks again for some seconds back does not begin with the first line. */
const CUT_WITHIN = 'line 9';

/**
 * A task that prints a line a second; the connection by which the runner reads them breaks once, in the middle of a
 * line.
 */
export async function observeOutput(t: RequirementContext): Promise<OutputRecord> {
  const record = await t.shared('job runner: output', () =>
    withReadyJobRunner(t, { purpose: 'output' }, async (runner) => {
      await runner.access.setFaults([{ kind: 'cut-log', resources: ['pods/log'], within: CUT_WITHIN, times: 1 }]);
      await runner.submit('talks', {
        env: { WORKLOAD_LINES: String(LINES), WORKLOAD_LINE_BYTES: String(LINE_BYTES), WORKLOAD_RATE: '1' },
      });
      await runner.until(() => allOver(runner), TASK_SECONDS);
      await runner.watchFor(LAST_OUTPUT_SECONDS);
      return { ...runner.record(), lines: LINES, logs: await logRequestsOf(runner) };
    }),
  );
  t.evidence('runners', [summarise(record)]);
  return record;
}

const LONG_LINE_BYTES = 1024;

/** From submission to end of a task that prints without end, on a small machine that many share. */
const FLOOD_SECONDS = 240;

/** A task whose output is three times as long as what the runner documents to read. */
export async function observeLongOutput(t: RequirementContext): Promise<OutputRecord> {
  const { logLimitBytes } = jobRunnerTarget(t).documented;
  if (logLimitBytes === undefined) {
    return t.notApplicable(
      'the target file documents no limit of what the runner reads of a log (`documented.logLimitBytes`); ' +
        'JL-35a looks at its memory',
    );
  }
  const record = await t.shared('job runner: long output', () =>
    withReadyJobRunner(t, { purpose: 'long-output', measuredOutput: true }, async (runner) => {
      const lines = Math.ceil((3 * logLimitBytes) / LONG_LINE_BYTES);
      await runner.submit('floods', {
        env: {
          WORKLOAD_LINES: String(lines),
          WORKLOAD_LINE_BYTES: String(LONG_LINE_BYTES),
          WORKLOAD_SLEEP_SECONDS: '2',
          WORKLOAD_EXIT_CODE: runner.target.capabilities.includes('stream') ? '0' : '1',
        },
      });
      await runner.until(() => allOver(runner), TASK_SECONDS);
      // A runner may read on after it has reported the end.
      await runner.watchFor(LAST_OUTPUT_SECONDS);
      return { ...runner.record(), lines, logs: await logRequestsOf(runner) };
    }),
  );
  t.evidence('runners', [summarise(record)]);
  if (record.logs.length === 0 && !record.target.capabilities.includes('stream')) {
    t.notApplicable(
      'the target file does not declare the capability `stream`, and the runner read no log of a task that failed',
    );
  }
  return record;
}

/** An agent that thinks: more than half a minute, after which some give a connection, or a task, up for lost. */
export const SILENT_SECONDS = 45;

/** Far from what the silent need. */
const AMPLE_LIMIT_SECONDS = 600;

/** A task that prints a line, says nothing for long, and succeeds; and one more that has a time limit. */
export async function observeSilence(t: RequirementContext): Promise<RunnerRecord> {
  const record = await t.shared('job runner: silence', () =>
    withReadyJobRunner(t, { purpose: 'silence' }, async (runner) => {
      const env = { WORKLOAD_LINES: '1', WORKLOAD_SLEEP_SECONDS: String(SILENT_SECONDS) };
      await runner.submit('thinks', { env });
      if (limitsTasks(runner.target)) {
        await runner.submit('thinks-within-its-limit', { env, timeoutSeconds: AMPLE_LIMIT_SECONDS });
      }
      await runner.until(() => allOver(runner), SILENT_SECONDS + TASK_SECONDS);
      await runner.watchFor(SECOND_REPORT_SECONDS);
      return runner.record();
    }),
  );
  t.evidence('runners', [summarise(record)]);
  return record;
}

export interface MemoryRecord extends OutputRecord {
  /** Bytes that the agent prints. */
  printed: number;
  /** Resident memory of the runner's process in bytes: before the task, and the most while it lasted. */
  memory: { before: number; most: number };
}

/** Far more than a program in whatever language takes for its own work. */
const FLOOD_MIB = 128;
const MEMORY_LOOK_MS = 250;

/** A task that prints very much, while the runner's memory is looked at. */
export async function observeMemory(t: RequirementContext): Promise<MemoryRecord> {
  const record = await t.shared('job runner: memory', () =>
    withReadyJobRunner(t, { purpose: 'memory', measuredOutput: true }, async (runner) => {
      const memory = async (): Promise<number | undefined> => runner.started.memoryBytes?.();
      const before = await memory();
      if (before === undefined) {
        return undefined;
      }
      let most = before;
      const lines = (FLOOD_MIB * 2 ** 20) / LONG_LINE_BYTES;
      const timer = setInterval(() => {
        memory().then(
          (now = 0) => {
            most = Math.max(most, now);
          },
          // One look fewer.
          () => undefined,
        );
      }, MEMORY_LOOK_MS);
      try {
        await runner.submit('floods', {
          env: {
            WORKLOAD_LINES: String(lines),
            WORKLOAD_LINE_BYTES: String(LONG_LINE_BYTES),
            WORKLOAD_EXIT_CODE: runner.target.capabilities.includes('stream') ? '0' : '1',
          },
        });
        await runner.until(() => allOver(runner) || runner.record().exit !== undefined, FLOOD_SECONDS);
      } finally {
        clearInterval(timer);
      }
      return {
        ...runner.record(),
        lines,
        logs: await logRequestsOf(runner),
        printed: FLOOD_MIB * 2 ** 20,
        memory: { before, most },
      };
    }),
  );
  if (record === undefined) {
    return t.notApplicable('the memory of the runner cannot be read where it runs');
  }
  const { printed, memory, logs } = record;
  t.evidence('memory', { printed, ...memory, read: logs.reduce((sum, { bytes }) => sum + bytes, 0) });
  t.evidence('runners', [summarise(record)]);
  return record;
}
