import { ApiException, type V1PolicyRule, type V1Role, type V1RoleBinding } from '@kubernetes/client-node';
import { HarnessError, NotTestable } from '../core/errors.ts';
import { decodeToken } from '../core/token.ts';
import type { ClusterHandle } from '../kubernetes/cluster-handle.ts';
import { mayNotGive } from '../kubernetes/rbac.ts';
import type { RequirementContext } from '../rpc/context.ts';

/** An answer to a TokenRequest that may be a refusal; without the token itself, so that it is fit for evidence. */
export interface TokenRequestAnswer {
  status: number;
  /** `message` of a refusal. */
  message?: string;
  /** Of a token that was given: `exp` − `iat` in seconds. */
  life?: number;
}

/** Who asks: a token of its own, or somebody whom the harness impersonates. */
type Caller = { bearer: string } | { impersonate: { user: string; group: string } };

/** Posts a TokenRequest as it is and answers what came of it; a refusal is no error. */
export async function postTokenRequest(
  cluster: ClusterHandle,
  account: { namespace: string; serviceAccount: string },
  spec: Record<string, unknown>,
  caller?: Caller,
): Promise<TokenRequestAnswer> {
  const as: Record<string, string> =
    caller === undefined
      ? {}
      : 'bearer' in caller
        ? { authorization: `Bearer ${caller.bearer}` }
        : { 'impersonate-user': caller.impersonate.user, 'impersonate-group': caller.impersonate.group };
  const send = caller !== undefined && 'bearer' in caller ? cluster.requestWithoutCredentials : cluster.request;
  const response = await send(
    `/api/v1/namespaces/${account.namespace}/serviceaccounts/${account.serviceAccount}/token`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...as },
      body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }),
    },
  );
  const body = (await response.json()) as { message?: string; status?: { token?: string } };
  const { token } = response.ok ? (body.status ?? {}) : {};
  const { iat, exp } = token === undefined ? {} : decodeToken(token).claims;
  return {
    status: response.status,
    ...(body.message === undefined ? {} : { message: body.message }),
    ...(iat === undefined || exp === undefined ? {} : { life: exp - iat }),
  };
}

/** How long a grant may take to be known to the API server. */
const GRANT_SECONDS = 10;
const LOOK_EVERY_MS = 100;

/**
 * Gives a ServiceAccount rights in a namespace, its own or another one, by a Role of its name.
 *
 * @param from namespace of the ServiceAccount
 * @throws HarnessError where the harness may not give them: it holds less itself (a live cluster)
 */
export async function grant(
  t: RequirementContext,
  namespace: string,
  serviceAccount: string,
  rules: V1PolicyRule[],
  from: string = namespace,
): Promise<void> {
  const cluster = await t.cluster();
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const metadata = { name: serviceAccount, namespace };
  const role: V1Role = { apiVersion, kind: 'Role', metadata, rules };
  const binding: V1RoleBinding = {
    apiVersion,
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: serviceAccount },
    subjects: [{ kind: 'ServiceAccount', name: serviceAccount, namespace: from }],
  };
  try {
    await cluster.create([role, binding]);
  } catch (error) {
    if (error instanceof ApiException && error.code === 403) {
      throw new HarnessError(mayNotGive(rules, namespace), { cause: error });
    }
    throw error;
  }
}

/** What somebody may do, as a LocalSubjectAccessReview asks it. */
interface AccessQuestion {
  user: string;
  groups?: string[];
  resourceAttributes: { verb: string; group?: string; resource: string; subresource?: string; name?: string };
}

/**
 * Waits until the API server knows of a right. There is nothing to watch: authorizers follow their objects in memory.
 *
 * @throws NotTestable when it does not in time
 */
export async function untilAllowed(t: RequirementContext, namespace: string, question: AccessQuestion): Promise<void> {
  const { request } = await t.cluster();
  const end = Date.now() + GRANT_SECONDS * 1000;
  for (;;) {
    const response = await request(`/apis/authorization.k8s.io/v1/namespaces/${namespace}/localsubjectaccessreviews`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'LocalSubjectAccessReview',
        metadata: { namespace },
        spec: { ...question, resourceAttributes: { namespace, ...question.resourceAttributes } },
      }),
    });
    const { status } = (await response.json()) as { status?: { allowed?: boolean; reason?: string } | string };
    if (typeof status === 'object' && status.allowed === true) {
      return;
    }
    if (Date.now() > end) {
      throw new NotTestable(
        `${question.user} was not given ${question.resourceAttributes.verb} within ${GRANT_SECONDS} s; the review answered ${response.status} ${JSON.stringify(status)}`,
      );
    }
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_EVERY_MS);
    });
  }
}
