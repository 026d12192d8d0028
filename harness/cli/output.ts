import pc from 'picocolors';
import type { Outcome } from '../core/outcome.ts';
import { redact } from '../core/redact.ts';
import type { RequirementResult } from '../rpc/protocol.ts';
import type { Progress } from '../run/execute.ts';

const MARKS: Record<Outcome, string> = {
  passed: pc.green('passed'),
  failed: pc.red('failed'),
  'not applicable': pc.dim('not applicable'),
  'not testable': pc.red('not testable'),
  disabled: pc.dim('disabled'),
  'harness error': pc.magenta('harness error'),
};

/** What {@link Console} writes to: standard error, or a test's own. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** The progress of a requirement, in contrast to that of a part of the environment. */
const REQUIREMENT = /^[A-Z]{2}-\d/;
const WITHOUT_COLUMNS = 80;

/**
 * Prints what goes on, a line each, with the seconds since the start; all of it redacted. On a terminal what requirements are at (what
 * they wait for, and until when) stands in a last line that is written over, behind the number of those that are judged.
 */
export class Console {
  readonly #begun = Date.now();
  readonly #output: Output;
  /** What each requirement that is at work said last. */
  readonly #at = new Map<string, string>();
  #judged = 0;
  #planned: number | undefined;

  constructor(output: Output = process.stderr) {
    this.#output = output;
  }

  #line(text: string): void {
    const seconds = ((Date.now() - this.#begun) / 1000).toFixed(1).padStart(6);
    this.#clear();
    this.#output.write(`${redact(`${pc.dim(`${seconds} s`)}  ${text}`)}\n`);
    this.#status();
  }

  #clear(): void {
    if (this.#output.isTTY === true) this.#output.write('\r\x1b[2K');
  }

  #status(): void {
    if (this.#output.isTTY !== true || this.#planned === undefined || this.#judged >= this.#planned) return;
    const last = [...this.#at].at(-1);
    const others = this.#at.size > 1 ? ` (and ${this.#at.size - 1} more)` : '';
    const now = last === undefined ? '' : `: ${last[0]} ${last[1]}${others}`;
    const text = redact(`${this.#judged} of ${this.#planned} judged${now}`);
    this.#output.write(text.slice(0, (this.#output.columns ?? WITHOUT_COLUMNS) - 1));
  }

  readonly progress = (part: string, message: string): void => {
    if (this.#output.isTTY !== true || !REQUIREMENT.test(part)) {
      this.#line(`${pc.cyan(part)} ${message}`);
      return;
    }
    this.#at.delete(part);
    this.#at.set(part, message);
    this.#clear();
    this.#status();
  };

  readonly result = ({ id, candidate, outcome, reason, durationMs }: RequirementResult, several = false): void => {
    const who = several ? `${id} [${candidate}]` : id;
    const why = reason === undefined || outcome === 'passed' ? '' : `: ${reason}`;
    this.#at.delete(who);
    this.#judged += 1;
    this.#line(`${pc.bold(who)} ${MARKS[outcome]} ${pc.dim(`(${(durationMs / 1000).toFixed(1)} s)`)}${why}`);
  };

  /**
   * What {@link Progress} tells.
   *
   * @param planned how many requirements are to be judged
   * @param several whether they are of several candidates
   */
  of({ planned, several }: { planned: number; several: boolean }): Progress {
    this.#planned = planned;
    return {
      onResult: (result) => this.result(result, several),
      onAgain: (rows) => {
        this.#planned = planned + rows.length;
        const names = rows.map(({ candidate, id }) => (several ? `${id} [${candidate}]` : id));
        this.#line(
          `${pc.magenta('harness errors, or red while the machine was short of processors')}; judged once more, alone: ${names.join(', ')}`,
        );
      },
    };
  }
}
