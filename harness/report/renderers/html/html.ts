import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { OUTCOMES, type Outcome } from '../../../core/outcome.ts';
import { cutMiddle } from '../../../core/quotation.ts';
import { describeBaseline } from '../../baseline.ts';
import { evidenceOfResult, shareEvidence } from '../../evidence.ts';
import {
  causesOf,
  countsAgainst,
  type FailureGroup,
  failuresOf,
  firstFinding,
  followsFrom,
  idsByLevel,
  prerequisites,
} from '../../failures.ts';
import type { Report, ReportResult } from '../../report.ts';
import { verdictOf } from '../../verdict.ts';
import { describeClock, GLOSSARY } from '../../words.ts';
import { countsOf, headlineOf, ORDER } from '../headline.ts';
import type { Renderer } from '../renderer.ts';
import { audiencesSection } from './audiences.ts';
import { renderData } from './data.ts';
import { bytesOf, durationOf, html, Markup, plural, prose, shortened } from './markup.ts';
import { permissionsSection } from './permissions.ts';
import { detailOf, evidenceOf, type HeadingLevel, outcomeMark, resultRow, SIGNS } from './results.ts';
import { scheduleSection } from './schedule.ts';
import { tokensSection } from './tokens.ts';

const asset = (name: string): string => readFileSync(new URL(`./${name}`, import.meta.url), 'utf8');
const STYLE = asset('page.css');
const SCRIPT = asset('page.js');

/** The page stays below 2 MB; what the parts of fixed size take comes off this first, bytes. */
const BUDGET = 1_900_000;

/** Only this style and this very script; nothing is loaded from anywhere, whatever evidence holds. */
const POLICY = [
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  `script-src 'sha256-${createHash('sha256').update(SCRIPT).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

type Content = Parameters<typeof resultRow>[1];

/** Level of the headings in a result: those of what needs a hand stand in no suite. */
const levelOf = (result: ReportResult): HeadingLevel =>
  countsAgainst(result) || result.outcome === 'harness error' ? 4 : 5;

/** What fits of each result into the page, the heaviest results first: details of all before evidence of any. */
function contents(report: Report, groups: FailureGroup[], budget: number): Map<string, Content> {
  const order = [
    ...groups.flatMap(({ results }) => results),
    ...report.results.filter(({ outcome }) => outcome === 'harness error'),
    ...report.results.filter((result) => !countsAgainst(result) && result.outcome !== 'harness error'),
  ];
  const lines = (isShort: boolean): number =>
    report.results.reduce((sum, result) => sum + bytesOf(resultRow(result, { isShort }, levelOf(result))), 0);
  // The lines alone may be most of it: the statements of what needs no hand are cut first.
  const isShort = lines(false) > budget / 2;
  let left = budget - lines(isShort);
  const taken = new Map<string, Content>(
    order.map((result) => [result.id, { isShort: isShort && !countsAgainst(result) }]),
  );
  const take = (part: 'detail' | 'evidence', make: (result: ReportResult) => Markup | undefined): void => {
    for (const result of order) {
      const markup = make(result);
      if (markup === undefined || bytesOf(markup) > left) {
        continue;
      }
      left -= bytesOf(markup);
      taken.set(result.id, { ...taken.get(result.id), [part]: markup });
    }
  };
  take('detail', (result) => detailOf(report, result, followsFrom(result, report, groups), levelOf(result)));
  take('evidence', (result) => evidenceOf(result, evidenceOfResult(report, result), levelOf(result)));
  return taken;
}

function verdictHeader(report: Report): Markup {
  const { title, sentence } = headlineOf(report);
  const style = styleOf(report);
  const { target, tool, clock, catalogue } = report;
  const counted = OUTCOMES.map((outcome) => ({ outcome, count: report.summary[outcome] })).filter(
    ({ count }) => count > 0,
  );
  const facts: [string, string | Markup][] = [
    ['Run', html`<code>${report.runId}</code>`],
    ['Started', report.startedAt.replace('T', ' ').replace(/\.\d+Z$/, ' UTC')],
    ['Took', durationOf(Date.parse(report.finishedAt) - Date.parse(report.startedAt))],
    ['Clock', describeClock(clock)],
    ['Harness', `${tool.name} ${tool.version}${tool.commit === undefined ? '' : `, commit ${tool.commit}`}`],
    [
      'Catalogue',
      html`${plural(catalogue.requirements, 'requirement')}, <code>${catalogue.digest.slice(0, 12)}</code>`,
    ],
    ...(target.files ?? []).map(({ name, role, version, digest }): [string, Markup] => [
      'Target file',
      html`${name}${version !== undefined && ` ${version}`} (${role}), <code>${digest.slice(0, 12)}</code>`,
    ]),
  ];
  return html`
    <header class="verdict ${style}">
      <div class="wrap">
        <p class="product">${target.name}${target.role !== undefined && ` · ${target.role}`}</p>
        <h1>${title}</h1>
        <p class="sum">${sentence}</p>
        <div class="share" aria-hidden="true">
          ${counted.map(({ outcome, count }) => html`<i class="${SIGNS[outcome].style}" style="flex:${count}"></i>`)}
        </div>
        ${countsTable(report)}
        <dl class="facts">${facts.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>
      </div>
    </header>`;
}

/** How many requirements of each level had each outcome. */
function countsTable(report: Report): Markup {
  const { outcomes, rows } = countsOf(report);
  const lines = rows.map(
    ({ level, counts, total }) => html`
      <tr>
        <th scope="row">${level}</th>
        ${counts.map((count) => html`<td class="num">${count}</td>`)}
        <td class="num">${total}</td>
      </tr>`,
  );
  return html`
    <div class="scroll" role="group" aria-label="results by level and outcome" tabindex="0">
      <table class="counts">
        <thead>
          <tr>
            <th scope="col">level</th>
            ${outcomes.map((outcome) => html`<th scope="col">${outcomeMark(outcome)}</th>`)}
            <th scope="col">all</th>
          </tr>
        </thead>
        <tbody>${lines}</tbody>
      </table>
    </div>`;
}

function filterBy(name: 'outcome' | 'level' | 'role' | 'suite', { results }: Report): Markup {
  const values = new Set(results.map((result) => result[name]));
  return html`
    <select id="filter-${name}" name="${name}" aria-label="${name}">
      <option value="">${name}: all</option>
      ${[...values].map((value) => html`<option>${value}</option>`)}
    </select>`;
}

function toolbar(report: Report, sections: [string, string][]): Markup {
  return html`
    <div class="bar-top">
      <div class="wrap">
        <nav aria-label="Sections">
          <ul>${sections.map(([id, text]) => html`<li><a href="#${id}">${text}</a></li>`)}</ul>
        </nav>
        <div class="filter" role="search">
          <input type="search" id="search" placeholder="Search (press /)" aria-label="Search in all results">
          ${filterBy('outcome', report)}
          ${filterBy('level', report)}
          ${filterBy('role', report)}
          ${filterBy('suite', report)}
          <button type="button" id="clear" hidden>Clear</button>
          <span class="found" id="found" role="status"></span>
          <button type="button" id="expand">Expand all</button>
          <button type="button" id="theme">Theme</button>
          <button type="button" id="show-help">Keyboard shortcuts</button>
        </div>
      </div>
    </div>`;
}

const HELP = html`
  <dialog id="help" aria-labelledby="help-title">
    <h2 id="help-title">Keyboard shortcuts</h2>
    <ul>
      <li><kbd>/</kbd> search, <kbd>Esc</kbd> clear</li>
      <li><kbd>j</kbd> <kbd>k</kbd> next and previous result</li>
      <li><kbd>o</kbd> open or close it</li>
      <li><kbd>f</kbd> only what failed</li>
      <li><kbd>t</kbd> light or dark</li>
      <li><kbd>?</kbd> this help</li>
    </ul>
    <p><label><input type="checkbox" id="keys" checked> shortcuts are on</label></p>
    <p class="dim">
      The address of the page names what is shown: <code>#TR-04</code> opens a requirement,${' '}
      <code>#/outcome=failed&amp;q=token</code> is a filter.
    </p>
    <form method="dialog"><button>Close</button></form>
  </dialog>`;

/** Characters of a line of the overview. */
const SHORT = 220;

function linked(ids: readonly string[]): Markup {
  return html`${ids.map((id, index) => html`${index > 0 && ', '}<a href="#${id}">${id}</a>`)}`;
}

function glanceLine(report: Report, group: FailureGroup, groups: FailureGroup[]): Markup | undefined {
  const [first] = group.results;
  if (first === undefined) {
    return undefined;
  }
  const [cause] = causesOf(first);
  const times = cause !== undefined && cause.count > 1 && html` <span class="times">${cause.count} times</span>`;
  const own = new Set(group.results.map(({ id }) => id));
  const before = followsFrom(first, report, groups).filter((id) => !own.has(id));
  const levels = idsByLevel(group).map(
    ([level, ids], index) => html`${index > 0 && '; '}${linked(ids)} <span class="level">${level}</span>`,
  );
  const outcomes = [...new Set(group.results.map(({ outcome }) => outcome))].map(outcomeMark);
  return html`
    <li data-ids="${[...own].join(' ')}">
      ${levels} ${outcomes}${' '}
      ${prose(cutMiddle(firstFinding(first), SHORT))}${times}
      ${before.length > 0 && html` <span class="dim">follows from ${linked(before)}</span>`}
    </li>`;
}

/** More failures than these are all closed: the overview names each. */
const OPEN_AT_FIRST = 60;

function prerequisitesBox(report: Report): Markup {
  const lines = prerequisites(report).map((line) => html`<li>${prose(line)}</li>`);
  return html`
    <details class="table prerequisites">
      <summary>Prerequisites to repeat</summary>
      <ul>${lines}</ul>
    </details>`;
}

function failuresSection(report: Report, groups: FailureGroup[], taken: Map<string, Content>): Markup | undefined {
  if (groups.length === 0) {
    return undefined;
  }
  const all = groups.flatMap(({ results }) => results);
  const hasMust = all.some(({ level }) => level === 'MUST');
  const order = hasMust ? ORDER : 'No MUST is broken; these are recommendations and do not change the verdict.';
  const baseline =
    report.baseline !== undefined && html`<p class="lead">${describeBaseline(report.baseline).join('; ')}</p>`;
  const overview =
    groups.length > 1 && html`<ol class="glance">${groups.map((group) => glanceLine(report, group, groups))}</ol>`;
  const isOpen = all.length <= OPEN_AT_FIRST;
  const details = groups.map(({ cause, results }) => {
    const rows = results.map((result) => resultRow(result, { ...taken.get(result.id), isOpen }, levelOf(result)));
    if (results.length === 1) {
      return html`<div class="group">${rows}</div>`;
    }
    const title = prose(`${plural(results.length, 'requirement')} for one reason: ${cutMiddle(cause, CAUSE)}`);
    return html`<div class="group shared"><p class="cause">${title}</p>${rows}</div>`;
  });
  return html`
    <section id="failures" class="results loud">
      <h2>What to fix (${all.length})</h2>
      <p class="lead">
        ${plural(all.length, 'requirement')}, ${plural(groups.length, 'cause')}. ${order}
      </p>
      ${baseline}
      ${overview}
      ${prerequisitesBox(report)}
      ${details}
    </section>`;
}

/** Characters of what the requirements of a group share. */
const CAUSE = 300;

function harnessSection(report: Report, taken: Map<string, Content>): Markup | undefined {
  const { results, planned, faults } = report;
  const errors = results.filter(({ outcome }) => outcome === 'harness error');
  const executed = new Set(results.map(({ id }) => id));
  const missing = planned.filter((id) => !executed.has(id));
  if (errors.length + missing.length + faults.length === 0) {
    return undefined;
  }
  const rows = errors.map((result, index) =>
    resultRow(result, { ...taken.get(result.id), isOpen: index < 5 }, levelOf(result)),
  );
  return html`
    <section id="harness" class="results loud">
      <h2>What went wrong in the harness</h2>
      <p class="lead">
        Nothing of this says anything about the implementation. Fix the harness or its environment
        (<code>conformance doctor</code> names what is missing) and run again.
      </p>
      ${faults.length > 0 && html`<ul class="faults">${faults.map((fault) => html`<li><pre>${fault}</pre></li>`)}</ul>`}
      ${missing.length > 0 && html`<p>Planned and not executed: ${missing.join(', ')}</p>`}
      <div class="suite">${rows}</div>
    </section>`;
}

function incompatibilitiesSection({ incompatibilities = [] }: Report): Markup | undefined {
  if (incompatibilities.length === 0) {
    return undefined;
  }
  const pairs = incompatibilities.map(({ between: [one, other], why, remedy, requirements }) => {
    const links = requirements.map((id, index) => html`${index > 0 && ', '}<a href="#${id}">${id}</a>`);
    return html`
      <p><strong>${one}</strong> and <strong>${other}</strong>: ${why}</p>
      <p>How to fix it: ${remedy}</p>
      <p class="dim">Not applicable for this reason: ${links}</p>`;
  });
  return html`<section id="incompatibilities"><h2>Parts that cannot work together</h2>${pairs}</section>`;
}

const REST: Outcome[] = ['not applicable', 'disabled', 'passed'];

function restSection(report: Report, taken: Map<string, Content>): Markup | undefined {
  const rest = report.results.filter((result) => !countsAgainst(result) && result.outcome !== 'harness error');
  if (rest.length === 0) {
    return undefined;
  }
  const suites = [...new Set(rest.map(({ suite }) => suite))];
  const parts = suites.map((suite) => {
    const members = rest
      .filter((result) => result.suite === suite)
      .toSorted((one, other) => REST.indexOf(one.outcome) - REST.indexOf(other.outcome));
    const rows = members.map((result) => resultRow(result, taken.get(result.id) ?? {}, levelOf(result)));
    return html`<div class="suite"><h3>${suite} <span class="dim">${members.length}</span></h3>${rows}</div>`;
  });
  return html`<section id="results" class="results quiet"><h2>All other results</h2>${parts}</section>`;
}

/** An item of the environment that is longer is cut, bytes. */
const ENVIRONMENT_BYTES = 40_000;

function requestsOf({ component, counts, countedBy, notCounted }: Report['requests'][number]): Markup {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const without = notCounted === undefined ? '' : `; without ${notCounted}`;
  const rows = Object.entries(counts)
    .toSorted(([, one], [, other]) => other - one)
    .map(([endpoint, requests]) => ({ endpoint, requests }));
  return html`
    <details class="table">
      <summary>${component}: ${total.toLocaleString('en')} <span class="dim">(${countedBy}${without})</span></summary>
      ${renderData(rows, `requests to ${component}`)}
    </details>`;
}

function environmentSection({ environment, requests }: Report): Markup {
  const shown = renderData(environment, 'environment');
  const excerpt = shortened(JSON.stringify(environment, null, 1), ENVIRONMENT_BYTES / 2);
  const content =
    bytesOf(shown) <= ENVIRONMENT_BYTES
      ? shown
      : html`<pre>${excerpt}</pre><p class="more">cut here; all of it is in report.json</p>`;
  return html`
    <section id="environment">
      <h2>Environment</h2>
      <details class="table"><summary>What its parts say of themselves</summary>${content}</details>
      ${requests.length > 0 && html`<h3>Requests that were counted</h3>${requests.map(requestsOf)}`}
    </section>`;
}

const COLOURS = { pass: '%2317693a', fail: '%23b3261e', harness: '%236f3cc3' };

/** A dot in the colour of the verdict, for the tab of a browser. */
function icon(style: keyof typeof COLOURS): Markup {
  const dot = `%3Ccircle cx='8' cy='8' r='7' fill='${COLOURS[style]}'/%3E`;
  return new Markup(`%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E${dot}%3C/svg%3E`);
}

function styleOf(report: Report): keyof typeof COLOURS {
  const { conformant, harnessError } = verdictOf(report);
  return conformant ? 'pass' : harnessError ? 'harness' : 'fail';
}

function glossarySection(): Markup {
  const terms = GLOSSARY.map(([term, meaning]) => html`<div><dt>${term}</dt><dd>${prose(meaning)}</dd></div>`);
  return html`
    <section id="glossary">
      <h2>Glossary</h2>
      <details class="table"><summary>Words and ids of this report</summary><dl class="data">${terms}</dl></details>
    </section>`;
}

type Section = [id: string, title: string, content: Markup | undefined];

/** The sections of the page, in their order; what each result says is what the others leave room for. */
function sectionsOf(report: Report, budget: number): Section[] {
  const pictures: Section[] = [
    ['incompatibilities', 'Incompatible parts', incompatibilitiesSection(report)],
    ['audiences', 'Audiences', audiencesSection(report)],
    ['permissions', 'Permissions', permissionsSection(report)],
  ];
  // Pictures of time explain a run to its owner, not a failure to somebody who reads of it first.
  const times: Section[] = [
    ['tokens', 'Tokens', tokensSection(report)],
    ['schedule', 'Schedule', scheduleSection(report)],
    ['glossary', 'Glossary', glossarySection()],
  ];
  const environment: Section = ['environment', 'Environment', environmentSection(report)];
  const size = [...pictures, ...times, environment].reduce(
    (sum, [, , markup]) => sum + (markup ? bytesOf(markup) : 0),
    0,
  );
  const groups = failuresOf(report);
  const taken = contents(report, groups, budget - size);
  const count = groups.reduce((sum, { results }) => sum + results.length, 0);
  const failures: Section = ['failures', `What to fix (${count})`, failuresSection(report, groups, taken)];
  const harness: Section = ['harness', 'Harness', harnessSection(report, taken)];
  const all: Section[] = [
    // Without a verdict the harness is what has to be fixed first.
    ...(verdictOf(report).harnessError ? [harness, failures] : [failures, harness]),
    ...pictures,
    ['results', 'All other results', restSection(report, taken)],
    environment,
    ...times,
  ];
  return all.filter(([, , markup]) => markup !== undefined);
}

/**
 * The report as one HTML file: it loads nothing, and all that it says is there without its script. What does not fit
 * into two megabytes is left out where it weighs least, and the page says so.
 */
export const htmlRenderer: Renderer = {
  format: 'html',
  file: 'report.html',
  render(given) {
    // A report of an older version may have written the same evidence several times.
    const report = { ...given, results: shareEvidence(given.results) };
    const { tool, target } = report;
    const header = verdictHeader(report);
    const sections = sectionsOf(report, BUDGET - STYLE.length - SCRIPT.length - bytesOf(header));
    const links = sections.map(([id, title]): [string, string] => [id, title]);
    const page = html`
      <!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8">
          <meta http-equiv="Content-Security-Policy" content="${POLICY}">
          <meta name="viewport" content="width=device-width, initial-scale=1">
          <meta name="generator" content="${tool.name} ${tool.version}">
          <title>${headlineOf(report).title}: ${target.name}</title>
          <link rel="icon" href="data:image/svg+xml,${icon(styleOf(report))}">
          <style>${new Markup(STYLE)}</style>
        </head>
        <body>
          <a class="skip" href="#main">Skip to the results</a>
          ${header}
          ${toolbar(report, links)}
          <main class="wrap" id="main">
            <p id="nothing" hidden>Nothing fits this filter.</p>
            ${sections.map(([, , markup]) => markup)}
            <footer>
              Made from <code>report.json</code> by ${tool.name} ${tool.version};${' '}
              <code>conformance show --format html</code> makes it again. The signature of every token is cut off.
            </footer>
          </main>
          ${HELP}
          <script>${new Markup(SCRIPT)}</script>
        </body>
      </html>`;
    return `${page.text}\n`;
  },
};
