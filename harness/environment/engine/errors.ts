/**
 * Setup cannot continue: something of the host is missing or refused.
 *
 * @param problem what went wrong and where, one sentence
 * @param fix what the user can do about it: one command or sentence a line
 */
export class SetUpError extends Error {
  override readonly name = 'SetUpError';
  /** Exit code of the command line: harness error, never a verdict. */
  readonly exitCode = 2;
  readonly problem: string;
  readonly fix: readonly string[];

  constructor(problem: string, fix: readonly string[] = [], options?: ErrorOptions) {
    super(fix.length === 0 ? problem : `${problem}\nTo fix it:\n${fix.map((line) => `  ${line}`).join('\n')}`, options);
    this.problem = problem;
    this.fix = fix;
  }
}
