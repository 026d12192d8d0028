/** The requirements of RBAC for session managers, as functions of what was seen; nothing wrong is an empty list. */

import type { Finding } from '../../harness/core/findings.ts';
import { type ApiRecord, describeRecord } from '../../harness/kubernetes/api-record.ts';
import { describeRight, ruleAllows, surplusRights, unknownVerbs } from '../../harness/kubernetes/rbac.ts';
import { namesRight, tellsOfRefusal } from '../../harness/kubernetes/refusals.ts';
import { describeCall, isSuccess } from '../../harness/roles/session-manager/driver.ts';
import type {
  PermissionsRecord,
  ServiceAccountsRecord,
  SmallestRoleRecord,
} from '../../harness/roles/session-manager/scenarios/permissions.ts';
import type { WorkRecord } from '../../harness/roles/session-manager/scenarios/work.ts';
import type { SessionRightsRecord } from '../../harness/roles/session-manager/sessions/permissions.ts';
import { declaresSensitiveRights, documentsKnownVerbs, staysInItsNamespace } from './job-runner.checks.ts';

/** What the harness's own quota refuses is no missing right. */
const OVER_QUOTA = /exceeded quota/i;

/** Kinds of requests that the API server refused for want of a right, names and namespaces left out. */
export function refusedKinds({
  requests,
  namespace,
}: Pick<WorkRecord, 'requests' | 'namespace'>): Map<string, ApiRecord> {
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
    ...(get !== undefined && isSuccess(get) ? [] : ['under its documented rules it does not create a pod and get it']),
    ...[...refusedKinds(record)].map(
      ([kind, { code, message }]) => `it was refused ${kind} (${code}): ${message ?? 'no reason given'}`,
    ),
  ];
}

/** RB-21m: no documented right is one that nothing needed; verbs that do not exist are RB-23m's. */
export function documentsOnlyWhatItUses({
  target: { rules },
  requests,
}: Pick<WorkRecord, 'requests'> & { target: Pick<WorkRecord['target'], 'rules'> }): Finding[] {
  const documented = [...rules.namespaced, ...rules.cluster];
  const unknown = new Set(unknownVerbs(documented).map(describeRight));
  return surplusRights(documented, requests)
    .map(describeRight)
    .filter((right) => !unknown.has(right))
    .map((right) => `it documents ${right} and never needed it`);
}

/** RB-21m: what the second session, under the smallest Role, could not do that the first could. */
export function worksUnderTheSmallestRole({ underSmallest, ...documented }: SmallestRoleRecord): Finding[] {
  const known = refusedKinds(documented);
  return [...(underSmallest === undefined ? [] : refusedKinds(underSmallest).keys())]
    .filter((kind) => !known.has(kind))
    .map((kind) => `under the smallest Role it was refused ${kind}`);
}

/** RB-24m */
export function tellsRefusals({ work }: PermissionsRecord): Finding[] {
  const refused = work.flatMap(({ right, refused: calls }) => calls.map((seen) => ({ right, ...seen })));
  if (refused.length === 0) {
    return ['none of its calls was refused, whatever was taken away'];
  }
  return refused
    .filter(({ call }) => call.status === undefined || (isSuccess(call) && !tellsOfRefusal(call.text)))
    .map(({ right, call, messages: [message] }) => {
      const what = call.status === undefined ? 'gave no answer' : 'answered as if nothing had happened';
      return `without ${describeRight(right)} the API server refused (${message}), and it ${what}: ${describeCall(call)}`;
    });
}

/** RB-25m */
export function namesMissingRights({ work }: PermissionsRecord): Finding[] {
  return work.flatMap(({ right, test }) => {
    if (test === undefined || namesRight(right, test.text)) {
      return [];
    }
    const what = test.value?.connected === true ? 'is connected' : 'is not connected, and does not name that';
    return [`without ${describeRight(right)} the connection test says that it ${what}: ${describeCall(test)}`];
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
    ...(observations.every(({ requests }) => requests.length === 0) ? ['it asked the API server for nothing'] : []),
    ...observations.flatMap((record) => {
      const { namespaced, cluster, undocumented } = record.target.rules;
      const beyond = record.requests.filter(
        (request) =>
          undocumented.some((rule) => ruleAllows(rule, request)) &&
          ![...namespaced, ...cluster].some((rule) => ruleAllows(rule, request)),
      );
      return [
        ...[...refusedKinds(record)].map(
          ([kind, { code, message }]) => `it was refused ${kind} (${code}): ${message ?? 'no reason given'}`,
        ),
        ...new Set(
          beyond.map(
            ({ name: _, ...kind }) =>
              `it needs ${describeRecord(kind).replaceAll(record.namespace, 'its namespace')}, which is not documented`,
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
