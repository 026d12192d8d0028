import type { Cause } from '../../../core/causes.ts';
import type { Outcome } from '../../../core/outcome.ts';
import { cutMiddle, inOneLine, quotedIn } from '../../../core/quotation.ts';
import { causesOf, countsAgainst, repeatCommand, sourcesByKind, whatToDo } from '../../failures.ts';
import type { Report, ReportResult } from '../../report.ts';
import { describeRepeat, readable } from '../../words.ts';
import { renderData } from './data.ts';
import { bytesOf, clockTime, durationOf, html, Markup, prose, shortened } from './markup.ts';
import { type Proof, proofIn } from './proof.ts';

/** What each outcome is drawn with: never the colour alone. */
export const SIGNS: Record<Outcome, { sign: string; style: string }> = {
  passed: { sign: '✓', style: 'pass' },
  failed: { sign: '✕', style: 'fail' },
  'not testable': { sign: '?', style: 'untestable' },
  'not applicable': { sign: '–', style: 'none' },
  disabled: { sign: '○', style: 'none' },
  'harness error': { sign: '!', style: 'harness' },
};

export function outcomeMark(outcome: Outcome): Markup {
  const { sign, style } = SIGNS[outcome];
  return html`<span class="mark ${style}"><span aria-hidden="true">${sign}</span> ${outcome}</span>`;
}

/** Bytes of one item of evidence: the rest is in report.json. */
const EVIDENCE_BYTES = { red: 24_000, other: 3_000 };

function wholeOf(label: string, data: unknown, limit: number): Markup {
  const shown = renderData(data, label);
  if (bytesOf(shown) <= limit) {
    return shown;
  }
  const excerpt = shortened(JSON.stringify(data, null, 1) ?? '', limit / 2);
  return html`<pre>${excerpt}</pre><p class="more">cut here; all of it is in report.json</p>`;
}

/** The lines and records that prove a failure: open, whatever is closed. */
function provenBy({ lines, records }: Proof, label: string, role: ReportResult['role']): Markup | undefined {
  if (lines.length + records.length === 0) {
    return undefined;
  }
  const marked = lines.map((line) => html`<li><mark>${cutMiddle(readable(line, role), LINE)}</mark></li>`);
  return html`
    ${lines.length > 0 && html`<ul class="proof">${marked}</ul>`}
    ${records.length > 0 && html`<div class="proof">${renderData(records, `${label}: what proves it`)}</div>`}`;
}

/** Characters of a line of the proof. */
const LINE = 400;

function evidenceItem(
  result: ReportResult,
  { label, at, data, sameAs }: ReportResult['evidence'][number],
  held: unknown,
): Markup {
  const isRed = countsAgainst(result) || result.outcome === 'harness error';
  const proof = isRed ? provenBy(proofIn(held, result), label, result.role) : undefined;
  const time = html`<time class="dim">${clockTime(at)}</time>`;
  if (sameAs !== undefined) {
    return html`
      <div class="evidence same">
        <p>${label} ${time}: the same as under <a href="#${sameAs}">${sameAs}</a></p>
        ${proof}
      </div>`;
  }
  return html`
    <div class="evidence">
      ${proof && html`<p>${label} ${time}, what proves it:</p>${proof}`}
      <details>
        <summary>${proof === undefined ? html`${label} ${time}` : html`all of it<span class="aside">: ${label}</span>`}</summary>
        ${wholeOf(label, data, isRed ? EVIDENCE_BYTES.red : EVIDENCE_BYTES.other)}
      </details>
    </div>`;
}

/**
 * What was seen, one detail an item; undefined where nothing was.
 *
 * @param held the evidence with the data of what is written with another result
 * @param level of its heading
 */
export function evidenceOf(
  result: ReportResult,
  held: readonly { data: unknown }[],
  level: HeadingLevel,
): Markup | undefined {
  if (result.evidence.length === 0) {
    return undefined;
  }
  const items = result.evidence.map((item, index) => evidenceItem(result, item, held[index]?.data));
  return html`${heading(level, 'Evidence')}${items}`;
}

/** Level of the headings within a result: one below that of its own. */
export type HeadingLevel = 4 | 5;

function heading(level: HeadingLevel, text: string): Markup {
  return level === 4 ? html`<h4 class="term">${text}</h4>` : html`<h5 class="term">${text}</h5>`;
}

/** Differing texts of one cause that are written out, and lines of a quotation. */
const TEXTS = 8;
const QUOTED = 3;

/** The product's own words: the last line open, the rest below it. */
function quotation(lines: string[], role: ReportResult['role']): Markup {
  const words = lines.map((line) => readable(line, role)).join('\n');
  return lines.length <= QUOTED
    ? html`<blockquote><pre>${words}</pre></blockquote>`
    : html`
      <blockquote>
        <details><summary>${cutMiddle(lines[0]?.startsWith('…') ? (lines[1] ?? '') : readable(lines[0] ?? '', role), 160)}
          ${' '}<span class="dim">(${lines.length} lines)</span></summary><pre>${words}</pre></details>
      </blockquote>`;
}

/** A cause with how often it was met, and each of its findings where they differ. */
function finding({ cause, count, texts }: Cause, ids: ReadonlySet<string>, role: ReportResult['role']): Markup {
  const { fact, how, lines } = quotedIn(texts[0] ?? cause);
  const text = prose(cutMiddle(readable(fact, role), FACT), ids);
  const times = count > 1 && html` <span class="times">${count} times</span>`;
  const words = lines.length > 0 && html`. ${how}:${quotation(lines, role)}`;
  const each = texts.slice(0, TEXTS).map((one) => html`<li>${readable(inOneLine(one), role)}</li>`);
  const more = texts.length > TEXTS && html`<p class="more">and ${texts.length - TEXTS} more in report.json</p>`;
  const all =
    texts.length > 1 && html`<details class="each"><summary>each of them</summary><ul>${each}</ul>${more}</details>`;
  return html`<li>${text}${times}${words}${all}</li>`;
}

/** Characters of a finding, and findings of one result, that are shown. */
const FACT = 600;
const FINDINGS = 12;

function findings(result: ReportResult, ids: ReadonlySet<string>): Markup | undefined {
  const causes = causesOf(result);
  const more =
    causes.length > FINDINGS && html`<p class="more">and ${causes.length - FINDINGS} more in report.json</p>`;
  return causes.length === 0
    ? undefined
    : html`
      <ul class="findings">${causes.slice(0, FINDINGS).map((cause) => finding(cause, ids, result.role))}</ul>${more}`;
}

const SEEN: Record<Outcome, string> = {
  passed: 'What was seen',
  failed: 'What was seen',
  'not testable': 'What is missing',
  'not applicable': 'Why it does not apply',
  disabled: 'Why it was not asked',
  'harness error': 'What went wrong in the harness',
};

/**
 * A command, with a button that copies it.
 *
 * @param what it is the command of: the button's name
 */
export function commandBox(command: string, what: string): Markup {
  return html`
    <div class="command">
      <code>${command}</code>
      <button type="button" class="copy" data-copy="${command}" aria-label="Copy ${what}">Copy</button>
    </div>`;
}

/** A source that has an address leads there: the reader's browser follows it, the page itself loads nothing. */
function sourceLink({ sources = {} }: Report, source: string): Markup {
  const url = sources[source];
  return url === undefined || !url.startsWith('https://')
    ? html`${source}`
    : html`<a href="${url}" rel="noreferrer">${source}</a>`;
}

function sourcesOf(report: Report, source: string[]): Markup {
  const kinds = sourcesByKind(source).map(([how, own], index) => {
    const links = own.map((one, place) => html`${place > 0 && '; '}${sourceLink(report, one)}`);
    return html`${index > 0 && '; '}${how}${links}`;
  });
  return html`${kinds}`;
}

function fact(level: HeadingLevel, term: string, content: Markup | undefined): Markup | undefined {
  return content && html`<div class="fact">${heading(level, term)}<div>${content}</div></div>`;
}

function knownFailure({ baseline }: Report, id: string): Markup | undefined {
  const entry = baseline?.known.find(({ requirement }) => requirement === id);
  if (entry === undefined) {
    return undefined;
  }
  const { reason, owner, expires, link } = entry;
  const where = html`<a href="${link}" rel="noreferrer">${link}</a>`;
  return html`${reason} <span class="dim">(${owner}, until ${expires}, ${where})</span>`;
}

/** What somebody looks up who doubts a finding: closed. */
function aboutOf(tested: Markup | undefined, source: Markup | undefined): Markup | undefined {
  return tested === undefined && source === undefined
    ? undefined
    : html`<details class="each about"><summary>How it is tested, and its source</summary>${tested}${source}</details>`;
}

/**
 * What there is to say of one result beside its line: what was seen, and for red ones how to fix it.
 *
 * @param after what it follows from
 */
export function detailOf(report: Report, result: ReportResult, after: readonly string[], level: HeadingLevel): Markup {
  const { id, outcome, rationale, observed, source, disturbedBefore } = result;
  const ids = new Set(report.planned);
  const isRed = countsAgainst(result);
  const text = (content: string | undefined): Markup | undefined =>
    content === undefined ? undefined : prose(content, ids);
  const again =
    isRed || outcome === 'harness error' ? commandBox(repeatCommand(report, id), `the command for ${id}`) : undefined;
  const repeated = disturbedBefore === undefined ? undefined : describeRepeat(disturbedBefore, outcome);
  const add = (term: string, content: Markup | undefined): Markup | undefined => fact(level, term, content);
  return html`
    ${add('Known failure', knownFailure(report, id))}
    ${outcome !== 'passed' && add(SEEN[outcome], findings(result, ids))}
    ${isRed && whatToDo(result, after).map(([term, content]) => add(term, text(content)))}
    ${isRed && add('Why it matters', text(rationale))}
    ${!isRed && add('Source', source && sourcesOf(report, source))}
    ${add('Evaluated twice', text(repeated))}
    ${add('Run it again', again)}
    ${isRed && aboutOf(add('How it is tested', text(observed)), add('Source', source && sourcesOf(report, source)))}
    ${!isRed && html`<p class="permalink"><a href="#${id}">Link to ${id}</a></p>`}`;
}

/**
 * One result: a line that opens. `data-` attributes are what the page is filtered by.
 *
 * @param content what does not fit into the page is absent; `isShort`: the statement does not fit either
 * @param level of the headings in it; its own is one above
 */
export function resultRow(
  result: ReportResult,
  content: { detail?: Markup | undefined; evidence?: Markup | undefined; isOpen?: boolean; isShort?: boolean },
  level: HeadingLevel,
): Markup {
  const { id, level: weight, role, suite, outcome, statement, durationMs } = result;
  const leftOut = content.detail === undefined || (content.evidence === undefined && result.evidence.length > 0);
  const sentence = statement ?? suite;
  const title = html`<span class="id">${id}</span> ${prose(content.isShort === true ? shortened(sentence, 90) : sentence)}`;
  return html`
    <details class="result ${SIGNS[outcome].style}" id="${id}" data-outcome="${outcome}" data-level="${weight}"
      data-role="${role}" data-suite="${suite}"${content.isOpen === true && new Markup(' open')}>
      <summary>
        ${level === 4 ? html`<h3 class="title">${title}</h3>` : html`<h4 class="title">${title}</h4>`}
        ${outcomeMark(outcome)}
        <span class="level">${weight}</span>
        <span class="role">${role}</span>
        <span class="time">${durationOf(durationMs)}</span>
      </summary>
      <div class="body">
        ${content.detail}
        ${content.evidence}
        ${leftOut && html`<p class="more">left out to keep this page small: see report.json</p>`}
      </div>
    </details>`;
}
