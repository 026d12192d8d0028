import { createServiceAccount, podSpec } from '../../harness/probes/pods.ts';
import { grant, postTokenRequest, type TokenRequestAnswer, untilAllowed } from '../../harness/probes/token-requests.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';

export const SERVICE_ACCOUNT = 'agent';
export const PRODUCTION = 'https://production.conformance.test';

const MINT = { verb: 'create', resource: 'serviceaccounts', subresource: 'token' };
const LIFE_SECONDS = 600;

/**
 * TokenRequests for {@link SERVICE_ACCOUNT} by itself, by an account with every verb on ServiceAccounts, and by one
 * that may mint.
 */
export async function requestTokensAsAccounts(
  t: RequirementContext,
  namespace: string,
): Promise<Record<'itself' | 'managesAccounts' | 'mayMint', TokenRequestAnswer>> {
  const cluster = await t.cluster();
  const account = { namespace, serviceAccount: SERVICE_ACCOUNT };
  const user = (name: string): string => `system:serviceaccount:${namespace}:${name}`;
  for (const name of ['manages-accounts', 'may-mint']) {
    await createServiceAccount(t, namespace, name, false);
  }
  await grant(t, namespace, 'manages-accounts', [{ apiGroups: [''], resources: ['serviceaccounts'], verbs: ['*'] }]);
  await grant(t, namespace, 'may-mint', [{ apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] }]);
  await untilAllowed(t, namespace, {
    user: user('manages-accounts'),
    resourceAttributes: { verb: 'delete', resource: 'serviceaccounts' },
  });
  await untilAllowed(t, namespace, { user: user('may-mint'), resourceAttributes: MINT });
  const ask = async (serviceAccount: string): Promise<TokenRequestAnswer> => {
    const { token } = await cluster.createToken({
      namespace,
      serviceAccount,
      audiences: cluster.apiAudiences,
      expirationSeconds: LIFE_SECONDS,
    });
    const request = { audiences: [PRODUCTION], expirationSeconds: LIFE_SECONDS };
    return postTokenRequest(cluster, account, request, { bearer: token });
  };
  return {
    itself: await ask(SERVICE_ACCOUNT),
    managesAccounts: await ask('manages-accounts'),
    mayMint: await ask('may-mint'),
  };
}

/** TokenRequests by the node of a pod, bound to that pod and not bound, and by another node, bound to the same pod. */
export async function requestTokensAsNodes(
  t: RequirementContext,
  namespace: string,
): Promise<Record<'itsNode' | 'itsNodeNotBound' | 'anotherNode', TokenRequestAnswer>> {
  const cluster = await t.cluster();
  // No kubelet has to run it: there is no such node. The name is its own, for Kubernetes soon removes pods of a node
  // that it misses.
  const elsewhere = `elsewhere.${namespace}`;
  const projected = { sources: [{ serviceAccountToken: { path: 'token', audience: PRODUCTION } }] };
  const { metadata } = await cluster.core.createNamespacedPod({
    namespace,
    body: {
      metadata: { name: 'elsewhere' },
      spec: {
        ...podSpec(cluster.workloadImage, SERVICE_ACCOUNT, { name: 'idle' }),
        nodeName: elsewhere,
        volumes: [{ name: 'token', projected }],
      },
    },
  });
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: 'elsewhere', uid: metadata?.uid };
  const [node] = (await cluster.core.listNode()).items;
  await untilAllowed(t, namespace, {
    user: `system:node:${elsewhere}`,
    groups: ['system:nodes'],
    resourceAttributes: { ...MINT, name: SERVICE_ACCOUNT },
  });
  const ask = (name: string, isBound: boolean): Promise<TokenRequestAnswer> => {
    const request = { audiences: [PRODUCTION], expirationSeconds: LIFE_SECONDS };
    const account = { namespace, serviceAccount: SERVICE_ACCOUNT };
    const impersonate = { user: `system:node:${name}`, group: 'system:nodes' };
    return postTokenRequest(cluster, account, isBound ? { ...request, boundObjectRef } : request, { impersonate });
  };
  return {
    itsNode: await ask(elsewhere, true),
    itsNodeNotBound: await ask(elsewhere, false),
    anotherNode: await ask(node?.metadata?.name ?? '', true),
  };
}
