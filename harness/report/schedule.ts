import type { Report, ReportResult } from './report.ts';

const beginOf = ({ startedAt }: ReportResult): number => Date.parse(startedAt);
const endOf = (result: ReportResult): number => beginOf(result) + result.durationMs;

/** Results in as few rows as it takes for no two in a row to overlap, in the order of their begin. */
export function lanesOf(results: ReportResult[]): ReportResult[][] {
  const lanes: ReportResult[][] = [];
  for (const result of results.toSorted((one, other) => beginOf(one) - beginOf(other))) {
    const free = lanes.find((lane) => {
      const last = lane.at(-1);
      return last === undefined || endOf(last) <= beginOf(result);
    });
    if (free === undefined) {
      lanes.push([result]);
    } else {
      free.push(result);
    }
  }
  return lanes;
}

export interface CriticalPath {
  /** From the start of the run to the begin of its first requirement, milliseconds. */
  setUpMs: number;
  /** From the end of the last requirement to the end of the run, milliseconds. */
  cleanUpMs: number;
  /**
   * The requirement that ended last, before it the one that ended last before that began, and so on; in the order of
   * time.
   */
  steps: ReportResult[];
  /**
   * Set-up, the longest requirement and clean-up, milliseconds: what the run would have taken had no other requirement
   * been waited for. The difference to what it took was spent waiting for a turn, or for a busy machine.
   */
  shortestMs: number;
}

/** What a run could not have been shorter than, without a shorter requirement or another order. */
export function criticalPath({
  startedAt,
  finishedAt,
  results,
}: Pick<Report, 'startedAt' | 'finishedAt' | 'results'>): CriticalPath {
  const byEnd = results.toSorted((one, other) => endOf(other) - endOf(one));
  const [last] = byEnd;
  if (last === undefined) {
    const setUpMs = Date.parse(finishedAt) - Date.parse(startedAt);
    return { setUpMs, cleanUpMs: 0, steps: [], shortestMs: setUpMs };
  }
  const steps = [last];
  for (const result of byEnd) {
    if (endOf(result) <= beginOf(steps[0] ?? last)) {
      steps.unshift(result);
    }
  }
  const first = Math.min(...results.map(beginOf));
  const setUpMs = Math.max(0, first - Date.parse(startedAt));
  const cleanUpMs = Math.max(0, Date.parse(finishedAt) - endOf(last));
  const longestMs = Math.max(...results.map(({ durationMs }) => durationMs));
  return { setUpMs, cleanUpMs, steps, shortestMs: setUpMs + longestMs + cleanUpMs };
}
