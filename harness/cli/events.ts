import { redact } from '../core/redact.ts';
import type { Report } from '../report/report.ts';
import { verdictOf } from '../report/verdict.ts';
import type { Progress } from '../run/execute.ts';
import type { Session } from '../run/session.ts';

/**
 * What `run --json` prints: one JSON object a line, each with `event` and `at` (RFC 3339).
 *
 * `begin` (runId, planned), `progress` (part, message), `result` (id, outcome, reason, durationMs), `again` (ids that
 * are evaluated a second time), `end` (conformant, harnessError, reasons, summary, files).
 */
export class EventStream {
  readonly #write: (text: string) => unknown;

  constructor(write: (text: string) => unknown) {
    this.#write = write;
  }

  #event(event: string, data: Record<string, unknown>): void {
    this.#write(`${redact(JSON.stringify({ event, at: new Date().toISOString(), ...data }))}\n`);
  }

  begin({ runId, planned }: Pick<Session, 'runId' | 'planned'>): void {
    this.#event('begin', { runId, planned: planned.map(({ id }) => id) });
  }

  progress(part: string, message: string): void {
    this.#event('progress', { part, message });
  }

  /** A listener that tells each event, and hands it on. */
  beside({ onResult, onRerun }: Progress): Progress {
    return {
      onResult: (result) => {
        const { id, outcome, reason, durationMs } = result;
        this.#event('result', { id, outcome, ...(reason === undefined ? {} : { reason }), durationMs });
        onResult(result);
      },
      onRerun: (rows) => {
        this.#event('again', { ids: rows.map(({ id }) => id) });
        onRerun(rows);
      },
    };
  }

  end(report: Report, files: string[]): void {
    this.#event('end', { ...verdictOf(report), summary: report.summary, files });
  }
}
