import { grant } from '../../harness/probes/token-requests.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { accountWith, type Call, type Caller, collectionPath, RESOURCES, untilAccountMay } from './calls.ts';

const { roles, roleBindings } = RESOURCES;
const RBAC = roles.group;

/** Rules of the accounts: a right that they hold, one that they lack, and those by which they edit Roles. */
const RULES = {
  held: { apiGroups: [''], resources: ['configmaps'], verbs: ['get'] },
  lacked: { apiGroups: [''], resources: ['secrets'], verbs: ['get'] },
  editsRoles: {
    apiGroups: [RBAC],
    resources: ['roles', 'rolebindings'],
    verbs: ['get', 'create', 'update', 'patch'],
  },
};

/**
 * Three accounts that may edit Roles and RoleBindings of a namespace: one with nothing more than a right of its own,
 * one that may `escalate`, and one that may `bind` the Role `holds-lacked`. Roles to bind are those of ServiceAccounts
 * that do not exist.
 */
export async function accountsThatEditRoles(
  t: RequirementContext,
  namespace: string,
): Promise<Record<'plain' | 'escalates' | 'binds', { call: Caller }> & { rules: typeof RULES }> {
  const { held, lacked, editsRoles } = RULES;
  await grant(t, namespace, 'holds-held', [held]);
  await grant(t, namespace, 'holds-lacked', [lacked]);
  const on = { apiGroups: [RBAC], resources: ['roles'] };
  const accounts = {
    plain: await accountWith(t, namespace, 'plain', [editsRoles, held]),
    escalates: await accountWith(t, namespace, 'escalates', [editsRoles, { ...on, verbs: ['escalate'] }]),
    binds: await accountWith(t, namespace, 'binds', [
      editsRoles,
      { ...on, verbs: ['bind'], resourceNames: ['holds-lacked'] },
    ]),
  };
  const rights = [
    ['plain', { verb: 'get', resource: 'configmaps' }],
    ['escalates', { verb: 'escalate', group: RBAC, resource: 'roles' }],
    ['binds', { verb: 'bind', group: RBAC, resource: 'roles', name: 'holds-lacked' }],
  ] as const;
  for (const [name, right] of rights) {
    await untilAccountMay(t, { namespace, name }, right);
  }
  return { ...accounts, rules: RULES };
}

/** Calls by which such an account tries to give rights. */
export function roleCalls(namespace: string): {
  createRole(name: string, rules: unknown[]): Call;
  patchRole(name: string, rules: unknown[]): Call;
  bindRole(name: string, role: string): Call;
} {
  const apiVersion = `${RBAC}/v1`;
  return {
    createRole: (name, rules) => ({
      verb: 'create',
      method: 'POST',
      path: collectionPath(roles, namespace),
      body: { apiVersion, kind: 'Role', metadata: { name, namespace }, rules },
    }),
    patchRole: (name, rules) => ({
      verb: 'patch',
      method: 'PATCH',
      path: `${collectionPath(roles, namespace)}/${name}`,
      headers: { 'content-type': 'application/merge-patch+json' },
      body: { rules },
    }),
    bindRole: (name, role) => ({
      verb: 'create',
      method: 'POST',
      path: collectionPath(roleBindings, namespace),
      body: {
        apiVersion,
        kind: 'RoleBinding',
        metadata: { name, namespace },
        roleRef: { apiGroup: RBAC, kind: 'Role', name: role },
        subjects: [{ kind: 'ServiceAccount', name: 'plain', namespace }],
      },
    }),
  };
}
