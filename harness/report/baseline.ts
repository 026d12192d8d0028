import { readFileSync } from 'node:fs';
import { type Document, parseDocument, type YAMLSeq } from 'yaml';
import { z } from 'zod';
import { didYouMean } from '../core/closest.ts';
import { UsageError } from '../core/errors.ts';
import { inOneLine } from '../core/quotation.ts';
import { causesOf, countsAgainst } from './failures.ts';
import { knownFailureSchema, type Report } from './report.ts';
import { decides, verdictOf } from './verdict.ts';

export type KnownFailure = z.infer<typeof knownFailureSchema>;

const API_VERSION = 'conformance-baseline/v1';

const EMPTY = `# Known failures: they change the exit code of \`conformance run --baseline\`, never its verdict.
apiVersion: ${API_VERSION}
failures: []
`;

const baselineSchema = z.strictObject({
  apiVersion: z.literal(API_VERSION),
  failures: z.array(knownFailureSchema),
});

/** Known failures, as data that people keep: they change the exit code of a run, never its verdict. */
export interface Baseline {
  file: string;
  failures: KnownFailure[];
}

function parse(file: string): { document: Document; failures: KnownFailure[] } {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(
      `the baseline ${file} cannot be read: ${(error as Error).message}. ` +
        `\`conformance baseline update ${file}\` writes one.`,
    );
  }
  const document = parseDocument(source, { prettyErrors: true });
  const [wrong] = document.errors;
  if (wrong !== undefined) {
    throw new UsageError(`the baseline ${file} is not YAML: ${wrong.message}`);
  }
  const result = baselineSchema.safeParse(document.toJS());
  if (!result.success) {
    throw new UsageError(`the baseline ${file} does not have the right shape:\n${z.prettifyError(result.error)}`);
  }
  return { document, failures: result.data.failures };
}

/**
 * Reads a baseline.
 *
 * @param known ids of all requirements
 * @throws UsageError that names the file and the entry: not there, not YAML, of the wrong shape, twice the same or an
 *   unknown requirement
 */
export function readBaseline(file: string, known: readonly string[]): Baseline {
  const { failures } = parse(file);
  const ids = failures.map(({ requirement }) => requirement);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) {
    throw new UsageError(`the baseline ${file} has two entries for ${twice}`);
  }
  const unknown = ids.find((id) => !known.includes(id));
  if (unknown !== undefined) {
    throw new UsageError(
      `the baseline ${file} names ${unknown}, which is no requirement.${didYouMean(unknown, known)}`,
    );
  }
  return { file, failures };
}

/** A run held against a baseline. */
export interface BaselineOutcome {
  file: string;
  /** Entries that explain a failure of this run. */
  known: KnownFailure[];
  /** Failures of a MUST, in a strict run of a SHOULD too, that no entry explains. */
  unexpected: string[];
  /** What is wrong with the baseline: entries that are stale or have expired. */
  problems: string[];
}

/** An entry is good to the end of its day, UTC. */
function hasExpired({ expires }: KnownFailure, now: Date): boolean {
  return now.toISOString().slice(0, 10) > expires;
}

/** Entries that explain nothing any more, before anything is run. */
export function expiredEntries({ failures }: Baseline, now: Date = new Date()): string[] {
  return failures.filter((entry) => hasExpired(entry, now)).map(expired);
}

function expired({ requirement, expires, owner, link }: KnownFailure): string {
  return `${requirement}: the entry expired on ${expires}; ${owner} is to fix it or to argue for more time (${link})`;
}

/**
 * What a baseline says of a report. An entry that has expired explains nothing, one whose requirement does not fail any
 * more is stale,
 * one whose requirement was not asked this time is left alone.
 */
export function applyBaseline(
  { file, failures }: Baseline,
  report: Pick<Report, 'results' | 'strict'>,
  now: Date = new Date(),
): BaselineOutcome {
  const results = new Map(report.results.map((result) => [result.id, result]));
  const known: KnownFailure[] = [];
  const problems: string[] = [];
  for (const entry of failures) {
    const result = results.get(entry.requirement);
    if (result === undefined || result.outcome === 'harness error') {
      continue;
    }
    if (!countsAgainst(result)) {
      problems.push(
        `${entry.requirement}: the entry is stale, the requirement is ${result.outcome}; ` +
          '`conformance baseline update` removes it',
      );
    } else if (hasExpired(entry, now)) {
      problems.push(expired(entry));
    } else {
      known.push(entry);
    }
  }
  const explained = new Set(known.map(({ requirement }) => requirement));
  const unexpected = report.results
    .filter((result) => countsAgainst(result) && decides(result.level, report.strict) && !explained.has(result.id))
    .map(({ id }) => id);
  return { file, known, unexpected, problems };
}

/** Whether a run is as the baseline expects it: a verdict, nothing unexpected, and nothing wrong with the baseline. */
export function isAsExpected(report: Report, { unexpected, problems }: BaselineOutcome): boolean {
  return (
    !verdictOf(report).harnessError && unexpected.length === 0 && problems.length === 0 && report.summary.passed > 0
  );
}

/** The end of a run with a baseline, in lines. */
export function describeBaseline({ file, known, unexpected, problems }: BaselineOutcome): string[] {
  return [
    `baseline ${file}: ${known.length} known failure${known.length === 1 ? '' : 's'}, ${
      unexpected.length === 0 ? 'nothing new' : `new: ${unexpected.join(', ')}`
    }`,
    ...problems.map((problem) => `  ${problem}`),
  ];
}

/** What new entries say; `link` and `owner` have no default: a failure that nobody owns is not known. */
export interface EntryDefaults {
  owner?: string | undefined;
  link?: string | undefined;
  reason?: string | undefined;
  expires: string;
}

/**
 * The text of a baseline that fits a report: entries that are stale go, failures that it does not know come, all others
 * and the
 * comments stay as they are.
 *
 * @param source the text that it has now; undefined: there is none yet
 * @throws UsageError where there is something new and owner or link are not given
 */
export function updatedBaseline(
  file: string | undefined,
  report: Pick<Report, 'results'>,
  { owner, link, reason, expires }: EntryDefaults,
): { text: string; added: string[]; removed: string[] } {
  const { document, failures } =
    file === undefined
      ? {
          document: parseDocument(EMPTY),
          failures: [],
        }
      : parse(file);
  const results = new Map(report.results.map((result) => [result.id, result]));
  const isStale = ({ requirement }: KnownFailure): boolean => {
    const result = results.get(requirement);
    return result !== undefined && result.outcome !== 'harness error' && !countsAgainst(result);
  };
  const removed = failures.filter(isStale).map(({ requirement }) => requirement);
  const fresh = report.results.filter(
    (result) => countsAgainst(result) && !failures.some(({ requirement }) => requirement === result.id),
  );
  if (fresh.length > 0 && (owner === undefined || link === undefined)) {
    throw new UsageError(
      `not in the baseline yet: ${fresh.map(({ id }) => id).join(', ')}. ` +
        'Say who sees to it and where: --owner NAME --link URL.',
    );
  }
  const sequence = document.get('failures') as YAMLSeq;
  sequence.items = sequence.items.filter((_, index) => {
    const entry = failures[index];
    return entry === undefined || !isStale(entry);
  });
  sequence.flow = false;
  for (const result of fresh) {
    const [cause] = causesOf(result);
    const seen = inOneLine(cause?.texts[0] ?? result.outcome);
    const entry = knownFailureSchema.safeParse({
      requirement: result.id,
      reason: reason ?? seen,
      link,
      owner,
      expires,
    });
    if (!entry.success) {
      throw new UsageError(`a new entry would not be right:\n${z.prettifyError(entry.error)}`);
    }
    sequence.add(document.createNode(entry.data));
  }
  return { text: document.toString({ lineWidth: 120 }), added: fresh.map(({ id }) => id), removed };
}
