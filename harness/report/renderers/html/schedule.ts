import type { Report, ReportResult } from '../../report.ts';
import { criticalPath, lanesOf } from '../../schedule.ts';
import { Axis } from './lanes.ts';
import { clockTime, durationOf, html, type Markup } from './markup.ts';
import { SIGNS } from './results.ts';

/** Requirements that are drawn: the longest. */
const DRAWN = 400;

/** When each requirement was evaluated, and the chain of them that the run could not have been shorter than. */
export function scheduleSection(report: Report): Markup | undefined {
  const { results } = report;
  if (results.length === 0) return undefined;
  const axis = new Axis(Date.parse(report.startedAt), Date.parse(report.finishedAt));
  const path = criticalPath(report);
  const critical = new Set(path.steps.map(({ id }) => id));
  const longest = results.toSorted((a, b) => b.durationMs - a.durationMs).slice(0, DRAWN);
  const drawn = results.filter((result) => longest.includes(result) || critical.has(result.id));
  const suites = Map.groupBy(drawn, ({ suite }) => suite);
  const bar = (result: ReportResult): Markup => {
    const from = Date.parse(result.startedAt);
    const { id, outcome, durationMs } = result;
    return html`<a class="bar ${SIGNS[outcome].style}${critical.has(id) && ' critical'}" href="#${id}" tabindex="-1" title="${id} ${outcome}, ${durationOf(
      durationMs,
    )} from ${clockTime(from)}" style="left:${axis.at(from)}%;width:${axis.width(from, from + durationMs)}%">${critical.has(id) && id}</a>`;
  };
  return html`<section id="schedule"><h2>Schedule</h2><p class="lead">The run took ${durationOf(
    axis.to - axis.from,
  )}: ${durationOf(path.setUpMs)} until the first requirement began, ${durationOf(path.cleanUpMs)} after the last one ended.${
    drawn.length < results.length && ` Of ${results.length} requirements the ${drawn.length} longest are drawn.`
  }</p><h3>Critical path</h3><ol class="path"><li><span>set-up</span> <span class="dim">${durationOf(path.setUpMs)}</span></li>${path.steps.map(
    ({ id, durationMs, startedAt }) =>
      html`<li><a href="#${id}">${id}</a> <span class="dim">${durationOf(durationMs)} from ${clockTime(startedAt).slice(0, 8)}</span></li>`,
  )}<li><span>evidence and clean-up</span> <span class="dim">${durationOf(path.cleanUpMs)}</span></li></ol><div class="lanes schedule" aria-hidden="true">${axis.ticks()}${[
    ...suites,
  ].map(
    ([suite, members]) =>
      html`<div class="lane tall"><span class="name">${suite}</span><div class="stack">${lanesOf(members).map(
        (lane) => html`<div class="track">${lane.map(bar)}</div>`,
      )}</div></div>`,
  )}</div></section>`;
}
