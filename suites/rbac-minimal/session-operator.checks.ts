/** The requirements of RBAC for session operators, as functions of what was seen; nothing wrong is an empty list. */

import { type Finding, missing, presupposing } from '../../harness/core/findings.ts';
import { describeRight, surplusRights, unknownVerbs } from '../../harness/kubernetes/rbac.ts';
import { tellsOfRefusal } from '../../harness/kubernetes/refusals.ts';
import { completeAt, type OperatorRecord, thingsOf } from '../../harness/roles/session-operator/record.ts';
import type {
  MissingRightsRecord,
  SmallestRoleRecord,
  WorkRecord,
} from '../../harness/roles/session-operator/scenarios/permissions.ts';
import { neverUsed } from './job-runner.checks.ts';
import { refusedKinds } from './session-manager.checks.ts';

function notCompleted(record: OperatorRecord, when: string): Finding[] {
  return record.sessions
    .filter(({ hash, documented }) => completeAt(thingsOf(record, hash), documented.routes.length) === undefined)
    .map(({ label }) => missing(`${when} it does not complete the session that ${label}`));
}

/** RB-20o: it does its work, and nothing that it asks for is refused. */
export function worksUnderItsRules(record: WorkRecord): Finding[] {
  return [
    ...(record.sessions.length === 0 ? [missing('no session was begun')] : []),
    ...notCompleted(record, 'under its documented rules'),
    ...[...refusedKinds(record)].map(
      ([kind, { code, message }]) => `refused ${kind} (${code}): ${message ?? 'no reason given'}`,
    ),
  ];
}

/** RB-21o: no documented right is one that nothing needed; verbs that do not exist are RB-23o's. */
export function documentsOnlyWhatItUses(record: WorkRecord): Finding[] {
  const { rules } = record.target;
  const documented = [...rules.namespaced, ...rules.cluster];
  const unknown = new Set(unknownVerbs(documented).map(describeRight));
  // It had no use for a right in what it did not come to.
  return presupposing(
    notCompleted(record, '').length === 0,
    neverUsed(
      surplusRights(documented, record.requests)
        .map(describeRight)
        .filter((right) => !unknown.has(right)),
    ),
  );
}

/** RB-21o: what the second run, under the smallest Role, could not do that the first could. */
export function worksUnderTheSmallestRole({ underSmallest, ...documented }: SmallestRoleRecord): Finding[] {
  if (underSmallest === undefined) {
    return [];
  }
  const known = refusedKinds(documented);
  return [
    ...notCompleted(underSmallest, 'under the smallest Role'),
    ...[...refusedKinds(underSmallest).keys()]
      .filter((kind) => !known.has(kind))
      .map((kind) => `under the smallest Role, refused ${kind}`),
  ];
}

/** RB-24o: what is refused is reported, by its output, its health or its end. */
export function reportsRefusals({ without }: MissingRightsRecord): Finding[] {
  const refused = without.filter((one) => one.refused.length > 0);
  if (refused.length === 0) {
    return [missing('none of its calls was refused, whichever right was revoked')];
  }
  return refused
    .filter(({ lines, gaveUp }) => !gaveUp && !lines.some(tellsOfRefusal))
    .map(({ right, refused: [first] }) =>
      missing(
        `with \`${describeRight(right)}\` revoked, the API server refused (${first?.message}); it reported nothing of that`,
      ),
    );
}
