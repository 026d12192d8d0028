import { isRed, type Outcome } from '../core/outcome.ts';
import { inOneLine } from '../core/quotation.ts';
import { causesOf } from './failures.ts';
import type { Report, ReportResult } from './report.ts';

/** What a requirement came to: an outcome, or that it was planned and has none. */
type Came = Outcome | 'not executed';

export interface Change {
  id: string;
  level: ReportResult['level'];
  before: Came;
  after: Came;
  /** What was seen the second time, where it is not passed. */
  seen?: string;
}

export interface Slower {
  id: string;
  beforeMs: number;
  afterMs: number;
}

/**
 * What changed from one report to another. Every requirement that changed is in exactly one of the lists but `slower`.
 */
export interface Comparison {
  /** What makes the two hard to compare: another catalogue, target, clock. */
  notes: string[];
  /** It passed, and does no more; or it was not asked, and fails. */
  worse: Change[];
  better: Change[];
  /** No verdict on one of the two sides: the harness failed. */
  undecided: Change[];
  /** Another outcome that is neither better nor worse: two kinds of red, or red that is not asked any more. */
  changed: Change[];
  /** Planned in the second report only. */
  added: Change[];
  /** Planned in the first report only. */
  gone: Change[];
  slower: Slower[];
}

/**
 * A requirement that passed is slower when it took half as long again, and ten seconds more: less than that is the
 * machine.
 */
const SLOWER = { factor: 1.5, milliseconds: 10_000 };

const isAsked = (came: Came): boolean => came === 'passed' || isRed(came as Outcome);
const isUnknown = (came: Came): boolean => came === 'harness error' || came === 'not executed';

function kindOf(before: Came, after: Came): 'worse' | 'better' | 'undecided' | 'changed' {
  if (isUnknown(before) || isUnknown(after)) {
    return 'undecided';
  }
  if (after === 'passed') {
    return 'better';
  }
  if (before === 'passed') {
    return 'worse';
  }
  return isRed(after as Outcome) && !isAsked(before) ? 'worse' : 'changed';
}

function notesOf(one: Report, other: Report): string[] {
  const pairs: [string, string, string][] = [
    ['target', one.target.name, other.target.name],
    ['catalogue', one.catalogue.digest.slice(0, 12), other.catalogue.digest.slice(0, 12)],
    ['clock', one.clock.kind, other.clock.kind],
    ['harness', one.tool.version, other.tool.version],
  ];
  return pairs
    .filter(([, first, second]) => first !== second)
    .map(([what, first, second]) => `${what}: ${first} and ${second}`);
}

/**
 * Holds two reports against each other: what became better, worse, new, gone or slower from the first to the second.
 */
export function compare(one: Report, other: Report): Comparison {
  const [before, after] = [one, other].map(({ results }) => new Map(results.map((result) => [result.id, result])));
  const comparison: Comparison = {
    notes: notesOf(one, other),
    worse: [],
    better: [],
    undecided: [],
    changed: [],
    added: [],
    gone: [],
    slower: [],
  };
  const planned = [new Set(one.planned), new Set(other.planned)] as const;
  for (const id of new Set([...one.planned, ...other.planned])) {
    const [first, second] = [before?.get(id), after?.get(id)];
    const [cause] = second === undefined ? [] : causesOf(second);
    const change: Change = {
      id,
      level: second?.level ?? first?.level ?? 'MUST',
      before: first?.outcome ?? 'not executed',
      after: second?.outcome ?? 'not executed',
      ...(cause === undefined || second?.outcome === 'passed'
        ? {}
        : { seen: inOneLine(cause.texts[0] ?? cause.cause) }),
    };
    if (!planned[0].has(id)) {
      comparison.added.push(change);
    } else if (!planned[1].has(id)) {
      comparison.gone.push(change);
    } else if (change.before !== change.after) {
      comparison[kindOf(change.before, change.after)].push(change);
    } else if (change.after === 'harness error' || change.after === 'not executed') {
      comparison.undecided.push(change);
    }
    if (first?.outcome === 'passed' && second?.outcome === 'passed') {
      const [beforeMs, afterMs] = [first.durationMs, second.durationMs];
      const isSlower = afterMs > beforeMs * SLOWER.factor && afterMs - beforeMs > SLOWER.milliseconds;
      if (isSlower) {
        comparison.slower.push({ id, beforeMs, afterMs });
      }
    }
  }
  return comparison;
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ');
const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;

function section(title: string, lines: string[], markdown: boolean): string[] {
  if (lines.length === 0) {
    return [];
  }
  return markdown
    ? [`### ${title} (${lines.length})`, '', ...lines.map((line) => `- ${line}`), '']
    : [`${title} (${lines.length})`, ...lines.map((line) => `  ${line}`)];
}

/** The comparison for a person, as plain text or as Markdown. */
export function describeComparison(comparison: Comparison, { markdown = false }: { markdown?: boolean } = {}): string {
  const { notes, worse, better, undecided, changed, added, gone, slower } = comparison;
  const line = ({ id, level, before, after, seen }: Change): string =>
    [
      `${id.padEnd(markdown ? 0 : 7)} ${level}`,
      `${before} → ${after}`,
      ...(seen === undefined ? [] : [oneLine(seen)]),
    ].join(': ');
  const once = ({ id, level }: Change, came: Came): string => `${id.padEnd(markdown ? 0 : 7)} ${level}: ${came}`;
  const parts = [
    ...section('worse', worse.map(line), markdown),
    ...section('no verdict', undecided.map(line), markdown),
    ...section('better', better.map(line), markdown),
    ...section('changed', changed.map(line), markdown),
    ...section(
      'new',
      added.map((change) => once(change, change.after)),
      markdown,
    ),
    ...section(
      'gone',
      gone.map((change) => once(change, change.before)),
      markdown,
    ),
    ...section(
      'slower',
      slower.map(({ id, beforeMs, afterMs }) => `${id}: ${seconds(beforeMs)} → ${seconds(afterMs)}`),
      markdown,
    ),
    ...section('not the same in both', notes, markdown),
  ];
  return `${parts.length === 0 ? 'nothing changed' : parts.join('\n')}\n`;
}
