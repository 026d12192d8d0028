import { LACKED, OUTCOMES, type Outcome } from '../../core/outcome.ts';
import type { Report, ReportResult } from '../report.ts';
import { verdictOf } from '../verdict.ts';

/** The verdict in two or three words, and what it rests on in one sentence. */
export interface Headline {
  title: string;
  sentence: string;
}

const requirements = (count: number, level: string): string => `${count} ${level} requirement${count === 1 ? '' : 's'}`;

const WORDS = { failed: 'failed', 'not testable': 'could not be tested' } as const;

/** The verdict as every form of the report words it. */
export function headlineOf(report: Report): Headline {
  const { conformant, harnessError, reasons } = verdictOf(report);
  const { results, planned, summary } = report;
  const count = (outcome: string, level: string): number =>
    results.filter((result) => result.outcome === outcome && result.level === level).length;
  const should = (['failed', 'not testable'] as const)
    .map((outcome) => [count(outcome, 'SHOULD'), WORDS[outcome]] as const)
    .filter(([number]) => number > 0)
    .map(([number, what]) => `${requirements(number, 'SHOULD')} ${what}`);
  const { shard } = report;
  const part =
    shard === undefined
      ? ''
      : ` This is shard ${shard.index} of ${shard.count}; \`conformance merge\` evaluates all of them.`;
  const beside = `${
    should.length === 0
      ? ''
      : ` ${should.join(', ')}; ${
          report.strict === true ? 'the run is strict, so that it counts' : 'that does not change the verdict'
        }.`
  }${part}`;
  if (conformant) {
    const lacked = results.filter(({ reason }) => reason?.startsWith(LACKED) === true).length;
    const none = summary['not applicable'] - lacked;
    const outside = none === 0 ? '' : `, ${none} do not apply`;
    const left = `${lacked} of ${planned.length} planned requirements could not be evaluated here: the cluster lacks something for the harness`;
    return {
      title: shard === undefined ? 'Conformant' : `Shard ${shard.index}/${shard.count}: conformant`,
      sentence:
        lacked === 0
          ? `All ${planned.length} planned requirements were evaluated: ${summary.passed} passed${outside}, ` +
            `no MUST failed.${beside}`
          : `${left}. Of the others ${summary.passed} passed${outside}, no MUST failed.${beside}`,
    };
  }
  const must = [
    [count('failed', 'MUST'), WORDS.failed],
    [count('not testable', 'MUST'), WORDS['not testable']],
    [count('disabled', 'MUST'), 'switched off'],
  ] as const;
  const broken = must
    .filter(([number]) => number > 0)
    .map(([number, what]) => `${requirements(number, 'MUST')} ${what}`);
  const counted = count('not testable', 'MUST') === 0 ? '' : ' A MUST that cannot be tested counts as failed.';
  if (harnessError) {
    const seen = broken.length === 0 ? '' : ` So far: ${broken.join(', ')}.`;
    return {
      title: 'No verdict',
      sentence: `The harness or its environment failed, so nothing is said about the implementation.${seen}`,
    };
  }
  return {
    title: 'Not conformant',
    sentence:
      broken.length === 0
        ? `${reasons.join('; ')}.`
        : `${broken.join(', ')}, of ${planned.length} planned requirements.${counted}${beside}`,
  };
}

/** Results by level and outcome: a row for each level that has any, a column for each outcome that is there. */
export interface Counts {
  outcomes: Outcome[];
  rows: { level: ReportResult['level']; counts: number[]; total: number }[];
}

/** How many requirements of each level had each outcome. */
export function countsOf({ results }: Pick<Report, 'results'>): Counts {
  const outcomes = OUTCOMES.filter((outcome) => results.some((result) => result.outcome === outcome));
  const levels = (['MUST', 'SHOULD', 'MAY'] as const).filter((level) => results.some((one) => one.level === level));
  return {
    outcomes,
    rows: levels.map((level) => {
      const own = results.filter((result) => result.level === level);
      return {
        level,
        counts: outcomes.map((outcome) => own.filter((result) => result.outcome === outcome).length),
        total: own.length,
      };
    }),
  };
}

/** In which order failures are listed, in a sentence. */
export const ORDER =
  'MUSTs first: they decide the verdict. Within a level, what failed comes before what could not be tested, ' +
  'and what weakens security before the rest.';
