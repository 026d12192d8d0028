import { type Finding, missing } from '../../harness/core/findings.ts';
import {
  completeAt,
  describeThings,
  markAt,
  type OperatorRecord,
  type Session,
  sessionOf,
  thereAt,
  thingsOf,
} from '../../harness/roles/session-operator/record.ts';
import { GOES_AMID, GOES_AT_ONCE } from '../../harness/roles/session-operator/scenarios/failures.ts';
import type { StartsRecord } from '../../harness/roles/session-operator/scenarios/starts.ts';
import { foreignRecordsGone, incomplete, late, SOON_MS } from './session-operator.checks.ts';

/** SR-09: what is missing at its start is made. */
export function makesUpAtItsStart(record: OperatorRecord): Finding[] {
  const comes = sessionOf(record, 'comes meanwhile');
  const stays = sessionOf(record, 'stays');
  if (comes === undefined || stays === undefined) {
    return [missing('no session came while it was away')];
  }
  return [comes, stays].flatMap((session) => {
    const there = thereAt(thingsOf(record, session.hash), record.endedAt);
    const complete = completeAt(there, session.documented.routes.length) !== undefined;
    return complete ? [] : [incomplete(session, there, record)];
  });
}

/** SR-09a: what has no pod any more at its start is removed. */
export function removesOrphansAtItsStart(record: OperatorRecord): Finding[] {
  const gone = sessionOf(record, 'goes meanwhile');
  const again = markAt(record, 'starts again');
  if (gone === undefined) {
    return [missing('no session went while it was away')];
  }
  const left = thereAt(thingsOf(record, gone.hash), record.endedAt);
  const text = `of a session whose pod went while it was away is left: ${describeThings(left)}`;
  return left.length === 0 ? [] : [late(text, again, record.endedAt, SOON_MS)];
}

/** SR-10: a record that is somebody else’s is left alone, whatever its name. */
export function leavesForeignRecordsAlone(record: OperatorRecord): Finding[] {
  const taken = sessionOf(record, 'of a taken name');
  const isThere = record.foreign.records.some(({ name }) => name === taken?.host);
  return isThere && taken?.podGoneAt !== undefined
    ? foreignRecordsGone(record)
    : [missing('no session had a name that somebody else’s record has')];
}

/** SR-11: failures of the provider are got over, and a session that goes as soon as it has come leaves nothing. */
export function getsOverFailures(record: OperatorRecord): Finding[] {
  const through = sessionOf(record, 'comes through failures');
  const short = sessionOf(record, GOES_AT_ONCE);
  const amid = sessionOf(record, GOES_AMID);
  const control = sessionOf(record, 'control');
  if (through === undefined || short === undefined || amid === undefined || control === undefined) {
    return [missing('no session came while the provider failed')];
  }
  const made = [through, control].flatMap((session) => {
    const things = thingsOf(record, session.hash);
    return completeAt(things, session.documented.routes.length) === undefined
      ? [incomplete(session, things, record)]
      : [];
  });
  const left = [through, short, amid].flatMap((session) => {
    const there = thereAt(thingsOf(record, session.hash), record.endedAt);
    return there.length === 0
      ? []
      : [missing(`of the session that ${session.label} is left: ${describeThings(there)}`)];
  });
  return [...made, ...left];
}

/** SR-12: it names a setting that is missing, and says that it is healthy only where it can see sessions. */
export function startsHonestly({ replicas, lines, without, wentOn, blind }: StartsRecord): Finding[] {
  const settings = without.flatMap((variable) => {
    const exit = replicas.find(({ replica }) => replica === variable)?.exit;
    if (exit === undefined || wentOn.includes(variable)) {
      return [missing(`with \`${variable}\` unset, it keeps running`)];
    }
    const said = lines.filter(({ replica, text }) => replica === variable && text.includes(variable));
    return [
      ...(exit.code === 0 ? [`with \`${variable}\` unset, it exits with 0, as if nothing were wrong`] : []),
      ...(said.length === 0 ? [`with \`${variable}\` unset, it exits without naming it`] : []),
    ];
  });
  const healthy = blind.filter((status) => status !== undefined && status >= 200 && status < 300).length;
  return [
    ...settings,
    ...(healthy === 0
      ? []
      : [`it said ${healthy} of ${blind.length} times that it is healthy while it had never seen any session`]),
  ];
}

/** SR-12: on SIGTERM it exits in time and removes nothing. */
export function endsInPeace(record: OperatorRecord): Finding[] {
  const [first] = record.replicas;
  const stays = sessionOf(record, 'stays');
  if (first?.signalledAt === undefined || stays === undefined) {
    return [missing('it was sent no SIGTERM')];
  }
  const { signalledAt, exit, healthyAt } = first;
  const { sigtermSeconds } = stays.documented;
  const findings: Finding[] = healthyAt === undefined ? [missing('it never answered that it is healthy')] : [];
  const at = exit?.at ?? record.endedAt;
  if (exit?.signal === 'SIGKILL' || exit === undefined || at - signalledAt > sigtermSeconds * 1000) {
    findings.push(
      late(`it did not exit within ${sigtermSeconds} s after SIGTERM`, signalledAt, at, sigtermSeconds * 1000),
    );
  }
  const down = markAt(record, 'down');
  for (const label of ['stays', 'goes meanwhile']) {
    const session = sessionOf(record, label);
    const removed = thingsOf(record, session?.hash ?? '-').filter(
      ({ to }) => to !== undefined && to >= signalledAt && to <= down,
    );
    if (removed.length > 0) {
      findings.push(`at its end it removed ${describeThings(removed)} of a session that goes on`);
    }
  }
  return findings;
}

/** The sessions of SR-13: those that came while the watch was broken, and all others that went meanwhile. */
function watched({ sessions, ...record }: OperatorRecord): { came: Session[]; went: Session[]; last: Session[] } {
  const recovered = markAt({ sessions, ...record }, 'recovered');
  const goneBy = (at: number) => (session: Session) => session.podGoneAt !== undefined && session.podGoneAt < at;
  const went = sessions.filter(goneBy(recovered));
  return {
    came: sessions.filter(({ label }) => label.startsWith('came while')),
    went,
    last: sessions.filter((session) => session.podGoneAt !== undefined && !went.includes(session)),
  };
}

/** SR-13: after its watch broke it goes on: what came meanwhile is made, and what goes later is removed. */
export function recoversItsWatch(record: OperatorRecord): Finding[] {
  const { came, last } = watched(record);
  if (came.length === 0 || last.length === 0) {
    return [missing('nothing happened to its watch')];
  }
  const notMade = came.flatMap((session) => {
    const things = thingsOf(record, session.hash);
    const complete = completeAt(things, session.documented.routes.length) !== undefined;
    return complete ? [] : [incomplete(session, things, record)];
  });
  return [...notMade, ...leftOf(record, last, 'went after its watch had been broken')];
}

/** SR-13a: what went while its watch was broken is removed, too. */
export function catchesUpWithWhatWent(record: OperatorRecord): Finding[] {
  const { went } = watched(record);
  return went.length === 0
    ? [missing('no session went while its watch was broken')]
    : leftOf(record, went, 'went while its watch was broken');
}

function leftOf(record: OperatorRecord, sessions: Session[], when: string): Finding[] {
  return sessions.flatMap((session) => {
    const left = thereAt(thingsOf(record, session.hash), record.endedAt);
    return left.length === 0
      ? []
      : [missing(`of a session that ${when} (${session.label}) is left: ${describeThings(left)}`)];
  });
}
