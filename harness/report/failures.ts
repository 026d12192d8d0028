import { type Cause, groupByCause, shapeOf } from '../core/causes.ts';
import { isRed } from '../core/outcome.ts';
import type { Report, ReportResult } from './report.ts';

const LEVEL_ORDER = ['MUST', 'SHOULD', 'MAY'];
const OUTCOME_ORDER = ['failed', 'not testable', 'disabled', 'harness error', 'not applicable', 'passed'];

function weightOf({ outcome, level }: ReportResult): number {
  return LEVEL_ORDER.indexOf(level) * OUTCOME_ORDER.length + OUTCOME_ORDER.indexOf(outcome);
}

/** Whether somebody has to do something about the implementation: red, or switched off although it is a MUST. */
export function countsAgainst({ outcome, level }: ReportResult): boolean {
  return isRed(outcome) || (outcome === 'disabled' && level === 'MUST');
}

/** Results that share the reason for which they are red. */
export interface FailureGroup {
  /** What they share; for a group of one, the reason itself. */
  cause: string;
  results: ReportResult[];
}

/**
 * What counts against the implementation, in the order in which it should be looked at: MUST before SHOULD, failed
 * before
 * not testable; results of one shared cause stand together, at the place of the heaviest of them.
 */
export function failuresOf({ results }: Pick<Report, 'results'>): FailureGroup[] {
  const red = results.filter(countsAgainst).toSorted((one, other) => weightOf(one) - weightOf(other));
  const groups = new Map<string, ReportResult[]>();
  for (const result of red) {
    const shape = `${result.outcome}\n${shapeOf(result.reason ?? result.outcome)}`;
    groups.set(shape, [...(groups.get(shape) ?? []), result]);
  }
  return [...groups].map(([shape, members]) => ({
    cause: members.length === 1 ? (members[0]?.reason ?? '') : shape.slice(shape.indexOf('\n') + 1),
    results: members,
  }));
}

/** Ids of other failures that the reason of a result refers to: it may be gone when these are. */
export function followsFrom({ id, reason = '' }: ReportResult, { results }: Pick<Report, 'results'>): string[] {
  const named = new Set(reason.match(/\b[A-Z]{2}-\d{2}[a-z]?\b/g) ?? []);
  return results
    .filter((result) => result.id !== id && named.has(result.id) && countsAgainst(result))
    .map((result) => result.id);
}

/** A requirement's statement as a whole sentence; one that is written as the end of a sentence gets its beginning. */
export function sentenceOf(statement: string): string {
  const trimmed = statement.trim();
  const whole = /^[a-z(]/.test(trimmed) ? `The implementation ${trimmed}` : trimmed;
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** What was seen, by cause: the findings of the document, or its reason where there are none. */
export function causesOf({ findings, reason }: ReportResult): Cause[] {
  if (findings !== undefined && findings.length > 0) {
    return findings;
  }
  // Some checks tell one finding a line.
  return reason === undefined ? [] : groupByCause(reason.split('\n').filter((line) => line.trim() !== ''));
}

/** An argument as a POSIX shell takes it. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}

/** The command that evaluates one requirement again, as the run that the report is of did. */
export function repeatCommand({ invocation }: Pick<Report, 'invocation'>, id: string): string {
  const { program, options } = invocation ?? { program: 'npm run conformance --', options: [] };
  return [program, 'run', ...options.map(quoted), '--requirement', id].join(' ');
}

/** What somebody does about a result that counts against an implementation: what it is called, and what it is. */
export function whatToDo({
  outcome,
  remedy,
}: Pick<ReportResult, 'outcome' | 'remedy'>): [term: string, text: string][] {
  const own = (term: string): [string, string][] => (remedy === undefined ? [] : [[term, remedy]]);
  return outcome === 'not testable'
    ? [
        [
          'How to fix it',
          'Make what is missing work first. Until then the requirement cannot be looked at, which counts as failed.',
        ],
        ...own('If it fails then'),
      ]
    : own('How to fix it');
}

/** A source in words: `project` stands for a rule that no published document has. */
export function sourceInWords(source: string): string {
  return source === 'project' ? 'a rule of the suite itself' : source;
}
