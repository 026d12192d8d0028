import type { Cause } from '../../../core/causes.ts';
import type { Outcome } from '../../../core/outcome.ts';
import { causesOf, countsAgainst, repeatCommand, sourceInWords, whatToDo } from '../../failures.ts';
import type { Report, ReportResult } from '../../report.ts';
import { renderData } from './data.ts';
import { bytesOf, clockTime, durationOf, html, Markup, prose, shortened } from './markup.ts';

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

/** Evidence that somebody who looks for the cause reads first. */
const EXCERPT = /\b(?:log|logs|event|events|said|output|last|message|answers?|refusals?|request)/i;

/** Bytes of one item of evidence: the rest is in report.json. */
const EVIDENCE_BYTES = { red: 24_000, other: 3_000 };

function evidenceItem(
  { label, at, data, sameAs }: ReportResult['evidence'][number],
  isRed: boolean,
  isFirst: boolean,
): Markup {
  if (sameAs !== undefined) {
    return html`
    <p class="evidence">${label} <time class="dim">${clockTime(at)}</time>: the same as under <a href="#${sameAs}">${sameAs}</a></p>`;
  }
  const limit = isRed ? EVIDENCE_BYTES.red : EVIDENCE_BYTES.other;
  const shown = renderData(data);
  const isOpen = isRed && (isFirst || EXCERPT.test(label));
  const excerpt = (JSON.stringify(data, null, 1) ?? '').slice(0, limit / 2);
  const content =
    bytesOf(shown) <= limit
      ? shown
      : html`<pre>${excerpt}</pre><p class="more">cut here; all of it is in report.json</p>`;
  return html`
    <details class="evidence"${isOpen && new Markup(' open')}>
      <summary>${label} <time class="dim">${clockTime(at)}</time></summary>
      ${content}
    </details>`;
}

/** What was seen, one detail an item; undefined where nothing was. */
export function evidenceOf(result: ReportResult): Markup | undefined {
  if (result.evidence.length === 0) {
    return undefined;
  }
  const isRed = result.outcome !== 'passed' && result.outcome !== 'not applicable';
  const items = result.evidence.map((item, index) => evidenceItem(item, isRed, index === 0));
  return html`<h3 class="term">Evidence</h3>${items}`;
}

/** Differing texts of one cause that are written out. */
const TEXTS = 8;

/** A cause with how often it was met, and each of its findings where they differ. */
function finding({ cause, count, texts }: Cause, ids: ReadonlySet<string>): Markup {
  const text = prose(texts.length > 1 ? (texts[0] ?? cause) : cause, ids);
  const times = count > 1 && html` <span class="times">${count} times</span>`;
  const each = texts.slice(0, TEXTS).map((one) => html`<li>${one}</li>`);
  const more = texts.length > TEXTS && html`<p class="more">and ${texts.length - TEXTS} more in report.json</p>`;
  const all =
    texts.length > 1 && html`<details class="each"><summary>each of them</summary><ul>${each}</ul>${more}</details>`;
  return html`<li>${text}${times}${all}</li>`;
}

function findings(result: ReportResult, ids: ReadonlySet<string>): Markup | undefined {
  const causes = causesOf(result);
  return causes.length === 0
    ? undefined
    : html`<ul class="findings">${causes.map((cause) => finding(cause, ids))}</ul>`;
}

const SEEN: Record<Outcome, string> = {
  passed: 'What was seen',
  failed: 'What was seen',
  'not testable': 'What is missing',
  'not applicable': 'Why it does not apply',
  disabled: 'Why it was not asked',
  'harness error': 'What went wrong in the harness',
};

/** A command, with a button that copies it. */
export function commandBox(command: string): Markup {
  return html`
    <div class="command">
      <code>${command}</code>
      <button type="button" class="copy" data-copy="${command}">Copy</button>
    </div>`;
}

/** A source that has an address leads there: the reader's browser follows it, the page itself loads nothing. */
function sourceLink({ sources = {} }: Report, source: string): Markup {
  const url = sources[source];
  return url === undefined || !url.startsWith('https://')
    ? html`${sourceInWords(source)}`
    : html`<a href="${url}" rel="noreferrer">${source}</a>`;
}

function fact(term: string, content: Markup | undefined): Markup | undefined {
  return content && html`<div class="fact"><h3 class="term">${term}</h3><div>${content}</div></div>`;
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

/** What there is to say of one result beside its line: the statement, what was seen, and for red ones how to fix it. */
export function detailOf(report: Report, result: ReportResult): Markup {
  const { id, outcome, rationale, observed, source, disturbedBefore } = result;
  const ids = new Set(report.planned);
  const isRed = countsAgainst(result);
  const text = (content: string | undefined): Markup | undefined =>
    content === undefined ? undefined : prose(content, ids);
  const sources = source?.map((one, index) => html`${index > 0 && '; '}${sourceLink(report, one)}`);
  const again = isRed || outcome === 'harness error' ? commandBox(repeatCommand(report, id)) : undefined;
  return html`
    ${fact('Known failure', knownFailure(report, id))}
    ${outcome !== 'passed' && fact(SEEN[outcome], findings(result, ids))}
    ${isRed && fact('Why it matters', text(rationale))}
    ${isRed && whatToDo(result).map(([term, content]) => fact(term, text(content)))}
    ${fact('Source', sources && html`${sources}`)}
    ${fact('Evaluated twice', text(disturbedBefore))}
    ${fact('Run it again', again)}
    ${isRed && fact('How it is tested', text(observed))}
    <p class="permalink"><a href="#${id}">Link to ${id}</a></p>`;
}

/**
 * One result: a line that opens. `data-` attributes are what the page is filtered by.
 *
 * @param content what does not fit into the page is absent; `isShort`: the statement does not fit either
 */
export function resultRow(
  result: ReportResult,
  content: { detail?: Markup | undefined; evidence?: Markup | undefined; isOpen?: boolean; isShort?: boolean },
): Markup {
  const { id, level, role, suite, outcome, statement, durationMs } = result;
  const leftOut = content.detail === undefined || (content.evidence === undefined && result.evidence.length > 0);
  const sentence = statement ?? suite;
  return html`
    <details class="result ${SIGNS[outcome].style}" id="${id}" data-outcome="${outcome}" data-level="${level}"
      data-role="${role}" data-suite="${suite}"${content.isOpen === true && new Markup(' open')}>
      <summary>
        <span class="id">${id}</span>
        ${outcomeMark(outcome)}
        <span class="level">${level}</span>
        <span class="statement">${prose(content.isShort === true ? shortened(sentence, 90) : sentence)}</span>
        <span class="role">${role}</span>
        <span class="time">${durationOf(durationMs)}</span>
      </summary>
      <div class="body">
        ${content.detail}
        ${content.evidence}
        ${leftOut && html`<p class="more">left out to keep this page small; it is in report.json under ${id}</p>`}
      </div>
    </details>`;
}
