import type { Report } from '../report.ts';
import { verdictOf } from '../verdict.ts';

/** The verdict in two or three words, and what it rests on in one sentence. */
export interface Headline {
  title: string;
  sentence: string;
}

const requirements = (count: number, level: string): string => `${count} ${level} requirement${count === 1 ? '' : 's'}`;

/** The verdict as every form of the report words it. */
export function headlineOf(report: Report): Headline {
  const { conformant, harnessError, reasons } = verdictOf(report);
  const { results, planned, summary } = report;
  const count = (outcome: string, level: string): number =>
    results.filter((result) => result.outcome === outcome && result.level === level).length;
  const should = count('failed', 'SHOULD') + count('not testable', 'SHOULD');
  const { shard } = report;
  const part =
    shard === undefined
      ? ''
      : ` This is shard ${shard.index} of ${shard.count}; \`conformance merge\` evaluates all of them.`;
  const beside = `${
    should === 0
      ? ''
      : ` ${requirements(should, 'SHOULD')} not met; ${
          report.strict === true ? 'the run is strict, so that it counts' : 'that does not change the verdict'
        }.`
  }${part}`;
  if (conformant) {
    const none = summary['not applicable'] === 0 ? '' : `, ${summary['not applicable']} do not apply`;
    return {
      title: shard === undefined ? 'Conformant' : `Shard ${shard.index}/${shard.count}: conformant`,
      sentence:
        `All ${planned.length} planned requirements were evaluated: ${summary.passed} passed${none}, ` +
        `no MUST failed.${beside}`,
    };
  }
  const must = [
    [count('failed', 'MUST'), 'failed'],
    [count('not testable', 'MUST'), 'could not be tested'],
    [count('disabled', 'MUST'), 'switched off'],
  ] as const;
  const broken = must
    .filter(([number]) => number > 0)
    .map(([number, what]) => `${requirements(number, 'MUST')} ${what}`);
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
      broken.length === 0 ? `${reasons.join('; ')}.` : `${broken.join(', ')}, of ${planned.length} planned.${beside}`,
  };
}
