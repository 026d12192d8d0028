import { isRed } from '../core/outcome.ts';
import type { Report, ReportResult } from './report.ts';

type Evidence = ReportResult['evidence'][number];

/** Below it a reference would be no shorter than what it stands for, in characters of JSON. */
const WORTH_SHARING = 200;

/**
 * What several requirements saw together (one session of a client, one sequence of calls) is written once, where it is
 * read first: with the first result that is red, else with the first. The others name that result (`sameAs`).
 */
export function shareEvidence<T extends Pick<ReportResult, 'id' | 'outcome' | 'evidence'>>(results: T[]): T[] {
  const holders = new Map<string, string>();
  for (const { id, evidence } of results.toSorted((one, other) => weightOf(one) - weightOf(other))) {
    for (const item of evidence) {
      const key = keyOf(item);
      if (key.length > WORTH_SHARING && !holders.has(key)) {
        holders.set(key, id);
      }
    }
  }
  return results.map((result) => ({
    ...result,
    evidence: result.evidence.map((item): Evidence => {
      const holder = holders.get(keyOf(item));
      return holder === undefined || holder === result.id ? item : { label: item.label, at: item.at, sameAs: holder };
    }),
  }));
}

const weightOf = ({ outcome }: Pick<ReportResult, 'outcome'>): number => (isRed(outcome) ? 0 : 1);

const keyOf = ({ label, data }: Evidence): string => `${label}\n${JSON.stringify(data)}`;

/** The evidence of a result with all of its data, wherever the report has it. */
export function evidenceOfResult(
  { results }: Pick<Report, 'results'>,
  { evidence }: Pick<ReportResult, 'evidence'>,
): { label: string; at: string; data: unknown }[] {
  return evidence.map(({ label, at, data, sameAs }) => {
    const holder = sameAs === undefined ? undefined : results.find(({ id }) => id === sameAs);
    const held = holder?.evidence.find((item) => item.label === label && item.sameAs === undefined);
    return { label, at, data: sameAs === undefined ? data : held?.data };
  });
}
