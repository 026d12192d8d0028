import { isRed, type Outcome } from '../core/outcome.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type { RequirementResult } from '../rpc/protocol.ts';

/**
 * A row of the kill matrix: what one twin had to fail, and what came of it. An interface (`conformance prove --json`).
 */
export interface TwinRow {
  name: string;
  role: string;
  fault: string;
  mustFail: string[];
  /** What failed or could not be tested, which counts as failed. */
  failed: string[];
  /** Every requirement that came out otherwise than it must, with why; also what was planned and never executed. */
  surprises: { id: string; outcome: Outcome | 'not executed'; reason: string }[];
  /** Requirements that were evaluated a second time: what kept the harness from evaluating them the first time. */
  disturbedBefore?: { id: string; reason: string }[];
}

export interface KillMatrix {
  twins: TwinRow[];
  /** Twins that did not fail everything that they must. */
  survivors: string[];
}

/** @param results of all candidates; only what was planned for a twin is looked at */
export function killMatrix(candidates: readonly Candidate[], results: RequirementResult[]): KillMatrix {
  const rows = candidates.flatMap((candidate) => {
    if (candidate.kind !== 'twin') {
      return [];
    }
    const { twin } = candidate;
    const mustFail = twin.mustFail.filter((id) => candidate.planned.includes(id));
    const own = results.filter((result) => result.candidate === candidate.name);
    const outcomeOf = (id: string): RequirementResult | undefined => own.find((result) => result.id === id);
    const surprises = candidate.planned.flatMap((id): TwinRow['surprises'] => {
      const result = outcomeOf(id);
      if (result === undefined) {
        return [{ id, outcome: 'not executed', reason: 'planned but not executed' }];
      }
      const expected = mustFail.includes(id)
        ? isRed(result.outcome)
        : result.outcome === 'passed' || result.outcome === 'not applicable';
      return expected ? [] : [{ id, outcome: result.outcome, reason: result.reason ?? 'it must fail, and did not' }];
    });
    const disturbedBefore = own.flatMap(({ id, disturbedBefore: reason }) =>
      reason === undefined ? [] : [{ id, reason }],
    );
    return {
      name: candidate.name,
      role: twin.role,
      fault: twin.fault,
      mustFail,
      failed: own.filter(({ outcome }) => isRed(outcome)).map(({ id }) => id),
      surprises,
      ...(disturbedBefore.length === 0 ? {} : { disturbedBefore }),
    };
  });
  return { twins: rows, survivors: survivorsOf(rows) };
}

/** Names of the twins that did not fail everything that they must. */
export function survivorsOf(rows: readonly TwinRow[]): string[] {
  return rows.filter(({ mustFail, failed }) => !mustFail.every((id) => failed.includes(id))).map(({ name }) => name);
}

/** What the harness itself could not do, in a row: it says nothing about the check. */
export function disturbancesOf({ surprises }: TwinRow): TwinRow['surprises'] {
  return surprises.filter(({ outcome }) => outcome === 'harness error' || outcome === 'not executed');
}

/** True when every twin failed exactly where it must, and there was one. */
export function isProven({ twins, survivors }: KillMatrix): boolean {
  return twins.length > 0 && survivors.length === 0 && twins.every(({ surprises }) => surprises.length === 0);
}
