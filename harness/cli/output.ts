import pc from 'picocolors';
import type { Outcome } from '../core/outcome.ts';
import { inOneLine } from '../core/quotation.ts';
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

/** A reason that was told before is cut to so much. */
const SHORT_REASON = 80;

/**
 * Prints what goes on, a line each, with the seconds since the start; all of it redacted. On a terminal what
 * requirements are at (what they wait for, and until when) stands in a last line that is written over, behind the
 * number of those that are evaluated.
 */
export class Console {
  readonly #begun = Date.now();
  readonly #output: Output;
  /** What each requirement that is at work said last. */
  readonly #at = new Map<string, string>();
  /** Reasons that were told, and of which requirement first. */
  readonly #told = new Map<string, string>();
  #evaluated = 0;
  /** Seconds that each requirement takes as far as the catalogue knows, of those that are not evaluated yet. */
  #expected = new Map<string, number>();
  #working: number | undefined;
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
    if (this.#output.isTTY === true) {
      this.#output.write('\r\x1b[2K');
    }
  }

  #status(): void {
    if (this.#output.isTTY !== true || this.#planned === undefined || this.#evaluated >= this.#planned) {
      return;
    }
    const last = [...this.#at].at(-1);
    const others = this.#at.size > 1 ? ` (and ${this.#at.size - 1} more)` : '';
    const now = last === undefined ? '' : `: ${last[0]} ${last[1]}${others}`;
    const text = redact(`${this.#evaluated} of ${this.#planned} done${this.#left()}${now}`);
    this.#output.write(text.slice(0, (this.#output.columns ?? WITHOUT_COLUMNS) - 1));
  }

  /** All of a run are at work at the same time: what takes longest says how long is left. */
  #left(): string {
    if (this.#working === undefined || this.#expected.size === 0) {
      return '';
    }
    const seconds = Math.max(...this.#expected.values()) - (Date.now() - this.#working) / 1000;
    return seconds < 1 ? '' : `, about ${Math.ceil(seconds)} s left`;
  }

  readonly progress = (part: string, message: string): void => {
    if (this.#output.isTTY !== true || !REQUIREMENT.test(part)) {
      this.#line(`${pc.cyan(part)} ${message}`);
      return;
    }
    this.#working ??= Date.now();
    this.#at.delete(part);
    this.#at.set(part, message);
    this.#clear();
    this.#status();
  };

  readonly result = ({ id, candidate, outcome, reason, durationMs }: RequirementResult, several = false): void => {
    const who = several ? `${id} [${candidate}]` : id;
    const why = reason === undefined || outcome === 'passed' ? '' : `: ${this.#once(id, inOneLine(reason))}`;
    this.#at.delete(who);
    this.#evaluated += 1;
    this.#working ??= Date.now();
    this.#expected.delete(who);
    this.#line(`${pc.bold(who)} ${MARKS[outcome]} ${pc.dim(`(${(durationMs / 1000).toFixed(1)} s)`)}${why}`);
  };

  /**
   * A long reason that another requirement had already, by that: the same cause is told once, however much could not be
   * evaluated.
   */
  #once(id: string, reason: string): string {
    const first = this.#told.get(reason);
    if (first !== undefined && reason.length > SHORT_REASON) {
      return `${reason.slice(0, SHORT_REASON)}… (as ${first})`;
    }
    this.#told.set(reason, first ?? id);
    return reason;
  }

  /**
   * What {@link Progress} tells.
   *
   * @param planned how many requirements are to be evaluated
   * @param several whether they are of several candidates
   * @param expected how long each of them takes on an idle machine, seconds
   */
  of({
    planned,
    several,
    expected = [],
  }: {
    planned: number;
    several: boolean;
    expected?: [string, number][];
  }): Progress {
    this.#planned = planned;
    this.#expected = new Map(expected);
    return {
      onResult: (result) => this.result(result, several),
      onRerun: (rows) => {
        this.#planned = planned + rows.length;
        const names = rows.map(({ candidate, id }) => (several ? `${id} [${candidate}]` : id));
        this.#line(
          `${pc.magenta('harness error, or failed while the host was CPU-starved')}; re-running in isolation: ${names.join(', ')}`,
        );
      },
    };
  }
}
