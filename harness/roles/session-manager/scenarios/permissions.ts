/**
 * What a session manager does when rights are taken from it, and when a caller asks for one that is nobody's to give.
 */

import { NotTestable } from '../../../core/errors.ts';
import type { PolicyRule } from '../../../core/policy-rule.ts';
import { documentedRole, PERMISSIONS, permissionDiff } from '../../../kubernetes/permissions.ts';
import {
  describeRight,
  isSelfReview,
  neededActions,
  type Right,
  rightsOf,
  ruleAllows,
  ruleOf,
  rulesWithout,
  smallestRules,
} from '../../../kubernetes/rbac.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { sameRights } from '../../job-runner/scenarios/permissions.ts';
import { type Call, describeCall } from '../driver.ts';
import { observed } from '../evidence.ts';
import { type LaunchedManager, type ManagerRecord, withSessionManager } from '../launch.ts';
import { first, POD_SECONDS, untilReady } from '../record.ts';
import { sessionManagerTarget } from '../target.ts';
import { observeWork, useManager, type WorkRecord } from './work.ts';

/** What was called while one right was taken away. */
export interface WorkWithout {
  right: Right;
  /** Absent where the capability `connection-test` is not declared. */
  test?: Call;
  /** Calls during which the API server refused something, with its words. */
  refused: { call: Call; messages: string[] }[];
}

export interface PermissionsRecord extends ManagerRecord {
  work: WorkWithout[];
}

/** Takes each right that the work needed away, one after the other, and calls everything. */
export async function observeMissingRights(t: RequirementContext): Promise<PermissionsRecord> {
  const record = await observed(t, 'missing rights', async () => {
    const { rules } = sessionManagerTarget(t);
    const documented = [...rules.namespaced, ...rules.undocumented];
    const needed = neededActions((await observeWork(t)).requests);
    const used = rightsOf(documented).filter(
      (right) => !isSelfReview(right) && needed.some((action) => ruleAllows(ruleOf(right), action)),
    );
    return withSessionManager(t, { purpose: 'missing rights' }, async (manager) => {
      const { namespace, image } = manager;
      await manager.call('createPod', { name: 'agent', namespace, image, command: ['sleep', '300'] });
      await untilReady(manager, 'agent');
      const work: WorkWithout[] = [];
      for (const right of used) {
        work.push(await workWithout(manager, right, documented));
      }
      return { ...manager.record(), work };
    });
  });
  t.evidence(
    'calls with each right revoked',
    record.work.map(({ right, test, refused }) => ({
      without: describeRight(right),
      ...(test === undefined ? {} : { test: describeCall(test) }),
      refused: refused.map(({ call }) => describeCall(call)),
    })),
  );
  return record;
}

async function workWithout(manager: LaunchedManager, right: Right, documented: PolicyRule[]): Promise<WorkWithout> {
  const { access, namespace, target } = manager;
  await access.setRules(rulesWithout(documented, right));
  const refused: WorkWithout['refused'] = [];
  try {
    const test = target.capabilities.includes('connection-test')
      ? { test: await manager.call('testConnection', { namespace }) }
      : {};
    let known = (await access.records()).length;
    for (const act of actsOf(manager, right)) {
      const call = await act();
      const records = await access.records();
      const messages = records
        .slice(known)
        .flatMap(({ code, message }) => (code === 403 ? [message ?? 'Forbidden'] : []));
      known = records.length;
      if (messages.length > 0) {
        refused.push({ call, messages });
      }
    }
    return { right, ...test, refused };
  } finally {
    await access.setRules(documented);
  }
}

/** Every operation that is declared, on objects of its own. */
function actsOf(manager: LaunchedManager, right: Right): (() => Promise<Call>)[] {
  const { namespace, image, target } = manager;
  const name = `without-${right.verb}-${right.resource.replaceAll('/', '-')}`;
  const has = (capability: (typeof target.capabilities)[number], ...acts: (() => Promise<Call>)[]) =>
    target.capabilities.includes(capability) ? acts : [];
  const secretEnv = { AGENT_KEY: 'of a test' };
  return [
    ...has(
      'pods',
      () => manager.call('createPod', { name, namespace, image, command: ['true'], secretEnv }),
      () => manager.call('getPod', { name: 'agent', namespace }),
      () => manager.call('listPods', { namespace }),
    ),
    ...has('logs', () => manager.call('readLogs', { name: 'agent', namespace })),
    ...has('exec', () => manager.call('exec', { name: 'agent', namespace, command: ['true'] })),
    ...has('pods', () => manager.call('deletePod', { name, namespace })),
    ...has(
      'services',
      () => manager.call('createService', { name, namespace, selector: { app: 'none' }, ports: [{ port: 80 }] }),
      () => manager.call('getService', { name, namespace }),
      () => manager.call('listServices', { namespace }),
      () => manager.call('deleteService', { name, namespace }),
    ),
    ...has('clean-up', () => manager.call('cleanUp', { namespace, maxAgeMs: 0 })),
  ];
}

/** Who no session may be: it is there, so that a pod of its would start. */
const FOREIGN = 'conformance-foreign';

export interface ServiceAccountsRecord extends ManagerRecord {
  control: Call;
  call: Call;
  /** ServiceAccounts that the pods had. */
  accounts: { control: string | undefined; asked: string | undefined };
}

/** Asks for a pod as it is, and for one with a ServiceAccount that is not declared. */
export function observeServiceAccounts(t: RequirementContext): Promise<ServiceAccountsRecord> {
  return withSessionManager(t, { purpose: 'accounts' }, async (manager) => {
    const { namespace, image, cluster, objects } = manager;
    await cluster.create([{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: FOREIGN, namespace } }]);
    const pod = { namespace, image, command: ['true'] };
    const control = await manager.call('createPod', { ...pod, name: 'control' });
    const call = await manager.call('createPod', { ...pod, name: 'asked', serviceAccount: FOREIGN });
    await manager.until(() => first(objects, 'Pod', 'control'), POD_SECONDS);
    const isSettled = (): true | undefined =>
      first(objects, 'Pod', 'asked') !== undefined || call.status === undefined || call.status >= 400 || undefined;
    await manager.until(isSettled, POD_SECONDS);
    if (first(objects, 'Pod', 'control') === undefined) {
      throw new NotTestable('a session that asks for no ServiceAccount had no pod');
    }
    const accountOf = (name: string): string | undefined => first(objects, 'Pod', name)?.spec?.serviceAccountName;
    const accounts = { control: accountOf('control'), asked: accountOf('asked') };
    t.evidence('ServiceAccounts of the pods', accounts);
    return { ...manager.record(), control, call, accounts };
  });
}

/** The session under the documented rules alone: what the target file calls undocumented is left out. */
export function observeDocumentedRights(t: RequirementContext): Promise<WorkRecord> {
  const target = sessionManagerTarget(t);
  const { rules } = target;
  t.evidence('the documented Role', documentedRole(target));
  return rules.undocumented.length === 0 ? observeWork(t) : useManager(t, 'documented', rules.namespaced);
}

/** The same beside one under the smallest Role that it needs, where that is another. */
export interface SmallestRoleRecord extends WorkRecord {
  underSmallest?: WorkRecord;
}

export async function observeSmallestRole(t: RequirementContext): Promise<SmallestRoleRecord> {
  const target = sessionManagerTarget(t);
  const { rules } = target;
  const record = await observeWork(t);
  const documented = [...rules.namespaced, ...rules.cluster];
  const smallest = smallestRules(record.requests, documented);
  t.evidence(PERMISSIONS, permissionDiff(target, record.requests));
  // Under the same rights the first run is its own proof.
  return sameRights(smallest, documented)
    ? record
    : { ...record, underSmallest: await useManager(t, 'smallest', [...smallest, ...rules.undocumented]) };
}
