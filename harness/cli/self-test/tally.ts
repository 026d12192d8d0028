import type { Outcome } from '../../core/outcome.ts';

/** What one part of the project's own tests came to. */
export interface Tally {
  passed: number;
  /** What is wrong, a line each: repeated behind everything else, since what a log keeps is its end. */
  wrong: string[];
  /** What was evaluated a second time and is right now, and why, a line each. */
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
  const evaluated = planned.flatMap((id) => resultOf.get(id) ?? []);
  const isRight = ({ id, outcome }: (typeof evaluated)[number]): boolean => outcome === expectedOf(id);
  const wrong = planned.flatMap((id) => {
    const result = resultOf.get(id);
    if (result === undefined) {
      return [`${id}: not executed`];
    }
    const { outcome, reason = '' } = result;
    return isRight(result) ? [] : [`${id}: ${outcome}, and must be ${expectedOf(id)}: ${reason}`];
  });
  const right = evaluated.filter(isRight);
  const again = right.flatMap(({ id, disturbedBefore: before }) => (before === undefined ? [] : [`${id}: ${before}`]));
  const unevaluated = evaluated.filter(
    ({ outcome, disturbedBefore }) => outcome === 'harness error' && disturbedBefore === undefined,
  );
  const faults =
    unevaluated.length === 0
      ? []
      : [`${unevaluated.length} could not be evaluated, too many to re-run: ${unevaluated[0]?.reason}`];
  return { passed: right.length, wrong, again, faults };
}

/** Lines of the form `id: why`, one for all that have one cause: it should not be pushed out of sight. */
export function grouped(lines: string[]): string[] {
  const ids = new Map<string, string[]>();
  for (const line of lines) {
    const [id = '', ...rest] = line.split(': ');
    const why = rest.join(': ');
    ids.set(why, [...(ids.get(why) ?? []), id]);
  }
  return [...ids].map(([why, of]) => (why === '' ? of.join('; ') : `${of.join(' ')}: ${why}`));
}
