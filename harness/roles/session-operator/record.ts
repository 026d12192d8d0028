/** What was seen of a session operator, as plain data, and questions to it. Nothing here evaluates. */
import type { Stall } from '../../../fixtures/workloads/lib/heartbeat.ts';
import type { EdgeRequest } from '../../fakes/dns-and-tunnel/server.ts';
import type { DnsRecord, EdgeChange, EdgeIds, TunnelConfiguration } from '../../fakes/dns-and-tunnel/zone.ts';
import type { Arrival, IngressRoute } from '../../fakes/edge-traffic/edge-traffic.ts';
import type { ApiRecord } from '../../kubernetes/api-record.ts';
import type { Target } from '../../targets/load.ts';
import type { OperatorExit } from './driver.ts';

export type Documented = Target<'session-operator'>['documented'];

/** A session that the harness made: its pod, and its claim where the target has those. */
export interface Session {
  /** Names it in findings. */
  label: string;
  hash: string;
  /** Its documented host. */
  host: string;
  /** What is documented of it, filled in. */
  documented: Documented;
  /** When its pod was there, as the harness saw it. */
  begunAt: number;
  /** When its pod was gone. */
  podGoneAt?: number;
  claimGoneAt?: number;
}

/** A pod that is no session, for a reason. */
export interface Bystander {
  why: string;
  hash: string;
}

export interface ReplicaRecord {
  replica: string;
  startedAt: number;
  /** First healthy answer. */
  healthyAt?: number;
  /** When it was sent SIGTERM or SIGKILL. */
  signalledAt?: number;
  exit?: OperatorExit;
}

export interface RouteEvent {
  at: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  route: IngressRoute;
}

/** A moment that a scenario names. */
export interface Mark {
  name: string;
  at: number;
}

export interface OperatorRecord {
  namespace: string;
  startedAt: number;
  endedAt: number;
  replicas: ReplicaRecord[];
  sessions: Session[];
  bystanders: Bystander[];
  marks: Mark[];
  lines: { at: number; replica: string; text: string }[];
  ids: EdgeIds;
  /** What others had put at the edge before the start. */
  foreign: { records: DnsRecord[]; tunnel: TunnelConfiguration };
  /** What others changed later, and when. */
  reconfigured: { at: number; tunnel: TunnelConfiguration }[];
  changes: EdgeChange[];
  edgeRequests: EdgeRequest[];
  /** What is at the edge at the end. */
  records: DnsRecord[];
  tunnel: TunnelConfiguration;
  routes: RouteEvent[];
  /** What it asked of the API server. */
  apiRequests: ApiRecord[];
  /** Requests that were made through the edge. */
  arrivals: { label: string; session: string; path: string; signedIn: boolean; arrival: Arrival }[];
  stalls: Stall[];
}

/** A record in which nothing was seen yet. */
export function emptyRecord(namespace: string, ids: EdgeIds, startedAt: number): OperatorRecord {
  return {
    namespace,
    startedAt,
    endedAt: 0,
    replicas: [],
    sessions: [],
    bystanders: [],
    marks: [],
    lines: [],
    ids,
    foreign: { records: [], tunnel: { ingress: [] } },
    reconfigured: [],
    changes: [],
    edgeRequests: [],
    records: [],
    tunnel: { ingress: [] },
    routes: [],
    apiRequests: [],
    arrivals: [],
    stalls: [],
  };
}

/** Something of a session at the edge or in the cluster, from when to when it was there. */
export interface Thing {
  kind: 'record' | 'rule' | 'route';
  /** Its name: host, or name of the route. */
  name: string;
  from: number;
  to?: number;
}

/** Everything of a session that was ever there: whatever has its hash in it. */
export function thingsOf(record: OperatorRecord, hash: string): Thing[] {
  return [...recordThings(record, hash), ...ruleThings(record, hash), ...routeThings(record, hash)];
}

function recordThings({ changes, foreign }: OperatorRecord, hash: string): Thing[] {
  const theirs = new Set(foreign.records.map(({ id }) => id));
  const open = new Map<string, Thing>();
  for (const change of changes) {
    if (change.kind === 'tunnel' || theirs.has(change.record.id)) {
      continue;
    }
    const { id, name } = change.record;
    if (change.kind === 'record removed') {
      const thing = open.get(id);
      if (thing !== undefined) {
        thing.to = change.at;
      }
    } else if (!open.has(id) && name.includes(hash)) {
      open.set(id, { kind: 'record', name, from: change.at });
    }
  }
  return [...open.values()];
}

function ruleThings({ changes }: OperatorRecord, hash: string): Thing[] {
  const all: Thing[] = [];
  const open = new Map<string, Thing>();
  for (const change of changes) {
    if (change.kind !== 'tunnel') {
      continue;
    }
    const hosts = change.configuration.ingress.flatMap(({ hostname = '' }) =>
      hostname.includes(hash) ? hostname : [],
    );
    // Of two rules for one host each is a thing of its own.
    const keys = hosts.map(
      (host, index) => `${host} ${hosts.slice(0, index).filter((other) => other === host).length}`,
    );
    for (const [key, thing] of open) {
      if (!keys.includes(key)) {
        thing.to = change.at;
        open.delete(key);
      }
    }
    for (const key of keys) {
      if (!open.has(key)) {
        const thing: Thing = { kind: 'rule', name: key.replace(/ \d+$/, ''), from: change.at };
        open.set(key, thing);
        all.push(thing);
      }
    }
  }
  return all;
}

function routeThings({ routes }: OperatorRecord, hash: string): Thing[] {
  const all: Thing[] = [];
  const open = new Map<string, Thing>();
  for (const { at, type, route } of routes) {
    const { name } = route.metadata;
    const known = open.get(name);
    if (type === 'DELETED') {
      if (known !== undefined) {
        known.to = at;
        open.delete(name);
      }
    } else if (known === undefined && JSON.stringify([name, route.spec]).includes(hash)) {
      const thing: Thing = { kind: 'route', name, from: at };
      open.set(name, thing);
      all.push(thing);
    }
  }
  return all;
}

/** The things of a session that are there at a time. */
export function thereAt(things: Thing[], at: number): Thing[] {
  return things.filter(({ from, to }) => from <= at && (to === undefined || to > at));
}

/** When all of a session was there for the first time: a record, a rule and as many routes as are documented. */
export function completeAt(things: Thing[], routes: number): number | undefined {
  const moments = things.map(({ from }) => from).toSorted((one, other) => one - other);
  return moments.find((at) => isComplete(thereAt(things, at), routes));
}

/** True where a record, a rule and so many routes are there. */
export function isComplete(things: Thing[], routes: number): boolean {
  const count = (kind: Thing['kind']): number => things.filter((thing) => thing.kind === kind).length;
  return count('record') >= 1 && count('rule') >= 1 && count('route') >= routes;
}

/** When something was named; the end of the record where it never was. */
export function markAt({ marks, endedAt }: OperatorRecord, name: string): number {
  return marks.find((mark) => mark.name === name)?.at ?? endedAt;
}

export function sessionOf({ sessions }: OperatorRecord, label: string): Session | undefined {
  return sessions.find((session) => session.label === label);
}

/** The sessions whose pod is there at the end. */
export function liveSessions({ sessions }: OperatorRecord): Session[] {
  return sessions.filter(({ begunAt, podGoneAt }) => begunAt > 0 && podGoneAt === undefined);
}

/** How long it took from a pod to all of its session, in seconds, of those that were complete. */
export function timesToRoute(record: OperatorRecord): number[] {
  return record.sessions.flatMap(({ hash, begunAt, documented }) => {
    const at = completeAt(thingsOf(record, hash), documented.routes.length);
    return begunAt === 0 || at === undefined ? [] : [Math.max(0, at - begunAt) / 1000];
  });
}

/** What was seen, short enough to be read. */
export function summarise(record: OperatorRecord): unknown {
  const after = (at: number | undefined): string | undefined =>
    at === undefined ? undefined : `${((at - record.startedAt) / 1000).toFixed(2)} s`;
  return {
    namespace: record.namespace,
    replicas: record.replicas.map(({ replica, startedAt, healthyAt, signalledAt, exit }) => ({
      replica,
      started: after(startedAt),
      healthy: after(healthyAt),
      signalled: after(signalledAt),
      exit: exit === undefined ? undefined : { code: exit.code, signal: exit.signal, at: after(exit.at) },
    })),
    sessions: record.sessions.slice(0, SESSIONS_TOLD).map((session) => ({
      label: session.label,
      host: session.host,
      begun: after(session.begunAt),
      podGone: after(session.podGoneAt),
      claimGone: after(session.claimGoneAt),
      things: thingsOf(record, session.hash).map(({ kind, name, from, to }) => ({
        kind,
        name,
        from: after(from),
        to: after(to),
      })),
    })),
    secondsToRoute: spread(timesToRoute(record)),
    edge: {
      requests: record.edgeRequests.length,
      refused: record.edgeRequests.filter(({ status }) => status >= 400).length,
      tunnelWrites: record.edgeRequests.filter(isTunnelWrite).length,
    },
    apiRequests: record.apiRequests.length,
    arrivals: record.arrivals,
    output: record.lines.slice(-LINES_TOLD).map(({ replica, text }) => `${replica}: ${text}`),
    stalls: record.stalls,
  };
}

function spread(seconds: number[]): { sessions: number; median?: number; longest?: number } {
  const sorted = seconds.toSorted((one, other) => one - other);
  const [median, longest] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  return {
    sessions: sorted.length,
    ...(median === undefined ? {} : { median }),
    ...(longest === undefined ? {} : { longest }),
  };
}

const SESSIONS_TOLD = 6;
const LINES_TOLD = 20;

/** True for a request that replaces the tunnel's configuration. */
export function isTunnelWrite({ method, path }: EdgeRequest): boolean {
  return method === 'PUT' && path.includes('/configurations');
}

/** What is there of a session, in words. */
export function describeThings(things: Thing[]): string {
  return things.length === 0 ? 'nothing' : things.map(({ kind, name }) => `${kind} ${name}`).join(', ');
}
