import type { TimelineEvent } from '../../../probes/timeline.ts';
import type { Report } from '../../report.ts';
import { Axis } from './lanes.ts';
import { clockTime, html, type Markup, plural, table } from './markup.ts';

/** Tokens that are drawn for one file or provider, in all, and marks on each. */
const TOKENS = 24;
const LANES = 160;
const MARKS = 24;
/** So many tokens show no life of a client. */
const FEW = 3;
const EVENTS = 400;

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
  const more = events.length > said.length ? [`${events.length - said.length} more`] : [];
  return `${kind} ${token}: ${[...said, ...more].join('; ')}`;
}

function mark(event: TimelineEvent, axis: Axis): Markup {
  const detail = event.detail === undefined ? '' : ` (${event.detail})`;
  const title = `${event.event} ${clockTime(event.at)} ${event.where}${detail}`;
  return html`<i class="m ${event.event}" style="left:${axis.at(instant(event))}%" title="${title}"></i>`;
}

function drawn(lane: TokenLane, axis: Axis): Markup {
  const { token, kind, events, from, to } = lane;
  const marks = marksOf(events);
  const place = `left:${axis.at(from)}%;width:${axis.width(from, to)}%`;
  return html`
    <div class="lane">
      <span class="name"><code>${token}</code></span>
      <div class="track" role="img" aria-label="${describe(lane)}">
        <b class="${kind === 'access token' ? 'access' : 'subject'}" style="${place}"></b>
        ${marks.map((event) => mark(event, axis))}
      </div>
    </div>`;
}

/** What bounds a token's life is always drawn; of its uses, the first and the last. */
const BOUNDS: readonly TimelineEvent['event'][] = ['minted', 'mounted', 'replaced', 'expired'];

function marksOf(events: TimelineEvent[]): TimelineEvent[] {
  if (events.length <= MARKS) {
    return events;
  }
  const bounds = events.filter(({ event }) => BOUNDS.includes(event)).slice(0, MARKS);
  const uses = events.filter(({ event }) => !BOUNDS.includes(event));
  const last = Math.floor(MARKS / 3);
  return [...bounds, ...uses.slice(0, MARKS - last), ...uses.slice(Math.max(MARKS - last, uses.length - last))];
}

function homeOfTokens(home: string, tokens: TokenLane[], axis: Axis, most: number): Markup {
  const more = tokens.length - most;
  return html`
    <h3 class="home">
      <code>${home}</code>${' '}<span class="dim">${plural(tokens.length, tokens[0]?.kind ?? 'token')}</span>
    </h3>
    ${tokens.slice(0, most).map((lane) => drawn(lane, axis))}
    ${more > 0 && html`<p class="more">and ${more} more in report.json</p>`}`;
}

function eventsTable(timeline: TimelineEvent[]): Markup {
  const rows = timeline.slice(0, EVENTS).map(
    ({ at, token, kind, event, where, detail }) => html`
      <tr>
        <td>${clockTime(at)}</td>
        <td><code>${token}</code></td>
        <td>${kind}</td>
        <td>${event}</td>
        <td>${where}</td>
        <td>${detail}</td>
      </tr>`,
  );
  const more = timeline.length - EVENTS;
  return html`
    <details class="table">
      <summary>The same as a table (${plural(timeline.length, 'event')})</summary>
      ${table('token events', ['time', 'token', 'kind', 'event', 'where', 'detail'], rows)}
      ${more > 0 && html`<p class="more">and ${more} more in report.json</p>`}
    </details>`;
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
  if (timeline.length === 0) {
    return undefined;
  }
  const byToken = Map.groupBy(timeline, ({ token }) => token);
  const lanes = [...byToken].map(([token, events]) => laneOf(token, events)).toSorted((a, b) => a.from - b.from);
  const homes = Map.groupBy(lanes, homeOf);
  const [main, further] = mainAndFurther([...homes]);
  const axis = axisOf(timeline);
  const used = new Set(timeline.map(({ event }) => event));
  const refusals = timeline.filter(({ event }) => event === 'refused').length;
  const legend = LEGEND.filter(([event]) => used.has(event)).map(
    ([event, text]) => html`<li><i class="m ${event}" aria-hidden="true"></i> ${text}</li>`,
  );
  return html`
    <section id="tokens">
      <h2>Token lifetimes</h2>
      <p class="lead">
        ${plural(lanes.length, 'token')} seen in files, at token endpoints and at resource servers;
        ${' '}${plural(refusals, 'refusal')}. Each bar runs from the first sight of a token to its end; a token that is
        still presented after its expiry has marks to the right of the expiry mark.
      </p>
      <ul class="legend">${legend}</ul>
      <div class="lanes">
        ${axis.ticks()}
        ${main.map(([home, tokens]) => homeOfTokens(home, tokens, axis, mostIn(main)))}
        ${
          further.length > 0 &&
          html`
          <details class="further">
            <summary>${plural(further.length, 'provider')} with few tokens, such as those that one requirement asks for</summary>
            ${further.slice(0, LANES).map(([home, tokens]) => homeOfTokens(home, tokens, axis, FEW))}
          </details>`
        }
      </div>
      ${eventsTable(timeline)}
    </section>`;
}

type Home = [home: string, tokens: TokenLane[]];

/**
 * The files and providers that tokens come and go in; and the others, where a client was shown one thing and a token or
 * two tell all. Where there are only such, they are what there is to see.
 */
function mainAndFurther(homes: Home[]): [main: Home[], further: Home[]] {
  const isMain = ([, tokens]: Home): boolean =>
    tokens.length > FEW || tokens.some(({ kind }) => kind === 'subject token');
  const main = homes.filter(isMain);
  return main.length === 0
    ? [homes.slice(0, LANES), []]
    : [main.slice(0, LANES), homes.filter((home) => !isMain(home))];
}

const mostIn = (homes: Home[]): number => Math.max(1, Math.min(TOKENS, Math.floor(LANES / homes.length)));

/** A token's mint may be long before the run: the picture begins not far before the run first met one. */
function axisOf(timeline: TimelineEvent[]): Axis {
  const times = timeline.map(instant).sort((one, other) => one - other);
  const met = timeline.filter(({ event }) => event !== 'minted' && event !== 'expired').map(instant);
  const [earliest = 0] = times;
  const last = times.at(-1) ?? earliest;
  const [first = earliest] = met.sort((one, other) => one - other);
  return new Axis(Math.max(earliest, first - (last - first) / 4), last);
}
