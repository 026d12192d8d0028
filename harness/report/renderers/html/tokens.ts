import type { TimelineEvent } from '../../../probes/timeline.ts';
import type { Report } from '../../report.ts';
import { Axis } from './lanes.ts';
import { clockTime, html, type Markup, plural } from './markup.ts';

/** Tokens that are drawn for one file or provider, in all, and marks on each. */
const TOKENS = 24;
const LANES = 160;
const MARKS = 24;
const EVENTS = 400;

const MARK: Record<TimelineEvent['event'], string> = {
  minted: 'minted',
  mounted: 'mounted',
  replaced: 'replaced',
  presented: 'presented',
  exchanged: 'exchanged',
  issued: 'issued',
  used: 'used',
  refused: 'refused',
  expired: 'expired',
};

interface TokenLane {
  token: string;
  kind: TimelineEvent['kind'];
  events: TimelineEvent[];
  from: number;
  to: number;
}

const instant = ({ at }: TimelineEvent): number => Date.parse(at);

/** A bar ends where the token ends: at its refusal or expiry, or where it was last seen. */
function laneOf(token: string, events: TimelineEvent[]): TokenLane {
  const times = events.map(instant);
  return { token, kind: events[0]?.kind ?? 'subject token', events, from: Math.min(...times), to: Math.max(...times) };
}

/** Where a token belongs: the file that it was in, or the provider that issued it. */
function homeOf({ events }: TokenLane): string {
  const home = events.find(({ event }) => event === 'minted' || event === 'mounted' || event === 'issued') ?? events[0];
  return home?.where ?? '';
}

function describe({ token, kind, events }: TokenLane): string {
  const said = events.slice(0, 12).map(({ at, event, where, detail }) => {
    const more = detail === undefined ? '' : ` (${detail})`;
    return `${event} ${clockTime(at)} ${where}${more}`;
  });
  return `${kind} ${token}: ${said.join('; ')}${events.length > said.length ? `; ${events.length - said.length} more` : ''}`;
}

function drawn(lane: TokenLane, axis: Axis): Markup {
  const refused = lane.events.some(({ event }) => event === 'refused');
  const marks =
    lane.events.length <= MARKS ? lane.events : [...lane.events.slice(0, MARKS - 8), ...lane.events.slice(-8)];
  return html`<div class="lane"><span class="name"><code>${lane.token}</code></span><div class="track" role="img" aria-label="${describe(
    lane,
  )}"><b class="${lane.kind === 'access token' ? 'access' : 'subject'}${refused && ' refused'}" style="left:${axis.at(lane.from)}%;width:${axis.width(
    lane.from,
    lane.to,
  )}%"></b>${marks.map(
    (event) =>
      html`<i class="m ${MARK[event.event]}" style="left:${axis.at(instant(event))}%" title="${event.event} ${clockTime(event.at)} ${
        event.where
      }${event.detail === undefined ? '' : ` (${event.detail})`}"></i>`,
  )}</div></div>`;
}

const LEGEND: [TimelineEvent['event'], string][] = [
  ['minted', 'minted (iat)'],
  ['mounted', 'in its file'],
  ['replaced', 'replaced in its file'],
  ['presented', 'presented'],
  ['exchanged', 'exchanged'],
  ['issued', 'issued'],
  ['used', 'accepted by the resource server'],
  ['refused', 'refused'],
  ['expired', 'expired (exp)'],
];

/** The life of every token that was seen: a bar from mint to refusal. Undefined where none was. */
export function tokensSection({ timeline }: Report): Markup | undefined {
  if (timeline.length === 0) return undefined;
  const byToken = Map.groupBy(timeline, ({ token }) => token);
  const lanes = [...byToken].map(([token, events]) => laneOf(token, events)).toSorted((a, b) => a.from - b.from);
  const homes = Map.groupBy(lanes, homeOf);
  // A token's mint may be long before the run; the picture begins where the run first met one.
  const seen = timeline.filter(({ event }) => event !== 'minted' && event !== 'expired').map(instant);
  const first = Math.min(...(seen.length === 0 ? timeline.map(instant) : seen));
  const last = Math.max(...timeline.map(instant));
  const axis = new Axis(Math.max(Math.min(...timeline.map(instant)), first - (last - first) / 4), last);
  const perHome = Math.max(1, Math.min(TOKENS, Math.floor(LANES / homes.size)));
  const used = new Set(timeline.map(({ event }) => event));
  const refusals = timeline.filter(({ event }) => event === 'refused').length;
  return html`<section id="tokens"><h2>Token lifetimes</h2><p class="lead">${plural(lanes.length, 'token')} seen in files, at token endpoints and at
resource servers; ${plural(refusals, 'refusal')}. Each bar runs from the first sight of a token to its end; a token that is still presented after its
expiry has marks to the right of the expiry mark.</p><ul class="legend">${LEGEND.filter(([event]) =>
    used.has(event),
  ).map(
    ([event, text]) => html`<li><i class="m ${event}" aria-hidden="true"></i> ${text}</li>`,
  )}</ul><div class="lanes">${axis.ticks()}${[...homes]
    .slice(0, LANES)
    .map(
      ([home, tokens]) =>
        html`<h3 class="home"><code>${home}</code> <span class="dim">${plural(tokens.length, tokens[0]?.kind ?? 'token')}</span></h3>${tokens
          .slice(0, perHome)
          .map((lane) => drawn(lane, axis))}${
          tokens.length > perHome && html`<p class="more">and ${tokens.length - perHome} more in report.json</p>`
        }`,
    )}</div><details class="table"><summary>The same as a table (${plural(timeline.length, 'event')})</summary><div class="scroll" role="group" aria-label="token events" tabindex="0"><table><thead><tr>${[
    'time',
    'token',
    'kind',
    'event',
    'where',
    'detail',
  ].map((head) => html`<th scope="col">${head}</th>`)}</tr></thead><tbody>${timeline
    .slice(0, EVENTS)
    .map(
      ({ at, token, kind, event, where, detail }) =>
        html`<tr><td>${clockTime(at)}</td><td><code>${token}</code></td><td>${kind}</td><td>${event}</td><td>${where}</td><td>${detail}</td></tr>`,
    )}</tbody></table></div>${
    timeline.length > EVENTS && html`<p class="more">and ${timeline.length - EVENTS} more in report.json</p>`
  }</details></section>`;
}
