import { type Cause, groupByCause, shapeOf } from '../core/causes.ts';
import { isRed } from '../core/outcome.ts';
import { inOneLine, quotedIn, splitFindings } from '../core/quotation.ts';
import type { Report, ReportResult } from './report.ts';
import { readable } from './words.ts';

const LEVEL_ORDER = ['MUST', 'SHOULD', 'MAY'];
const OUTCOME_ORDER = ['failed', 'not testable', 'disabled', 'harness error', 'not applicable', 'passed'];

/** Statements about what somebody who must not could do or see. */
const SECURITY =
  /unauthenticated|credential|secret|certificate|\bTLS\b|redirect|audience|ServiceAccount|privilege|API token|restricted|escalat|\baccepts? (?:no|only|a)\b|namespace of|other (?:user|session|tenant)/i;

/** Statements about the documentation alone: what is documented beyond need does no harm yet. */
const DOCUMENTATION = /\bdocuments (?:no|only)\b/;

/** Within a level: what opens a door first, what only the documentation has wrong last. */
function harmOf({ statement = '' }: ReportResult): number {
  return DOCUMENTATION.test(statement) ? 2 : SECURITY.test(statement) ? 0 : 1;
}

function weightOf(result: ReportResult): number {
  const { outcome, level } = result;
  const place = LEVEL_ORDER.indexOf(level) * OUTCOME_ORDER.length + OUTCOME_ORDER.indexOf(outcome);
  return place * 3 + harmOf(result);
}

/** Whether somebody has to do something about the implementation: red, or switched off although it is a MUST. */
export function countsAgainst({ outcome, level }: ReportResult): boolean {
  return isRed(outcome) || (outcome === 'disabled' && level === 'MUST');
}

/** Results that share the reason for which they are red. */
export interface FailureGroup {
  /** What they share, in one line; for a group of one, the reason itself. */
  cause: string;
  /** The one that is the cause first. */
  results: ReportResult[];
}

/**
 * What a red result comes down to. Where the product itself said why, its words: it says the same when one requirement
 * fails by it and others cannot be tested because of it.
 */
function rootOf(result: ReportResult): string {
  const { outcome, reason, role } = result;
  const causes = causesOf(result);
  const [first] = causes.length === 1 ? (causes[0]?.texts ?? []) : [];
  const quoted = first === undefined ? undefined : quotedIn(first);
  const words = quoted?.how === 'It printed' ? quoted.lines[0] : undefined;
  return words === undefined
    ? `${outcome}\n${shapeOf(readable(reason ?? outcome, role))}`
    : `printed\n${shapeOf(readable(words, role))}`;
}

/**
 * What a result is about in one line: the first of what was found, with what the product printed of it. An answer is
 * left to the details: the fact says what is wrong with it.
 */
export function firstFinding(result: ReportResult): string {
  const [cause] = causesOf(result);
  const text = cause?.texts[0] ?? result.outcome;
  const { fact, how } = quotedIn(text);
  return readable(how === 'It printed' ? inOneLine(text) : fact.replace(/\s+/g, ' ').trim(), result.role);
}

/**
 * What counts against the implementation, in the order in which it should be looked at: MUST before SHOULD, failed
 * before not testable, what opens a door before what is only documented wrongly; results of one shared cause stand
 * together, at the place of the heaviest of them.
 */
export function failuresOf({ results }: Pick<Report, 'results'>): FailureGroup[] {
  const red = results.filter(countsAgainst).toSorted((one, other) => weightOf(one) - weightOf(other));
  return [...Map.groupBy(red, rootOf)].map(([root, members]) => {
    const [first] = members;
    const isShared = first !== undefined && members.length > 1;
    const shape = root.slice(root.indexOf('\n') + 1);
    return {
      cause: isShared ? (root.startsWith('printed\n') ? firstFinding(first) : inOneLine(shape)) : (first?.reason ?? ''),
      // A failure is the cause of what cannot be tested, whatever their levels are.
      results: members.toSorted(
        (one, other) => OUTCOME_ORDER.indexOf(one.outcome) - OUTCOME_ORDER.indexOf(other.outcome),
      ),
    };
  });
}

/** The ids of a group by level, so that a MUST is never read as a SHOULD: `RB-20, RB-24 (MUST), RB-21 (SHOULD)`. */
export function idsByLevel({ results }: FailureGroup): [level: ReportResult['level'], ids: string[]][] {
  return [...Map.groupBy(results, ({ level }) => level)].map(([level, members]) => [
    level,
    members.map(({ id }) => id),
  ]);
}

/**
 * Ids of other failures that a result follows from, so that it may be gone when these are: those that its reason names,
 * and where it cannot be tested, those that fail for the same reason.
 *
 * @param groups {@link failuresOf} the report, where they are known
 */
export function followsFrom(
  { id, reason = '', outcome }: ReportResult,
  { results }: Pick<Report, 'results'>,
  groups: readonly FailureGroup[] = failuresOf({ results }),
): string[] {
  const named = new Set(reason.match(/\b[A-Z]{2}-\d{2}[a-z]?\b/g) ?? []);
  const group =
    outcome === 'not testable' ? groups.find((one) => one.results.some((result) => result.id === id)) : undefined;
  const causes = new Set(group?.results.filter((result) => result.outcome === 'failed').map((result) => result.id));
  return results
    .filter((result) => result.id !== id && countsAgainst(result) && (named.has(result.id) || causes.has(result.id)))
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
  return reason === undefined ? [] : groupByCause(splitFindings(reason));
}

/** An argument as a POSIX shell takes it. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}

/** A value of `--set` that was not written down: it may be a secret. */
const WITHHELD = /^([^=]+)=…$/;

/** The options of a run as they are given again. */
function optionsOf({ invocation }: Pick<Report, 'invocation'>): string[] {
  return (invocation?.options ?? []).map((option) => option.replace(WITHHELD, '$1=<your value of $1>'));
}

/** The command that evaluates one requirement once more, in the way of the run that the report is of. */
export function repeatCommand(report: Pick<Report, 'invocation'>, id: string): string {
  const program = report.invocation?.program ?? 'npm run conformance --';
  return [program, 'run', ...optionsOf(report).map(quoted), '--requirement', id].join(' ');
}

/** What has to be there before {@link repeatCommand} can be run, in sentences. */
export function prerequisites({ invocation, tool }: Pick<Report, 'invocation' | 'tool'>): string[] {
  const options = invocation?.options ?? [];
  const files = options.filter((_, index) => options[index - 1] === '--target');
  const withheld = options.flatMap((option) => WITHHELD.exec(option)?.[1] ?? []);
  const version = `${tool.name} ${tool.version}${tool.commit === undefined ? '' : `, commit ${tool.commit}`}`;
  const isPackage = invocation?.program.startsWith('npx') === true;
  return [
    isPackage
      ? `${version}: \`npm install --save-dev ${tool.name}@${tool.version}\` in the folder of the run.`
      : `${version}: a clone of its repository${tool.commit === undefined ? '' : ` at that commit`}, \`npm ci\` in it; the commands are run there.`,
    `Node ${tool.node.replace(/^v/, '')} and Docker; \`${invocation?.program ?? 'npm run conformance --'} doctor\` names what is missing.`,
    ...(files.length === 0
      ? []
      : [
          `The target ${files.length === 1 ? 'file' : 'files'} of the run: ${files.map((file) => `\`${file}\``).join(', ')}.`,
        ]),
    ...(withheld.length === 0
      ? []
      : [
          `Your own ${withheld.length === 1 ? 'value' : 'values'} of ${withheld.map((name) => `\`${name}\``).join(', ')}: ${withheld.length === 1 ? 'it is' : 'they are'} not in the report.`,
        ]),
  ];
}

/**
 * What somebody does about a result that counts against an implementation: what it is called, and what it is.
 *
 * @param after what it follows from, see {@link followsFrom}
 */
export function whatToDo(
  { outcome, remedy }: Pick<ReportResult, 'outcome' | 'remedy'>,
  after: readonly string[] = [],
): [term: string, text: string][] {
  const own = (term: string): [string, string][] => (remedy === undefined ? [] : [[term, remedy]]);
  return outcome === 'not testable'
    ? [
        [
          'How to fix it',
          after.length === 0
            ? 'Make what is missing work first. Until then it cannot be tested; it counts as failed.'
            : `Fix ${after.join(', ')} first; this was blocked by it. Until then it cannot be tested; it counts as failed.`,
        ],
        ...own('If it fails then'),
      ]
    : own('How to fix it');
}

/**
 * Sources by what they are: standards and documentation of Kubernetes; the documentation of products, whose promises a
 * requirement holds an implementation to; `project`, a rule that no published document has.
 *
 * @returns what introduces them, and they
 */
export function sourcesByKind(sources: readonly string[]): [introduction: string, sources: string[]][] {
  const products = sources.filter((source) => source !== 'project' && !STANDARD.test(source));
  const kinds: [string, string[]][] = [
    ['', sources.filter((source) => STANDARD.test(source))],
    ['the behaviour promised by ', products],
    ['', sources.includes('project') ? ['a rule of the suite itself'] : []],
  ];
  return kinds.filter(([, of]) => of.length > 0);
}

const STANDARD = /^(?:RFC|KEP|OpenID|POSIX|Kubernetes|OpenShift|SQLite)\b/;
