import pc from 'picocolors';
import type { Outcome } from '../requirements/outcome.ts';
import type { Progress } from '../run/execute.ts';
import type { RequirementResult } from '../run/protocol.ts';
import { redact } from '../tokens/redact.ts';

const MARKS: Record<Outcome, string> = {
  passed: pc.green('passed'),
  failed: pc.red('failed'),
  'not applicable': pc.dim('not applicable'),
  'not testable': pc.red('not testable'),
  disabled: pc.dim('disabled'),
  'harness error': pc.magenta('harness error'),
};

/** Prints what goes on, a line each, with the seconds since the start; all of it redacted. */
export class Console {
  readonly #begun = Date.now();
  readonly #write: (line: string) => void;

  constructor(write: (line: string) => void = (line) => process.stderr.write(`${line}\n`)) {
    this.#write = write;
  }

  #line(text: string): void {
    const seconds = ((Date.now() - this.#begun) / 1000).toFixed(1).padStart(6);
    this.#write(redact(`${pc.dim(`${seconds} s`)}  ${text}`));
  }

  readonly progress = (part: string, message: string): void => {
    this.#line(`${pc.cyan(part)} ${message}`);
  };

  readonly result = ({ id, subject, outcome, reason, durationMs }: RequirementResult, several = false): void => {
    const who = several ? `${id} [${subject}]` : id;
    const why = reason === undefined || outcome === 'passed' ? '' : `: ${reason}`;
    this.#line(`${pc.bold(who)} ${MARKS[outcome]} ${pc.dim(`(${(durationMs / 1000).toFixed(1)} s)`)}${why}`);
  };

  /** What {@link Progress} tells. @param several whether results are of several subjects */
  of({ several }: { several: boolean }): Progress {
    return {
      onResult: (result) => this.result(result, several),
      onAgain: (rows) => {
        const names = rows.map(({ subject, id }) => (several ? `${id} [${subject}]` : id));
        this.#line(`${pc.magenta('harness errors')}; judged once more, alone: ${names.join(', ')}`);
      },
    };
  }
}
