import type { Outcome } from '../requirements/outcome.ts';

/** What one part of the project's own tests came to. */
export interface Tally {
  passed: number;
  /** What is wrong, a line each: repeated behind everything else, since what a log keeps is its end. */
  wrong: string[];
  /** What was judged a second time and is right now, and why, a line each. */
  again: string[];
  /** What kept this part of the tests from being done as it should. */
  faults: string[];
}

export const NOTHING: Tally = { passed: 0, wrong: [], again: [], faults: [] };

/** Holds what came of planned requirements against what must come of each. */
export function tallyOf(
  planned: string[],
  results: { id: string; outcome: Outcome; reason?: string | undefined; disturbedBefore?: string | undefined }[],
  expectedOf: (id: string) => Outcome,
): Tally {
  const resultOf = new Map(results.map((result) => [result.id, result]));
  const missing = planned.filter((id) => !resultOf.has(id));
  const judged = planned.flatMap((id) => resultOf.get(id) ?? []);
  const isRight = ({ id, outcome }: (typeof judged)[number]): boolean => outcome === expectedOf(id);
  const wrong = judged
    .filter((result) => !isRight(result))
    .map(({ id, outcome, reason = '' }) => `${id} is ${outcome}, and must be ${expectedOf(id)}: ${reason}`);
  const again = judged
    .filter((result) => isRight(result) && result.disturbedBefore !== undefined)
    .map(({ id, disturbedBefore }) => `${id}, since before: ${disturbedBefore}`);
  // One line for all: they have one cause, which should not be pushed out of sight.
  if (missing.length > 0) wrong.push(`not executed: ${missing.join(' ')}`);
  const unjudged = judged.filter(
    ({ outcome, disturbedBefore }) => outcome === 'harness error' && disturbedBefore === undefined,
  );
  const faults =
    unjudged.length === 0
      ? []
      : [`${unjudged.length} could not be judged, too many to be judged again: ${unjudged[0]?.reason}`];
  return { passed: judged.filter(isRight).length, wrong, again, faults };
}
