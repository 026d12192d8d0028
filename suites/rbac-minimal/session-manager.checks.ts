/** The requirements of RBAC for session managers, as functions of what was seen; nothing wrong is an empty list. */

import { type Finding, missing, missingIf, presupposing } from '../../harness/core/findings.ts';
import { lastErrorLines, quoting } from '../../harness/core/quotation.ts';
import { type ApiRecord, describeRecord } from '../../harness/kubernetes/api-record.ts';
import { describeRight, ruleAllows, surplusRights, unknownVerbs } from '../../harness/kubernetes/rbac.ts';
import { namesRight, tellsOfRefusal } from '../../harness/kubernetes/refusals.ts';
import { describeCall, isSuccess } from '../../harness/roles/session-manager/driver.ts';
import { ranDuring } from '../../harness/roles/session-manager/record.ts';
import type {
  PermissionsRecord,
  ServiceAccountsRecord,
  SmallestRoleRecord,
} from '../../harness/roles/session-manager/scenarios/permissions.ts';
import type { WorkRecord } from '../../harness/roles/session-manager/scenarios/work.ts';
import type { SessionRightsRecord } from '../../harness/roles/session-manager/sessions/permissions.ts';
import { declaresSensitiveRights, documentsKnownVerbs, neverUsed, staysInItsNamespace } from './job-runner.checks.ts';

/** What the harness's own quota refuses is no missing right. */
const OVER_QUOTA = /exceeded quota/i;

/** Kinds of requests that the API server refused for want of a right, names and namespaces left out. */
export function refusedKinds({
  requests,
  namespace,
}: {
  requests: ApiRecord[];
  namespace: string;
}): Map<string, ApiRecord> {
  const refused = requests.filter(
    ({ code, message }) => (code === 401 || code === 403) && !OVER_QUOTA.test(message ?? ''),
  );
  return new Map(
    refused.map((request) => {
      const { name: _, ...kind } = request;
      return [describeRecord(kind).replaceAll(namespace, 'its namespace'), request];
    }),
  );
}

/** RB-20m: it does its work, and nothing that it asks for is refused. */
export function worksUnderItsRules(record: WorkRecord): Finding[] {
  const { get } = record.steps;
  return [
    ...(get !== undefined && isSuccess(get)
      ? []
      : [
          missingIf(
            get === undefined || !ranDuring(record, 'agent', get) || get.late === true,
            'under its documented rules it does not create a pod and get it',
          ),
        ]),
    ...[...refusedKinds(record)].map(
      ([kind, { code, message }]) => `refused ${kind} (${code}): ${message ?? 'no reason given'}`,
    ),
  ];
}

/** RB-21m: no documented right is one that nothing needed; verbs that do not exist are RB-23m's. */
export function documentsOnlyWhatItUses({
  target: { rules },
  requests,
  objects = [],
  steps: { get } = {},
}: Pick<WorkRecord, 'requests'> &
  Partial<Pick<WorkRecord, 'objects' | 'steps'>> & { target: Pick<WorkRecord['target'], 'rules'> }): Finding[] {
  const documented = [...rules.namespaced, ...rules.cluster];
  const unknown = new Set(unknownVerbs(documented).map(describeRight));
  // It had no use for a right in what it did not come to.
  return presupposing(
    get === undefined || ranDuring({ objects }, 'agent', get),
    neverUsed(
      surplusRights(documented, requests)
        .map(describeRight)
        .filter((right) => !unknown.has(right)),
    ),
  );
}

/** RB-21m: what the second session, under the smallest Role, could not do that the first could. */
export function worksUnderTheSmallestRole({ underSmallest, ...documented }: SmallestRoleRecord): Finding[] {
  const known = refusedKinds(documented);
  return [...(underSmallest === undefined ? [] : refusedKinds(underSmallest).keys())]
    .filter((kind) => !known.has(kind))
    .map((kind) => `under the smallest Role, refused ${kind}`);
}

/** RB-24m */
export function tellsRefusals({ work }: PermissionsRecord): Finding[] {
  const refused = work.flatMap(({ right, refused: calls }) => calls.map((seen) => ({ right, ...seen })));
  if (refused.length === 0) {
    return [missing('none of its calls was refused, whichever right was revoked')];
  }
  return refused
    .filter(({ call }) => call.status === undefined || (isSuccess(call) && !tellsOfRefusal(call.text)))
    .map(({ right, call, messages: [message = ''] }) => {
      const what = call.status === undefined ? 'was not answered' : 'was answered as if nothing had happened';
      const { operation, died } = call;
      const refusal = reasonOf(message);
      const why = refusal === '' ? '' : `: ${refusal}`;
      const asked = `with \`${describeRight(right)}\` revoked (refused with 403${why}), ${operation} ${what}`;
      return died === undefined
        ? missingIf(call.late === true, quoting(asked, describeCall(call), 'It answered'))
        : quoting(`${asked}, and ${died}`, lastErrorLines(call.lastOutput ?? []));
    });
}

/** A refusal's message, where it says more than that the revoked right is missing. */
function reasonOf(message: string): string {
  return /is forbidden:\s*$|cannot \w+ resource/.test(message) ? '' : message.trim();
}

/** RB-25m */
export function namesMissingRights({ work }: PermissionsRecord): Finding[] {
  const tested = work.flatMap(({ right, test }) => (test === undefined ? [] : [{ right, test }]));
  const unnamed = tested.filter(({ right, test }) => !namesRight(right, test.text));
  const answers = Map.groupBy(unnamed, ({ test }) =>
    test.value?.connected === true ? 'reports connected' : 'reports not connected',
  );
  return [...answers].map(([what, group]) => {
    const rights = group.map(({ right }) => `\`${describeRight(right)}\``).join(', ');
    const text = quoting(
      `${group.length} of ${tested.length} rights, revoked one at a time, are not named by the connection test, which ${what}: ${rights}`,
      [...new Set(group.map(({ test }) => describeCall(test)))].slice(0, 3),
      'It answered',
    );
    return missingIf(
      group.every(({ test }) => test.late === true),
      text,
    );
  });
}

/** RB-31m */
export function choosesNoServiceAccount({ accounts, call, target }: ServiceAccountsRecord): Finding[] {
  const declared = target.serviceAccounts;
  return Object.values(accounts)
    .filter((name) => name !== undefined && !declared.includes(name))
    .map((name) => `a pod runs as the ServiceAccount ${name}; declared: ${declared.join(', ')}; ${describeCall(call)}`);
}

/** RB-20s: nothing that it asks for is refused, or allowed by rules alone that are not documented. */
export function sessionsNeedNoMore({ observations }: SessionRightsRecord): Finding[] {
  return [
    ...(observations.every(({ requests }) => requests.length === 0)
      ? [missing('it asked the API server for nothing')]
      : []),
    ...observations.flatMap((record) => {
      const { namespaced, cluster, undocumented } = record.target.rules;
      const beyond = record.requests.filter(
        (request) =>
          undocumented.some((rule) => ruleAllows(rule, request)) &&
          ![...namespaced, ...cluster].some((rule) => ruleAllows(rule, request)),
      );
      return [
        ...[...refusedKinds(record)].map(
          ([kind, { code, message }]) => `refused ${kind} (${code}): ${message ?? 'no reason given'}`,
        ),
        ...new Set(
          beyond.map(
            ({ name: _, ...kind }) =>
              `needs ${describeRecord(kind).replaceAll(record.namespace, 'its namespace')}, which is not documented`,
          ),
        ),
      ];
    }),
  ];
}

/** RB-21s: no documented right is one that none of the observations needed. */
export function sessionsUseWhatIsDocumented({ observations }: SessionRightsRecord): Finding[] {
  const [first] = observations;
  const requests = observations.flatMap((record) => record.requests);
  return first === undefined ? ['nothing was observed'] : documentsOnlyWhatItUses({ target: first.target, requests });
}

/** RB-22s, RB-23s and RB-26s: as for every other role. */
export const sessionsDeclareSensitiveRights = ({ observations }: SessionRightsRecord): Finding[] => [
  ...new Set(observations.flatMap(declaresSensitiveRights)),
];
export const sessionsDocumentKnownVerbs = ({ observations }: SessionRightsRecord): Finding[] => [
  ...new Set(observations.flatMap(documentsKnownVerbs)),
];
export const sessionsStayInTheirNamespace = ({ observations }: SessionRightsRecord): Finding[] => [
  ...new Set(observations.flatMap(staysInItsNamespace)),
];
