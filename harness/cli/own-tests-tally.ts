import type { Outcome } from '../requirements/outcome.ts';

/** What one part of the project's own tests came to. */
export interface Tally {
  passed: number;
  /** What is wrong, a line each: repeated behind everything else, since what a log keeps is its end. */
  wrong: string[];
}

/** Holds what came of planned requirements against what must come of each. */
export function tallyOf(
  planned: string[],
  results: { id: string; outcome: Outcome; reason?: string | undefined }[],
  expectedOf: (id: string) => Outcome,
): Tally {
  const wrong = planned.flatMap((id) => {
    const expected = expectedOf(id);
    const { outcome = 'not executed', reason = '' } = results.find((result) => result.id === id) ?? {};
    return outcome === expected ? [] : [`${id} is ${outcome}, and must be ${expected}: ${reason}`];
  });
  return { passed: planned.length - wrong.length, wrong };
}
