import type { Report, ReportResult } from '../../report.ts';
import { type CriticalPath, criticalPath, lanesOf } from '../../schedule.ts';
import { Axis } from './lanes.ts';
import { clockTime, durationOf, html, type Markup, plural, table } from './markup.ts';
import { SIGNS } from './results.ts';

/** Requirements that are drawn: the longest. */
const DRAWN = 400;
/** Rows of the table: a run of one role has fewer. */
const LISTED = 240;

function bar({ id, outcome, startedAt, durationMs }: ReportResult, axis: Axis, isCritical: boolean): Markup {
  const from = Date.parse(startedAt);
  const title = `${id} ${outcome}, ${durationOf(durationMs)} from ${clockTime(from)}`;
  const place = `left:${axis.at(from)}%;width:${axis.width(from, from + durationMs)}%`;
  return html`
    <a class="bar ${SIGNS[outcome].style}${isCritical && ' critical'}" href="#${id}" tabindex="-1"
      title="${title}" style="${place}">${id}</a>`;
}

const byBegin = (one: ReportResult, other: ReportResult): number => (one.startedAt < other.startedAt ? -1 : 1);

function row({ id, outcome, startedAt, durationMs }: ReportResult): Markup {
  return html`
    <tr>
      <th scope="row"><a href="#${id}">${id}</a></th>
      <td>${outcome}</td>
      <td class="num">${clockTime(startedAt).slice(0, 8)}</td>
      <td class="num">${durationOf(durationMs)}</td>
    </tr>`;
}

function pathOf({ setUpMs, cleanUpMs, steps }: CriticalPath): Markup {
  const parts = steps.map(({ id, durationMs, startedAt }) => {
    const when = `${durationOf(durationMs)} from ${clockTime(startedAt).slice(0, 8)}`;
    return html`<li><a href="#${id}">${id}</a> <span class="dim">${when}</span></li>`;
  });
  return html`
    <h3>Critical path</h3>
    <ol class="path">
      <li>set-up <span class="dim">${durationOf(setUpMs)}</span></li>
      ${parts}
      <li>evidence and clean-up <span class="dim">${durationOf(cleanUpMs)}</span></li>
    </ol>`;
}

/** When each requirement was evaluated, and the chain of them that the run could not have been shorter than. */
export function scheduleSection(report: Report): Markup | undefined {
  const { results } = report;
  if (results.length === 0) {
    return undefined;
  }
  const axis = new Axis(Date.parse(report.startedAt), Date.parse(report.finishedAt));
  const path = criticalPath(report);
  const critical = new Set(path.steps.map(({ id }) => id));
  const longest = new Set(results.toSorted((a, b) => b.durationMs - a.durationMs).slice(0, DRAWN));
  const drawn = results.filter((result) => longest.has(result) || critical.has(result.id));
  const suites = [...Map.groupBy(drawn, ({ suite }) => suite)].map(([suite, members]) => {
    const lanes = lanesOf(members).map(
      (lane) => html`<div class="track">${lane.map((result) => bar(result, axis, critical.has(result.id)))}</div>`,
    );
    return html`<div class="lane tall"><span class="name">${suite}</span><div class="stack">${lanes}</div></div>`;
  });
  const most =
    drawn.length < results.length && ` Of ${results.length} requirements the ${drawn.length} longest are drawn.`;
  return html`
    <section id="schedule">
      <h2>Schedule</h2>
      <p class="lead">
        The run took ${durationOf(axis.to - axis.from)}: ${durationOf(path.setUpMs)} until the first requirement began,
        ${' '}${durationOf(path.cleanUpMs)} after the last one ended. Set-up, the longest requirement and clean-up alone are
        ${' '}${durationOf(path.shortestMs)}.${most}
      </p>
      ${pathOf(path)}
      <div class="lanes schedule" aria-hidden="true">${axis.ticks()}${suites}</div>
      <details class="table">
        <summary>The same as a table (${plural(Math.min(drawn.length, LISTED), 'requirement')})</summary>
        ${table('schedule', ['requirement', 'outcome', 'began', 'took'], drawn.toSorted(byBegin).slice(0, LISTED).map(row))}
      </details>
    </section>`;
}
