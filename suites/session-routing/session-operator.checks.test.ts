import { expect, test } from 'vitest';
import { type Finding, missing, textOf } from '../../harness/core/findings.ts';
import type { DnsRecord, TunnelConfiguration, TunnelRule } from '../../harness/fakes/dns-and-tunnel/zone.ts';
import type { Arrival } from '../../harness/fakes/edge-traffic/edge-traffic.ts';
import {
  type Documented,
  emptyRecord,
  type OperatorRecord,
  type Session,
} from '../../harness/roles/session-operator/record.ts';
import { GOES_AMID, GOES_AT_ONCE } from '../../harness/roles/session-operator/scenarios/failures.ts';
import type { StartsRecord } from '../../harness/roles/session-operator/scenarios/starts.ts';
import {
  guardsTheSession,
  ignoresWhatIsNoSession,
  isNotShadowed,
  leavesTheTunnelAsItWas,
  losesNothing,
  makesItSoon,
  makesWhatIsDocumented,
  removesWhatItMade,
  repeatsNothing,
  staysAtTheFirstLevel,
} from './session-operator.checks.ts';
import {
  catchesUpWithWhatWent,
  endsInPeace,
  getsOverFailures,
  leavesForeignRecordsAlone,
  makesUpAtItsStart,
  recoversItsWatch,
  removesOrphansAtItsStart,
  startsHonestly,
} from './session-operator-restarts.checks.ts';

const DOMAIN = 'example.test';
const INGRESS = 'http://ingress.kube-system.svc.cluster.local';
const CATCH_ALL: TunnelRule = { service: 'http_status:404' };
const THEIRS: TunnelRule = { hostname: `www.${DOMAIN}`, service: 'http://www' };

/** Writes down a story second by second; times are in seconds. */
class Story {
  readonly record: OperatorRecord = {
    ...emptyRecord('sessions', { zone: 'z', account: 'a', tunnel: 't', domain: DOMAIN }, 0),
    endedAt: 100_000,
    foreign: { records: [], tunnel: { ingress: [THEIRS, CATCH_ALL], 'warp-routing': { enabled: true } } },
  };
  #rules: TunnelRule[] = [];
  #count = 0;

  session(label: string, at = 1, documented: Partial<Documented> = {}): Session {
    this.#count += 1;
    const hash = String(this.#count).padStart(12, 'a');
    const host = `${hash}-s.${DOMAIN}`;
    const session: Session = {
      label,
      hash,
      host,
      begunAt: at * 1000,
      documented: {
        host,
        record: { type: 'CNAME', content: 't.cfargotunnel.com' },
        tunnelService: INGRESS,
        routes: [{ name: `session-${hash}`, path: '/', open: false }],
        signInService: 'auth/sign-in',
        recordRemovedWith: 'pod',
        sigtermSeconds: 10,
        errorLines: '\\b(error|fail(ed|ure)?)\\b',
        ...documented,
      },
    };
    this.record.sessions.push(session);
    return session;
  }

  addRecord(session: Session, at: number, change: Partial<DnsRecord> = {}): this {
    const record: DnsRecord = {
      id: `${session.hash}-${this.record.changes.length}`,
      type: 'CNAME',
      name: session.host,
      content: 't.cfargotunnel.com',
      proxied: true,
      ttl: 1,
      comment: null,
      tags: [],
      created_on: '',
      modified_on: '',
      ...change,
    };
    this.record.changes.push({ at: at * 1000, kind: 'record added', record });
    return this;
  }

  removeRecord(session: Session, at: number): this {
    const added = this.record.changes.find((one) => one.kind === 'record added' && one.record.name === session.host);
    if (added?.kind === 'record added') {
      this.record.changes.push({ at: at * 1000, kind: 'record removed', record: added.record });
    }
    return this;
  }

  /** Writes the tunnel with these rules of sessions before the others'. */
  rules(rules: TunnelRule[], at: number, whole?: TunnelConfiguration): this {
    this.#rules = rules;
    const { tunnel } = this.record.reconfigured.findLast((one) => one.at <= at * 1000) ?? this.record.foreign;
    const config = whole ?? { ...tunnel, ingress: [...rules, ...tunnel.ingress] };
    this.record.edgeRequests.push({
      at: at * 1000,
      method: 'PUT',
      path: '/accounts/a/cfd_tunnel/t/configurations',
      authorized: true,
      body: { config },
      status: 200,
    });
    this.record.changes.push({ at: at * 1000, kind: 'tunnel', configuration: config, version: 1 });
    return this;
  }

  addRule({ host }: Session, at: number, change: Partial<TunnelRule> = {}): this {
    return this.rules([...this.#rules, { hostname: host, service: INGRESS, ...change }], at);
  }

  removeRule({ host }: Session, at: number): this {
    return this.rules(
      this.#rules.filter(({ hostname }) => hostname !== host),
      at,
    );
  }

  route(session: Session, type: 'ADDED' | 'DELETED', at: number, match = `Host(\`${session.host}\`)`): this {
    const route = {
      metadata: { name: `session-${session.hash}`, namespace: 'sessions' },
      spec: { routes: [{ match }] },
    };
    this.record.routes.push({ at: at * 1000, type, route });
    return this;
  }

  make(session: Session, at: number): this {
    return this.addRecord(session, at).addRule(session, at).route(session, 'ADDED', at);
  }

  remove(session: Session, at: number): this {
    return this.removeRecord(session, at).removeRule(session, at).route(session, 'DELETED', at);
  }

  mark(name: string, at: number): this {
    this.record.marks.push({ name, at: at * 1000 });
    return this;
  }
}

const texts = (findings: Finding[]): string => findings.map(textOf).join('\n');

test('SR-01: what is documented is there, with its content', () => {
  const good = new Story();
  good.make(good.session('first'), 2);
  expect(makesWhatIsDocumented(good.record)).toEqual([]);
  expect(makesWhatIsDocumented(new Story().record)).not.toEqual([]);

  const lacking = new Story();
  const incomplete = lacking.session('first');
  lacking.addRecord(incomplete, 2).route(incomplete, 'ADDED', 2);
  expect(texts(makesWhatIsDocumented(lacking.record))).toContain('never was complete: it had record');

  const wrong = new Story();
  const session = wrong.session('first');
  wrong
    .addRecord(session, 2, { content: 'elsewhere.example.net' })
    .addRule(session, 2, { service: 'http://router' })
    .route(session, 'ADDED', 2, 'Host(`other.example.test`)');
  expect(texts(makesWhatIsDocumented(wrong.record))).toMatch(/elsewhere.*http:\/\/router.*does not take/s);
});

test('SR-01a: five seconds', () => {
  const good = new Story();
  good.make(good.session('first', 1), 5.9);
  expect(makesItSoon(good.record)).toEqual([]);
  const late = new Story();
  late.make(late.session('first', 1), 8);
  expect(makesItSoon(late.record)).toMatchObject([{ excessMs: 2_000 }]);
});

test('SR-02: all goes with the pod, or the record with the claim', () => {
  const good = new Story();
  const session = good.session('first');
  session.podGoneAt = 10_000;
  good.make(session, 2).remove(session, 11);
  expect(removesWhatItMade(good.record)).toEqual([]);

  const left = new Story();
  const stays = left.session('first');
  stays.podGoneAt = 10_000;
  left.make(stays, 2).removeRule(stays, 11).route(stays, 'DELETED', 11);
  expect(texts(removesWhatItMade(left.record))).toContain(`the record ${stays.host}`);

  const early = new Story();
  const kept = early.session('first', 1, { recordRemovedWith: 'claim' });
  kept.podGoneAt = 10_000;
  kept.claimGoneAt = 20_000;
  early.make(kept, 2).remove(kept, 11);
  expect(texts(removesWhatItMade(early.record))).toContain('went before its claim did');
  const onTime = new Story();
  const right = onTime.session('first', 1, { recordRemovedWith: 'claim' });
  right.podGoneAt = 10_000;
  right.claimGoneAt = 20_000;
  onTime.make(right, 2).removeRule(right, 11).route(right, 'DELETED', 11).removeRecord(right, 21);
  expect(removesWhatItMade(onTime.record)).toEqual([]);
  expect(removesWhatItMade(new Story().record)).toEqual([missing('no session ended')]);
});

test('SR-03: the rest of the document stays, and no rule is behind the catch-all', () => {
  const good = new Story();
  good.make(good.session('first'), 2);
  expect(leavesTheTunnelAsItWas(good.record)).toEqual([]);

  const bad = (ingress: TunnelRule[], keys: object = { 'warp-routing': { enabled: true } }): string => {
    const story = new Story();
    const { host } = story.session('first');
    const rules = ingress.map((rule) => (rule.hostname === 'mine' ? { ...rule, hostname: host } : rule));
    story.rules([], 2, { ingress: rules, ...keys });
    return texts(leavesTheTunnelAsItWas(story.record));
  };
  const mine = { hostname: 'mine', service: INGRESS };
  expect(bad([mine, THEIRS, CATCH_ALL])).toBe('');
  expect(bad([mine, THEIRS, CATCH_ALL], {})).toContain('warp-routing');
  expect(bad([mine, CATCH_ALL])).toContain('www');
  expect(bad([THEIRS, CATCH_ALL, mine])).toContain('behind the catch-all');
  expect(leavesTheTunnelAsItWas(new Story().record)).not.toEqual([]);
});

test('SR-03: a rule for a session of another namespace is SR-06’s, and any other rule is a finding', () => {
  const written = (hostname: string): string => {
    const story = new Story();
    const { host } = story.session('first');
    const rules = [host, hostname].map((name) => ({ hostname: name, service: INGRESS }));
    story.rules([], 2, { ...story.record.foreign.tunnel, ingress: [...rules, THEIRS, CATCH_ALL] });
    return texts(leavesTheTunnelAsItWas(story.record));
  };
  expect(written(`0123456789ab-s.${DOMAIN}`)).toBe('');
  expect(written(`0123456789ab.${DOMAIN}`)).toContain('or more of them');
  expect(written(`blog-s.${DOMAIN}`)).toContain('or more of them');
  expect(written(`www.${DOMAIN}`)).toContain('or more of them');
});

test('SR-03: what others write while it writes is theirs', () => {
  const story = new Story();
  const wildcard = { hostname: `*.${DOMAIN}`, service: 'http://wildcard' };
  const first = story.session('first');
  story.addRule(first, 2);
  const rule = { hostname: first.host, service: INGRESS };
  const tunnel = { ...story.record.foreign.tunnel, ingress: [rule, THEIRS, wildcard, CATCH_ALL] };
  story.record.reconfigured.push({ at: 5_000, tunnel });
  const second = { hostname: story.session('second').host, service: INGRESS };
  story.rules([rule, second], 6, { ...tunnel, ingress: [rule, THEIRS, second, wildcard, CATCH_ALL] });
  expect(leavesTheTunnelAsItWas(story.record)).toEqual([]);
});

test('SR-03a: ahead of a wildcard', () => {
  const wildcard = { hostname: `*.${DOMAIN}`, service: 'http://wildcard' };
  const story = (ahead: boolean): OperatorRecord => {
    const one = new Story();
    const rule = { hostname: one.session('behind a wildcard').host, service: INGRESS };
    one.rules([], 2, { ingress: ahead ? [rule, wildcard, CATCH_ALL] : [wildcard, rule, CATCH_ALL] });
    return one.record;
  };
  expect(isNotShadowed(story(true))).toEqual([]);
  expect(texts(isNotShadowed(story(false)))).toContain(`behind *.${DOMAIN}`);
  expect(isNotShadowed(new Story().record)).not.toEqual([]);
});

test('SR-04: only who is signed in arrives, through the ingress', () => {
  const evaluate = (withSession: Arrival['passed'], without: Arrival['passed'], signIn: Arrival['passed']): string => {
    const story = new Story();
    const arrival = (label: string, passed: Arrival['passed']): void => {
      story.record.arrivals.push({
        label,
        session: 'first',
        path: '/',
        signedIn: false,
        arrival: { status: 200, passed },
      });
    };
    arrival('with a session', withSession);
    arrival('without a session', without);
    arrival('sign-in', signIn);
    return texts(guardsTheSession(story.record));
  };
  const good: Arrival['passed'] = ['ingress', 'authentication', 'router'];
  const refused: Arrival['passed'] = ['ingress', 'authentication'];
  const signIn: Arrival['passed'] = ['ingress', 'sign-in'];
  expect(evaluate(good, refused, signIn)).toBe('');
  expect(evaluate(['router'], ['router'], signIn)).toContain('past the ingress');
  expect(evaluate(['ingress', 'router'], ['ingress', 'router'], signIn)).toContain(
    'came to the session (by ingress, router)',
  );
  expect(evaluate(refused, refused, signIn)).toContain('did not come to the session');
  expect(evaluate(good, refused, refused)).toContain('sign-in page');
  expect(guardsTheSession(new Story().record)).toEqual([missing('no request was made')]);
});

test('SR-05: one label', () => {
  const good = new Story();
  good.make(good.session('first'), 2);
  expect(staysAtTheFirstLevel(good.record)).toEqual([]);
  const deep = new Story();
  const session = deep.session('first');
  deep.addRecord(session, 2, { name: `${session.hash}.s.${DOMAIN}` });
  expect(texts(staysAtTheFirstLevel(deep.record))).toContain('not at the first level');
  expect(staysAtTheFirstLevel(new Story().record)).not.toEqual([]);
});

test('SR-06: other pods bring about nothing', () => {
  const story = new Story();
  const session = story.session('stands in for a pod without a label');
  story.record.bystanders.push({ why: 'without a label', hash: session.hash });
  expect(ignoresWhatIsNoSession(story.record)).toEqual([]);
  story.addRecord(session, 2);
  expect(texts(ignoresWhatIsNoSession(story.record))).toContain('a pod without a label brought about record');
});

test('SR-07: nothing twice, nothing again, no failure', () => {
  const base = (): { story: Story; stays: Session } => {
    const story = new Story();
    const stays = story.session('stays');
    story.make(stays, 2).mark('starts again', 10).mark('settled', 50);
    return { story, stays };
  };
  expect(repeatsNothing(base().story.record)).toEqual([]);
  const again = base();
  again.story.removeRecord(again.stays, 12).addRecord(again.stays, 13);
  expect(texts(repeatsNothing(again.story.record))).toContain('was made again');
  const twice = base();
  twice.story.addRule(twice.stays, 12);
  expect(texts(repeatsNothing(twice.story.record))).toContain('twice');
  const noisy = base();
  noisy.story.record.lines.push({ at: 11_000, replica: 'a', text: 'Failed to provision: 409' });
  // No machine makes a conflict, however it stalls.
  expect(repeatsNothing(noisy.story.record)).toEqual([expect.stringContaining('Failed to provision')]);
  const slow = base();
  slow.story.record.lines.push({ at: 11_000, replica: 'a', text: 'error: the request timed out' });
  expect(repeatsNothing(slow.story.record)).toEqual([expect.objectContaining({ to: 11_000 })]);
  const before = base();
  before.story.record.lines.push({ at: 9_000, replica: 'a', text: 'Failed to provision: 409' });
  expect(repeatsNothing(before.story.record)).toEqual([]);
});

test('SR-08: the crowd is whole, nothing is left, others keep theirs', () => {
  const base = (): { story: Story; gone: Session; lives: Session } => {
    const story = new Story();
    const [gone, lives] = [story.session('gone'), story.session('lives')];
    story.make(gone, 2).make(lives, 2).remove(gone, 30).mark('crowd is there', 20);
    gone.podGoneAt = 25_000;
    return { story, gone, lives };
  };
  expect(losesNothing(base().story.record)).toEqual([]);
  const lost = base();
  lost.story.removeRule(lost.lives, 40);
  expect(texts(losesNothing(lost.story.record))).toContain('the session lives has record');
  const left = base();
  left.story.addRecord(left.gone, 40);
  expect(texts(losesNothing(left.story.record))).toContain('is left: record');
  const never = base();
  never.story.session('never', 3).podGoneAt = 25_000;
  expect(texts(losesNothing(never.story.record))).toContain('never of the crowd never was complete');
});

test('SR-09, SR-09a: what is missing is made, what is over is removed', () => {
  const base = (): { story: Story; gone: Session; comes: Session } => {
    const story = new Story();
    const [gone, stays, comes] = [
      story.session('goes meanwhile'),
      story.session('stays'),
      story.session('comes meanwhile', 9),
    ];
    gone.podGoneAt = 8_000;
    story.make(gone, 2).make(stays, 2).mark('down', 7).mark('starts again', 10);
    return { story, gone, comes };
  };
  const bad = base();
  expect(texts(makesUpAtItsStart(bad.story.record))).toContain('comes meanwhile');
  expect(texts(removesOrphansAtItsStart(bad.story.record))).toContain('is left: record');
  const good = base();
  good.story.make(good.comes, 12).remove(good.gone, 13);
  expect(makesUpAtItsStart(good.story.record)).toEqual([]);
  expect(removesOrphansAtItsStart(good.story.record)).toEqual([]);
});

test('SR-10: a foreign record stays', () => {
  const story = new Story();
  const taken = story.session('of a taken name');
  taken.podGoneAt = 20_000;
  story.addRecord(taken, 1);
  const [change] = story.record.changes.splice(0);
  const theirs = change?.kind === 'record added' ? change.record : undefined;
  if (theirs !== undefined) {
    story.record.foreign.records.push(theirs);
  }
  expect(texts(leavesForeignRecordsAlone(story.record))).toContain('is not as it was');
  story.record.records = [...story.record.foreign.records];
  expect(leavesForeignRecordsAlone(story.record)).toEqual([]);
});

test('SR-11: failures are got over', () => {
  const base = (): { story: Story; through: Session; short: Session } => {
    const story = new Story();
    const [through, short, amid, control] = [
      story.session('comes through failures'),
      story.session(GOES_AT_ONCE),
      story.session(GOES_AMID),
      story.session('control'),
    ];
    through.podGoneAt = 20_000;
    short.podGoneAt = 21_000;
    amid.podGoneAt = 22_000;
    story.make(through, 10).remove(through, 22).make(control, 24);
    return { story, through, short };
  };
  expect(getsOverFailures(base().story.record)).toEqual([]);
  const late = base();
  late.story.make(late.short, 23);
  expect(texts(getsOverFailures(late.story.record))).toContain('goes as soon as it has come is left');
  expect(getsOverFailures(new Story().record)).not.toEqual([]);
});

test('SR-12: settings, health and SIGTERM', () => {
  const starts = (change: Partial<StartsRecord> = {}): StartsRecord => {
    const { record } = new Story();
    record.replicas.push({ replica: 'TOKEN', startedAt: 0, exit: { at: 1, code: 1, signal: null } });
    record.lines.push({ at: 1, replica: 'TOKEN', text: 'TOKEN is not set' });
    return { ...record, without: ['TOKEN'], wentOn: [], blind: [undefined, 503], ...change };
  };
  expect(startsHonestly(starts())).toEqual([]);
  expect(texts(startsHonestly(starts({ lines: [] })))).toContain('without naming it');
  expect(texts(startsHonestly(starts({ replicas: [] })))).toContain('keeps running');
  // It named what is missing, and the harness ended it.
  expect(texts(startsHonestly(starts({ wentOn: ['TOKEN'] })))).toContain('keeps running');
  expect(texts(startsHonestly(starts({ blind: [503, 200] })))).toContain('1 of 2 times');

  const story = (exitAt: number, signal: string | null = null): Story => {
    const one = new Story();
    const stays = one.session('stays');
    one.make(stays, 2).make(one.session('goes meanwhile'), 2).mark('down', 20);
    one.record.replicas.push({
      replica: 'a',
      startedAt: 0,
      healthyAt: 1,
      signalledAt: 10_000,
      exit: { at: exitAt, code: signal === null ? 0 : null, signal },
    });
    return one;
  };
  expect(endsInPeace(story(11_000).record)).toEqual([]);
  expect(texts(endsInPeace(story(25_000, 'SIGKILL').record))).toContain('did not exit within 10 s');
  const removes = story(11_000);
  const [first] = removes.record.sessions;
  if (first !== undefined) {
    removes.removeRecord(first, 10.5);
  }
  expect(texts(endsInPeace(removes.record))).toContain('at its end it removed record');
});

test('SR-13, SR-13a: it goes on, and catches up with what went', () => {
  const base = (): { story: Story; before: Session; came: Session } => {
    const story = new Story();
    const [before, came] = [story.session('before'), story.session('came while the watch was cut', 10)];
    before.podGoneAt = 9_000;
    came.podGoneAt = 51_000;
    story.make(before, 2).mark('recovered', 50);
    return { story, before, came };
  };
  const stopped = base();
  expect(texts(recoversItsWatch(stopped.story.record))).toContain('never was complete');
  const forgetful = base();
  forgetful.story.make(forgetful.came, 15).remove(forgetful.came, 52);
  expect(recoversItsWatch(forgetful.story.record)).toEqual([]);
  expect(texts(catchesUpWithWhatWent(forgetful.story.record))).toContain('(before) is left: record');
  const deaf = base();
  deaf.story.make(deaf.came, 15);
  expect(texts(recoversItsWatch(deaf.story.record))).toContain('went after its watch had been broken');
  const good = base();
  good.story.make(good.came, 15).remove(good.before, 15).remove(good.came, 52);
  expect(recoversItsWatch(good.story.record)).toEqual([]);
  expect(catchesUpWithWhatWent(good.story.record)).toEqual([]);
  expect(recoversItsWatch(new Story().record)).not.toEqual([]);
  expect(catchesUpWithWhatWent(new Story().record)).not.toEqual([]);
});

const EMPTY = new Story().record;

/** A session that had all it needs, and whose pod has gone. */
const leftBehind = (label: string): OperatorRecord => {
  const story = new Story();
  const session = story.session(label, 2);
  session.podGoneAt = 20_000;
  return story.make(session, 3).mark('crowd is there', 10).mark('recovered', 30).record;
};

const arrived = (label: string, isComplete: boolean): OperatorRecord => {
  const story = new Story();
  const session = story.session('first');
  story.record.arrivals.push({
    ...{ label, session: 'first', path: '/', signedIn: false },
    arrival: { status: 404, passed: [] },
  });
  return isComplete ? story.make(session, 2).record : story.record;
};

const crowd = (isTwice: boolean): OperatorRecord => {
  const story = new Story();
  const session = story.session('of the crowd');
  story.addRecord(session, 2).mark('crowd is there', 10);
  return isTwice ? story.addRecord(session, 3).record : story.record;
};

const unset = (wentOn: string[], code: number | undefined): StartsRecord =>
  ({
    ...EMPTY,
    ...{ without: ['TOKEN'], wentOn, blind: [] },
    replicas: [
      { replica: 'TOKEN', startedAt: 0, ...(code === undefined ? {} : { exit: { at: 1, code, signal: null } }) },
    ],
  }) as StartsRecord;

test.each<[id: string, findings: Finding[], text: string]>([
  ['SR-01', makesWhatIsDocumented(EMPTY), 'no session was begun'],
  ['SR-03', leavesTheTunnelAsItWas(EMPTY), 'it never wrote'],
  ['SR-03a', isNotShadowed(EMPTY), 'never had a rule of its own'],
  ['SR-04', guardsTheSession(arrived('with a session', false)), 'did not come to the session'],
  ['SR-04', guardsTheSession(arrived('sign-in', false)), 'did not come to the sign-in page'],
  ['SR-05', staysAtTheFirstLevel(EMPTY), 'no name of a session was seen'],
  ['SR-07', repeatsNothing(EMPTY), 'no session outlived'],
  ['SR-08', losesNothing(crowd(false)), 'the session of the crowd has record'],
  ['SR-08', losesNothing(crowd(false)), 'of the crowd never was complete'],
  ['SR-08', losesNothing(leftBehind('first')), 'which ended, is left'],
  ['SR-09', makesUpAtItsStart(EMPTY), 'no session came while it was away'],
  ['SR-12', startsHonestly(unset(['TOKEN'], undefined)), 'it keeps running'],
  ['SR-12', endsInPeace(EMPTY), 'it was sent no SIGTERM'],
  ['SR-13', recoversItsWatch(EMPTY), 'nothing happened to its watch'],
  ['SR-13a', catchesUpWithWhatWent(leftBehind('goes')), 'is left: record'],
])('%s: what had not come, or gone, may be the machine’s fault: %#', (_, findings, text) => {
  expect(findings).toContainEqual({ text: expect.stringContaining(text), missing: true });
});

test.each<[id: string, findings: Finding[], text: string]>([
  ['SR-04', guardsTheSession(arrived('with a session', true)), 'did not come to the session'],
  ['SR-08', losesNothing(crowd(true)), 'the session of the crowd has record'],
  ['SR-12', startsHonestly(unset([], 0)), 'it exits with 0'],
])('%s: what was seen is not: %#', (_, findings, text) => {
  expect(findings).toContainEqual(expect.stringContaining(text));
});

test('SR-02, SR-03: what was late by two ways is late by so much', () => {
  const claims = new Story();
  const kept = claims.session('first', 1, { recordRemovedWith: 'claim' });
  kept.podGoneAt = 10_000;
  kept.claimGoneAt = 11_200;
  claims.make(kept, 2).remove(kept, 11);
  expect(removesWhatItMade(claims.record)).toEqual([
    { text: expect.stringContaining('before its claim did'), from: 11_000, to: 11_200, excessMs: 200 },
  ]);

  const stale = new Story();
  const rule = { hostname: stale.session('first').host, service: INGRESS };
  const { tunnel } = stale.record.foreign;
  const other = { hostname: `new.${DOMAIN}`, service: 'http://new' };
  stale.record.reconfigured.push({ at: 5_000, tunnel: { ...tunnel, ingress: [other, ...tunnel.ingress] } });
  stale.rules([], 9, { ...tunnel, ingress: [rule, ...tunnel.ingress] });
  expect(leavesTheTunnelAsItWas(stale.record)).toEqual([
    { text: expect.stringContaining(other.hostname), from: 5_000, to: 9_000, excessMs: 3_000 },
  ]);
});
