import { expect } from 'vitest';
import { Violation } from '../../harness/core/errors.ts';
import type { TokenReviewResult } from '../../harness/kubernetes/cluster-tokens.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { PRODUCTION } from './rotation.ts';

/** A token for a provider, which is reviewed, and one for the API server, which is used, of the same identity. */
export interface TokenPair {
  provider: string;
  api: string;
}

/** What the API server makes of a pair: the status of a call, and a TokenReview. */
export interface Evaluated {
  call: number;
  review: TokenReviewResult;
}

export const ACCEPTED = { call: 201, review: { authenticated: true } };
export const REFUSED = { call: 401, review: { authenticated: false } };

/**
 * Holds a pair of tokens that are to be refused by now against what was made of them.
 *
 * @throws Violation that may be the machine's fault where one of them is accepted yet: a server that learns of
 *   something late goes by it late
 */
export function expectRefused(seen: Evaluated, what: string): void {
  if (seen.call === ACCEPTED.call || seen.review.authenticated) {
    throw new Violation(`${what} is accepted: ${JSON.stringify(seen)}`, true);
  }
  expect(seen, what).toMatchObject(REFUSED);
}

export interface MintOptions {
  namespace: string;
  serviceAccount: string;
  boundPod?: { name: string; uid: string };
  /** Default: 900, Kubernetes' minimum and a margin. */
  expirationSeconds?: number;
}

/** Mints a pair by the TokenRequest API. */
export async function mintPair(t: RequirementContext, options: MintOptions): Promise<TokenPair> {
  const { createToken, apiAudiences } = await t.cluster();
  const base = { expirationSeconds: 900, ...options };
  return {
    provider: (await createToken({ ...base, audiences: [PRODUCTION] })).token,
    api: (await createToken({ ...base, audiences: apiAudiences })).token,
  };
}

/** Uses every pair once, one after another. */
export async function evaluateAll<Name extends string>(
  t: RequirementContext,
  pairs: Record<Name, TokenPair>,
): Promise<Record<Name, Evaluated>> {
  const { callWithToken, reviewToken } = await t.cluster();
  const evaluated: Partial<Record<Name, Evaluated>> = {};
  for (const [name, { provider, api }] of Object.entries<TokenPair>(pairs)) {
    evaluated[name as Name] = { call: await callWithToken(api), review: await reviewToken(provider, [PRODUCTION]) };
  }
  return evaluated as Record<Name, Evaluated>;
}
