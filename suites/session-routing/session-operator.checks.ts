/**
 * What a session operator has to have done, evaluated from what was recorded. Pure functions; each finding is a
 * sentence.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Finding, missing, missingIf, textOf, unlessStalled } from '../../harness/core/findings.ts';
import { isCatchAll, matchesHost, type TunnelConfiguration } from '../../harness/fakes/dns-and-tunnel/zone.ts';
import { compileRule } from '../../harness/fakes/edge-traffic/match.ts';
import {
  completeAt,
  describeThings,
  isTunnelWrite,
  liveSessions,
  markAt,
  type OperatorRecord,
  type Session,
  sessionOf,
  type Thing,
  thereAt,
  thingsOf,
} from '../../harness/roles/session-operator/record.ts';

/** Where nothing disturbs, all is there, or gone, by then; SR-01a is about speed. */
const EVENTUALLY_MS = 30_000;
export const SOON_MS = 5_000;

/** The sessions that nothing was to disturb. */
function undisturbed({ sessions }: OperatorRecord): Session[] {
  return sessions.filter(({ label, begunAt }) => begunAt > 0 && label !== 'of a taken name');
}

function known({ sessions, bystanders }: OperatorRecord): string[] {
  return [...sessions, ...bystanders].map(({ hash }) => hash);
}

function isOfSession(record: OperatorRecord, name: string): boolean {
  return known(record).some((hash) => name.includes(hash));
}

/**
 * True for the name of a session of this observation, or of any that has the documented form. Whoever watches all
 * namespaces makes rules for the sessions of others, too: that is SR-06's, and nothing that was there before is changed
 * by it.
 */
function isOfAnySession(record: OperatorRecord, name: string): boolean {
  return (
    isOfSession(record, name) ||
    record.sessions.some(({ hash, host }) => {
      const [before = '', after = ''] = host.split(hash);
      const other = name.slice(before.length, before.length + hash.length);
      return name === `${before}${other}${after}` && /^[0-9a-f]+$/.test(other);
    })
  );
}

/** Late by what is beyond the limit: stalls of so much in that time would explain it. */
export function late(text: string, from: number, to: number, limitMs: number): Finding {
  return { text, from, to, excessMs: Math.max(1, to - from - limitMs) };
}

/** SR-01: everything is there, with the documented content. */
export function makesWhatIsDocumented(record: OperatorRecord): Finding[] {
  const sessions = undisturbed(record);
  if (sessions.length === 0) {
    return [missing('no session was begun')];
  }
  return sessions.flatMap((session) => {
    const things = thingsOf(record, session.hash);
    const at = completeAt(things, session.documented.routes.length);
    if (at === undefined) {
      return [incomplete(session, things, record)];
    }
    return [...wrongRecord(record, session), ...wrongRule(record, session), ...wrongRoutes(record, session)];
  });
}

export function incomplete(session: Session, things: Thing[], record: OperatorRecord): Finding {
  const text = `the session ${session.label} (${session.host}) never was complete: it had ${describeThings(things)}`;
  // What takes a second or two on an idle machine was waited for much longer.
  return late(text, session.begunAt, session.podGoneAt ?? record.endedAt, SOON_MS);
}

function wrongRecord({ changes }: OperatorRecord, { label, hash, host, documented }: Session): Finding[] {
  const made = changes.flatMap((change) =>
    change.kind === 'record added' && change.record.name.includes(hash) ? change.record : [],
  );
  return made.flatMap(({ name, type, content, proxied }) => {
    const is = { name, type, content, proxied };
    const expected = { proxied, ...documented.record, name: host };
    return isDeepStrictEqual({ ...is }, { ...is, ...expected })
      ? []
      : [`the record of the session ${label} is ${JSON.stringify(is)}, and not ${JSON.stringify(expected)}`];
  });
}

function wrongRule({ changes }: OperatorRecord, { label, hash, host, documented }: Session): Finding[] {
  const rules = changes.flatMap((change) =>
    change.kind === 'tunnel' ? change.configuration.ingress.filter(({ hostname = '' }) => hostname.includes(hash)) : [],
  );
  const wrong = rules.find(({ hostname, service }) => hostname !== host || service !== documented.tunnelService);
  return wrong === undefined
    ? []
    : [
        `the tunnel rule of the session ${label} is ${JSON.stringify(wrong)}, and not for ${host} to ${documented.tunnelService}`,
      ];
}

function wrongRoutes({ routes }: OperatorRecord, { label, host, documented }: Session): Finding[] {
  return documented.routes.flatMap(({ name, path }) => {
    const made = routes.find(({ type, route }) => type !== 'DELETED' && route.metadata.name === name)?.route;
    if (made === undefined) {
      return [`the session ${label} has no route ${name}`];
    }
    const takes = (made.spec.routes ?? []).some(({ match }) => {
      try {
        return compileRule(match)({ host, path });
      } catch {
        return false;
      }
    });
    const matches = (made.spec.routes ?? []).map(({ match }) => match).join('; ');
    return takes ? [] : [`the route ${name} does not take ${host}${path}: ${matches}`];
  });
}

/** SR-01a: within five seconds. */
export function makesItSoon(record: OperatorRecord): Finding[] {
  return undisturbed(record).flatMap((session) => {
    const things = thingsOf(record, session.hash);
    const at = completeAt(things, session.documented.routes.length) ?? record.endedAt;
    return at - session.begunAt <= SOON_MS
      ? []
      : [
          late(
            `the session ${session.label} was complete ${((at - session.begunAt) / 1000).toFixed(1)} s after its pod was there`,
            session.begunAt,
            at,
            SOON_MS,
          ),
        ];
  });
}

/** SR-02: everything goes with the pod, the record perhaps with the claim. */
export function removesWhatItMade(record: OperatorRecord): Finding[] {
  const ended = undisturbed(record).filter(({ podGoneAt }) => podGoneAt !== undefined);
  if (ended.length === 0) {
    return [missing('no session ended')];
  }
  return ended.flatMap((session) => {
    const { documented, claimGoneAt, podGoneAt = 0 } = session;
    const things = thingsOf(record, session.hash);
    if (things.length === 0) {
      return [missing(`the session ${session.label} had nothing that could go`)];
    }
    const withClaim = documented.recordRemovedWith === 'claim';
    return things.flatMap((thing) => {
      const due = thing.kind === 'record' && withClaim ? (claimGoneAt ?? record.endedAt) : podGoneAt;
      const what = `the ${thing.kind} ${thing.name} of the session ${session.label}`;
      if (thing.kind === 'record' && withClaim && thing.to !== undefined && thing.to < due) {
        // Its claim may have been seen to be gone later than it was.
        return [{ text: `${what} went before its claim did`, from: thing.to, to: due, excessMs: due - thing.to }];
      }
      const to = thing.to ?? record.endedAt;
      if (thing.to !== undefined && to - due <= EVENTUALLY_MS) {
        return [];
      }
      const still = thing.to === undefined ? 'was still there' : 'went';
      const after = ((to - due) / 1000).toFixed(0);
      return [late(`${what} ${still} ${after} s after it should go`, due, to, SOON_MS)];
    });
  });
}

/** The tunnel as others had made it at a time. */
function foreignTunnelAt(record: OperatorRecord, at: number): TunnelConfiguration {
  const { foreign, reconfigured } = record;
  const tunnel = reconfigured.findLast((change) => change.at <= at)?.tunnel ?? foreign.tunnel;
  return { ...tunnel, ingress: tunnel.ingress.filter(({ hostname = '' }) => !isOfAnySession(record, hostname)) };
}

/**
 * SR-03: its rules are before the catch-all, and all else of the document is as it was, in every version that it wrote
 * or tried to write.
 */
export function leavesTheTunnelAsItWas(record: OperatorRecord): Finding[] {
  const writes = record.edgeRequests.filter(isTunnelWrite);
  if (writes.length === 0) {
    return [missing('it never wrote the tunnel’s configuration')];
  }
  const findings = writes.flatMap(({ at, body }) => {
    const written = (body as { config?: TunnelConfiguration } | undefined)?.config;
    // The version that others wrote last may have been written after this one was read.
    const before = [foreignTunnelAt(record, at), foreignTunnelAt(record, at - READ_BEFORE_MS)];
    const problems = before.map((expected) => changesOf(record, expected, written));
    if (problems.some((found) => found.length === 0)) {
      return [];
    }
    const readFrom = olderVersions(record, at).find(({ tunnel }) => changesOf(record, tunnel, written).length === 0);
    return (problems[0] ?? []).map(
      // It was read before others wrote, and written so much later.
      (text): Finding => (readFrom === undefined ? text : late(text, readFrom.until, at, READ_BEFORE_MS)),
    );
  });
  return [...new Map(findings.map((finding) => [textOf(finding), finding])).values()];
}

/** What others had made of the tunnel before what is there at a time, the last one first, and until when. */
function olderVersions(record: OperatorRecord, at: number): { tunnel: TunnelConfiguration; until: number }[] {
  return record.reconfigured
    .filter((change) => change.at <= at)
    .map((change) => ({ tunnel: foreignTunnelAt(record, change.at - 1), until: change.at }))
    .toReversed();
}

/** A document is read at most so long before it is written. */
const READ_BEFORE_MS = 1_000;

function changesOf(
  record: OperatorRecord,
  expected: TunnelConfiguration,
  written: TunnelConfiguration | undefined,
): string[] {
  const { ingress: theirs, ...keys } = expected;
  const { ingress = [], ...writtenKeys } = written ?? { ingress: [] };
  const isMine = ({ hostname = '' }: { hostname?: string }): boolean => isOfAnySession(record, hostname);
  const findings: string[] = [];
  for (const [key, value] of Object.entries(keys)) {
    if (!isDeepStrictEqual(writtenKeys[key], value)) {
      findings.push(`it wrote the tunnel’s configuration without its key ${key} as it was`);
    }
  }
  const others = ingress.filter((rule) => !isMine(rule));
  if (!isDeepStrictEqual(others, theirs)) {
    const lost = theirs.filter((rule) => !others.some((other) => isDeepStrictEqual(other, rule)));
    const what =
      lost.length > 0 ? `without ${JSON.stringify(lost[0])}` : 'with others’ rules in another order, or more of them';
    findings.push(`it wrote the tunnel’s rules ${what}`);
  }
  const catchAll = ingress.findIndex(isCatchAll);
  const behind = ingress.slice(catchAll + 1).find(isMine);
  if (catchAll >= 0 && behind !== undefined) {
    findings.push(`it wrote the rule of ${behind.hostname} behind the catch-all, where no request comes to`);
  }
  return findings;
}

/** SR-03a: ahead of a wildcard that would take its requests. */
export function isNotShadowed(record: OperatorRecord): Finding[] {
  const session = sessionOf(record, 'behind a wildcard');
  const versions = record.changes.flatMap((change) => (change.kind === 'tunnel' ? change.configuration : []));
  const seen = versions.filter(({ ingress }) =>
    ingress.some(({ hostname = '' }) => session !== undefined && hostname.includes(session.hash)),
  );
  if (session === undefined || seen.length === 0) {
    return [missing('the session that came after the wildcard rule never had a rule of its own')];
  }
  const shadowing = seen.flatMap(({ ingress }) => {
    const own = ingress.findIndex(({ hostname = '' }) => hostname.includes(session.hash));
    return ingress.slice(0, own).filter((rule) => rule.path === undefined && matchesHost(rule, session.host));
  });
  const [first] = shadowing;
  return first === undefined
    ? []
    : [`the rule of ${session.host} is behind ${first.hostname}, which takes all of its requests`];
}

/** SR-04: who is not signed in does not come to the session, who is does, and the way leads through the ingress. */
export function guardsTheSession(record: OperatorRecord): Finding[] {
  const { arrivals } = record;
  // A session that never was complete has no way that a request could take.
  const hasNoWay = (label: string): boolean => {
    const session = sessionOf(record, label);
    return (
      session === undefined ||
      completeAt(thingsOf(record, session.hash), session.documented.routes.length) === undefined
    );
  };
  const of = (label: string): typeof arrivals => arrivals.filter((one) => one.label === label);
  const findings: Finding[] = [];
  for (const { path, arrival } of of('without a session')) {
    if (arrival.passed.includes('router')) {
      const way = arrival.passed.join(', ');
      const bypass = arrival.passed.includes('ingress') ? '' : ' past the ingress';
      findings.push(`a request for ${path} of a user who is not signed in came to the session${bypass} (by ${way})`);
    }
  }
  for (const { session, path, arrival } of of('with a session')) {
    if (!arrival.passed.includes('router')) {
      findings.push(
        missingIf(
          hasNoWay(session),
          `a request for ${path} of a user who is signed in did not come to the session: ${arrival.status} ${arrival.why ?? ''}`.trim(),
        ),
      );
    } else if (!arrival.passed.includes('ingress') || !arrival.passed.includes('authentication')) {
      findings.push(`a request for ${path} came to the session without being asked who it is of`);
    }
  }
  for (const { session, path, arrival } of of('sign-in')) {
    if (!arrival.passed.includes('sign-in')) {
      findings.push(
        missingIf(
          hasNoWay(session),
          `a request for ${path} did not come to the sign-in page: ${arrival.status} ${arrival.why ?? ''}`.trim(),
        ),
      );
    }
  }
  if (of('without a session').length === 0 || of('with a session').length === 0) {
    findings.push(missing('no request was made'));
  }
  return findings;
}

const HOSTS = /`([^`]+)`/g;

/** SR-05: one label below the domain, so that its wildcard certificate covers it. */
export function staysAtTheFirstLevel(record: OperatorRecord): Finding[] {
  const { domain } = record.ids;
  const names = [
    ...record.changes.flatMap((change) =>
      change.kind === 'tunnel' ? change.configuration.ingress.map(({ hostname = '' }) => hostname) : change.record.name,
    ),
    ...record.routes.flatMap(({ route }) =>
      (route.spec.routes ?? []).flatMap(({ match }) => [...match.matchAll(HOSTS)].map(([, value = '']) => value)),
    ),
  ].filter((name) => isOfSession(record, name));
  if (names.length === 0) {
    return [missing('no name of a session was seen')];
  }
  const isFirstLevel = (name: string): boolean =>
    name.endsWith(`.${domain}`) && !name.slice(0, -domain.length - 1).includes('.');
  return [...new Set(names.filter((name) => !isFirstLevel(name)))].map(
    (name) => `${name} is not at the first level of ${domain}`,
  );
}

/** SR-06: pods that are no sessions bring about nothing. */
export function ignoresWhatIsNoSession(record: OperatorRecord): Finding[] {
  if (record.bystanders.length === 0) {
    return [missing('no other pod was there')];
  }
  return record.bystanders.flatMap(({ why, hash }) => {
    const things = thingsOf(record, hash);
    return things.length === 0 ? [] : [`a pod ${why} brought about ${describeThings(things)}`];
  });
}

/**
 * SR-07: over a restart, and with a second replica, nothing is made twice or again, and nothing is reported as a
 * failure.
 */
export function repeatsNothing(record: OperatorRecord): Finding[] {
  const again = markAt(record, 'starts again');
  const settled = markAt(record, 'settled');
  const stays = sessionOf(record, 'stays');
  if (stays === undefined) {
    return [missing('no session outlived a restart')];
  }
  const things = thingsOf(record, stays.hash);
  const wasThere = thereAt(things, again);
  const repeated = things
    .filter(({ kind, name, from }) => from > again && wasThere.some((old) => old.kind === kind && old.name === name))
    .map(({ kind, name }) => `the ${kind} ${name}, which was there, was made again after a restart`);
  const doubled = liveSessions(record).flatMap((session) => doublesOf(record, session, settled));
  const failures = record.lines
    .filter(({ at, text }) => at > again && new RegExp(stays.documented.errorLines, 'i').test(text))
    .map(({ at, text }) => {
      const finding = `it reported a failure where nothing had failed: ${text.slice(0, 200)}`;
      // A machine that stood still makes requests time out, and no conflict.
      return CONFLICT.test(text) ? finding : unlessStalled(finding, at - REQUEST_MS, at);
    });
  return [...repeated, ...doubled, ...failures];
}

/** What is there already: Kubernetes' 409, and the code of the DNS provider. */
const CONFLICT = /\b(409|81053)\b|already ?exists/i;

/** A request that failed may have begun so long before. */
const REQUEST_MS = 15_000;

function doublesOf(record: OperatorRecord, session: Session, at: number): string[] {
  const there = thereAt(thingsOf(record, session.hash), at);
  const names = there.map(({ kind, name }) => `${kind} ${name}`);
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))].map(
    (name) => `the session ${session.label} had the ${name} twice`,
  );
}

/**
 * SR-08: after a crowd has come and gone, all is there of those that live, nothing of the others, and all of others’.
 */
export function losesNothing(record: OperatorRecord): Finding[] {
  const live = liveSessions(record);
  const begun = record.sessions.filter(({ begunAt }) => begunAt > 0);
  const lacking = live.flatMap((session) => {
    const there = thereAt(thingsOf(record, session.hash), record.endedAt);
    const count = (kind: Thing['kind']): number => there.filter((thing) => thing.kind === kind).length;
    const right = count('record') === 1 && count('rule') === 1 && count('route') === session.documented.routes.length;
    const isMore = count('record') > 1 || count('rule') > 1 || count('route') > session.documented.routes.length;
    return right ? [] : [missingIf(!isMore, `the session ${session.label} has ${describeThings(there)}`)];
  });
  const crowdAt = markAt(record, 'crowd is there');
  const lost = begun.filter(
    (session) =>
      session.begunAt < crowdAt &&
      completeAt(thingsOf(record, session.hash), session.documented.routes.length) === undefined,
  );
  const left = begun
    .filter(({ podGoneAt }) => podGoneAt !== undefined)
    .flatMap((session) => {
      const there = thereAt(thingsOf(record, session.hash), record.endedAt);
      return there.length === 0
        ? []
        : [missing(`of the session ${session.label}, which ended, is left: ${describeThings(there)}`)];
    });
  const findings = [
    ...lost.map(({ label }) => missing(`the session ${label} of the crowd never was complete`)),
    ...lacking,
    ...left,
    ...foreignRecordsGone(record),
    ...leavesTheTunnelAsItWas(record),
  ];
  return begun.length === 0 ? [missing('no session was begun')] : findings;
}

export function foreignRecordsGone({ foreign, records }: OperatorRecord): string[] {
  return foreign.records
    .filter((record) => !records.some((one) => isDeepStrictEqual(one, record)))
    .map(({ name, content }) => `the record ${name} (${content}), which is somebody else’s, is not as it was`);
}
