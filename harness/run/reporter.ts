import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { redact } from '../core/redact.ts';
import type { RequirementResult } from '../rpc/protocol.ts';
import type { Session } from './session.ts';

/**
 * Takes the results of the requirements from Vitest into the session. What Vitest knows and the requirement itself
 * could not say (a file that does not load, a worker that died, a test that never ended) becomes a harness error of
 * what was planned.
 */
export class ResultCollector implements Reporter {
  readonly #session: Session;
  readonly #onResult: (result: RequirementResult) => unknown;
  /** What went wrong outside of any requirement: each makes the run a harness error. */
  readonly faults: string[] = [];

  constructor(session: Session, onResult: (result: RequirementResult) => unknown) {
    this.#session = session;
    this.#onResult = onResult;
  }

  onTestCaseResult(testCase: TestCase): void {
    const result = testCase.meta().conformance;
    const candidate = this.#session.candidates.find(
      ({ name }) => name === result?.candidate || testCase.name.endsWith(`[${name}]`),
    );
    // Also for what ended without a result: the next candidate's turn must come.
    if (candidate !== undefined) {
      this.#session.leave(candidate);
    }
    if (result !== undefined) {
      this.#session.results.push(result);
      this.#onResult(result);
      return;
    }
    const { state, errors } = testCase.result();
    if (state === 'failed') {
      this.faults.push(redact(`${testCase.fullName}: ${errors?.map(({ message }) => message).join('; ')}`));
    }
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly { message: string }[]): void {
    for (const module of modules) {
      for (const { message } of module.errors()) {
        this.faults.push(redact(`${module.relativeModuleId}: ${message}`));
      }
    }
    for (const { message } of unhandled) {
      this.faults.push(redact(`unhandled: ${message}`));
    }
  }
}
