import type { AuthenticationV1Api, CoreV1Api } from '@kubernetes/client-node';
import { HarnessError, Violation } from '../core/errors.ts';
import type { ApiRequest } from './api-requests.ts';

export interface TokenRequestOptions {
  namespace: string;
  serviceAccount: string;
  /** Absent: the API server's default. */
  audiences?: string[];
  expirationSeconds?: number;
  boundPod?: { name: string; uid: string };
}

/** An answer to a TokenRequest. */
export interface IssuedToken {
  token: string;
  /** `status.expirationTimestamp`. */
  expirationTimestamp: Date;
  /** `spec.expirationSeconds` as answered: the cluster may have capped what was asked. */
  expirationSeconds: number;
}

/** An answer to a TokenReview; success is `authenticated` and an intersection in `audiences`. */
export interface TokenReviewResult {
  authenticated: boolean;
  audiences: string[];
  error?: string;
  username?: string;
}

/** Mints a token of a ServiceAccount (Kubernetes, TokenRequest). @throws HarnessError where the answer has none */
export async function createToken(
  core: CoreV1Api,
  { namespace, serviceAccount, audiences = [], expirationSeconds, boundPod }: TokenRequestOptions,
): Promise<IssuedToken> {
  const answer = await core.createNamespacedServiceAccountToken({
    namespace,
    name: serviceAccount,
    body: {
      spec: {
        audiences,
        ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
        ...(boundPod === undefined ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...boundPod } }),
      },
    },
  });
  const { token, expirationTimestamp } = answer.status ?? {};
  if (token === undefined || expirationTimestamp === undefined) {
    throw new HarnessError('the TokenRequest was answered without a token');
  }
  return {
    token,
    expirationTimestamp: new Date(expirationTimestamp),
    expirationSeconds: answer.spec?.expirationSeconds ?? Number.NaN,
  };
}

export async function reviewToken(
  authentication: AuthenticationV1Api,
  token: string,
  audiences: string[] | undefined,
): Promise<TokenReviewResult> {
  const { status } = await authentication.createTokenReview({
    body: { spec: { token, ...(audiences === undefined ? {} : { audiences }) } },
  });
  return {
    authenticated: status?.authenticated === true,
    audiences: status?.audiences ?? [],
    ...(status?.error === undefined ? {} : { error: status.error }),
    ...(status?.user?.username === undefined ? {} : { username: status.user.username }),
  };
}

/** True for an answer of a server that has too much to do, or fails: it says nothing of what was asked. */
export function saysNothing(status: number): boolean {
  return status === 429 || status >= 500;
}

/**
 * HTTP status of a self-review, which every authenticated ServiceAccount may make, with `token` alone.
 *
 * @throws Violation that may be the machine's fault where the API server neither takes nor refuses the token
 */
export async function callWithToken(requestWithoutCredentials: ApiRequest, token: string): Promise<number> {
  const response = await requestWithoutCredentials('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }),
  });
  await response.arrayBuffer();
  if (saysNothing(response.status)) {
    throw new Violation(`the API server answered ${response.status} to a call with a token`, true);
  }
  return response.status;
}
