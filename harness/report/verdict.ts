import { LACKED, OUTCOMES, type Outcome } from '../core/outcome.ts';
import type { Report, ReportResult } from './report.ts';

export interface Verdict {
  conformant: boolean;
  /** True when something of the harness failed, so that nothing can be said. */
  harnessError: boolean;
  reasons: string[];
}

/** Whether a failure of a requirement of this level changes the verdict. */
export function decides(level: ReportResult['level'], strict = false): boolean {
  return level === 'MUST' || (strict && level === 'SHOULD');
}

/**
 * The verdict over the results of one candidate.
 *
 * Conformant means: everything that was planned was executed, no MUST failed or could not be tested or was disabled,
 * the harness made no error, and at least one requirement passed. Where nothing was evaluated since the cluster lacked
 * something for the harness, there is no verdict. A SHOULD that failed is reported and does not change
 * the verdict (RFC 2119), unless the run is strict. A MAY never changes it.
 */
export function assess(planned: string[], results: ReportResult[], faults: string[], strict = false): Verdict {
  const reasons: string[] = [];
  const executed = new Set(results.map(({ id }) => id));
  const missing = planned.filter((id) => !executed.has(id));
  if (missing.length > 0) {
    reasons.push(`planned but not executed: ${missing.join(', ')}`);
  }
  const surplus = results.filter(({ id }) => !planned.includes(id)).map(({ id }) => id);
  if (surplus.length > 0) {
    reasons.push(`executed but not planned: ${surplus.join(', ')}`);
  }
  const twice = results.filter(({ id }, index) => results.findIndex((other) => other.id === id) !== index);
  if (twice.length > 0) {
    reasons.push(`more than one result: ${twice.map(({ id }) => id).join(', ')}`);
  }
  const of = (...outcomes: Outcome[]): ReportResult[] => results.filter(({ outcome }) => outcomes.includes(outcome));
  const errors = of('harness error');
  if (errors.length > 0) {
    reasons.push(`harness errors: ${errors.map(({ id }) => id).join(', ')}`);
  }
  reasons.push(...faults.map((fault) => `harness fault: ${fault}`));
  const lacked = results.filter(({ reason }) => reason?.startsWith(LACKED) === true);
  if (lacked.length > 0 && of('not applicable').length === results.length) {
    reasons.push('nothing could be evaluated: the cluster lacks something for the harness');
  }
  const harnessError = reasons.length > 0;
  const broken = of('failed', 'not testable', 'disabled').filter(({ level }) => level === 'MUST');
  if (broken.length > 0) {
    reasons.push(`MUST not kept: ${broken.map(({ id, outcome }) => `${id} (${outcome})`).join(', ')}`);
  }
  const notFollowed = of('failed', 'not testable').filter(({ level }) => level === 'SHOULD');
  if (strict && notFollowed.length > 0) {
    const named = notFollowed.map(({ id, outcome }) => `${id} (${outcome})`).join(', ');
    reasons.push(`SHOULD not kept, and the run is strict: ${named}`);
  }
  if (of('passed').length === 0) {
    reasons.push('nothing passed: there is nothing to certify');
  }
  return { conformant: reasons.length === 0, harnessError, reasons };
}

/**
 * The verdict that a report holds. A report from before `harnessError` was written down has it worked out from its
 * results.
 */
export function verdictOf({ conformant, harnessError, reasons, planned, results, faults, strict }: Report): Verdict {
  return {
    conformant,
    harnessError: harnessError ?? assess(planned, results, faults, strict).harnessError,
    reasons,
  };
}

export function summarize(results: ReportResult[]): Record<Outcome, number> {
  const summary = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
  for (const { outcome } of results) {
    summary[outcome] += 1;
  }
  return summary;
}
