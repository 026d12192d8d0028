import { STALL_MS, type Stall } from '../../fixtures/workloads/lib/heartbeat.ts';
import { HarnessError, Violation } from './errors.ts';
import { inOneLine } from './quotation.ts';

/**
 * One thing that is wrong, a sentence. A string was *seen*: no machine can be to blame for it, and it is never
 * evaluated again. As an object it may be the machine's fault: something came too late by `excessMs`, between `from`
 * and `to` (milliseconds since the epoch; stalls of the machine that add up to so much explain it), or something is
 * `missing` that may have had no processor to happen.
 */
export type Finding = string | LateFinding | MissingFinding;

interface LateFinding {
  text: string;
  from: number;
  to: number;
  excessMs: number;
}

interface MissingFinding {
  text: string;
  missing: true;
}

/** Something that should have happened by the end of the observation, and was not seen. */
export function missing(text: string): Finding {
  return { text, missing: true };
}

/** {@link missing} where what the text says was only not seen; otherwise it was seen. */
export function missingIf(isMissing: boolean, text: string): Finding {
  return isMissing ? missing(text) : text;
}

/**
 * Findings about what presupposes something. Where that had not come by then, they may be no more than consequences:
 * none of them is in itself known to be anybody's fault.
 *
 * @param hasCome what they presuppose was there
 */
export function presupposing(hasCome: boolean, findings: readonly Finding[]): Finding[] {
  return findings.map((finding) => (hasCome || typeof finding !== 'string' ? finding : missing(finding)));
}

function isLate(finding: Finding): finding is LateFinding {
  return typeof finding !== 'string' && !('missing' in finding);
}

/** A reason is read by a person. */
const FINDINGS_SHOWN = 5;

/** A finding that any stall within its time would explain. */
export function unlessStalled(text: string, from: number, to: number): Finding {
  return { text, from, to, excessMs: STALL_MS };
}

/**
 * @throws Violation that names the first findings, if there is one that no stall explains
 * @throws HarnessError if there are only such that stalls explain: nothing is known of the target then
 */
export function expectNone(findings: Finding[], stalls: Stall[]): void {
  const unexplained = findings.filter((finding) => !isExplained(finding, stalls));
  const mayBeTheMachine = unexplained.every((finding) => typeof finding !== 'string');
  if (unexplained.length > 0) {
    throw new Violation(summarize(unexplained), mayBeTheMachine, unexplained.map(textOf));
  }
  if (findings.length > 0) {
    const during = findings.flatMap((finding) => (isLate(finding) ? within(finding, stalls) : []));
    const longest = during.toSorted((a, b) => lengthOf(b) - lengthOf(a))[0];
    throw new HarnessError(
      `the machine stalled${longest === undefined ? '' : ` ${(lengthOf(longest) / 1000).toFixed(1)} s at ${longest.from} (${longest.where})`}, so that this says nothing of the client: ${summarize(findings)}`,
    );
  }
}

export function textOf(finding: Finding): string {
  return withoutHeaders(typeof finding === 'string' ? finding : finding.text);
}

/**
 * An error as Kubernetes' JavaScript client words it ends with all headers of the answer, which say nothing of the
 * cause.
 */
const HEADERS = /\s*\bHeaders: \{[^{}]*\}/g;

export function withoutHeaders(text: string): string {
  return text.replaceAll(HEADERS, '');
}

function summarize(findings: Finding[]): string {
  const [shown, more] = [
    findings.slice(0, FINDINGS_SHOWN).map((one) => inOneLine(textOf(one))),
    findings.length - FINDINGS_SHOWN,
  ];
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

function isExplained(finding: Finding, stalls: Stall[]): boolean {
  return isLate(finding) && stalledMs(finding, stalls) >= finding.excessMs;
}

function within({ from, to }: { from: number; to: number }, stalls: Stall[]): Stall[] {
  return stalls.filter((stall) => Date.parse(stall.to) > from && Date.parse(stall.from) < to);
}

/**
 * How long any of the stalls lasted; what stalled in two places at once counts once. A stall counts whole where it
 * overlaps.
 */
function stalledMs(span: { from: number; to: number }, stalls: Stall[]): number {
  let sum = 0;
  let until = Number.NEGATIVE_INFINITY;
  const sorted = within(span, stalls).toSorted((a, b) => Date.parse(a.from) - Date.parse(b.from));
  for (const { from, to } of sorted) {
    sum += Math.max(0, Date.parse(to) - Math.max(Date.parse(from), until));
    until = Math.max(until, Date.parse(to));
  }
  return sum;
}

function lengthOf({ from, to }: Stall): number {
  return Date.parse(to) - Date.parse(from);
}
