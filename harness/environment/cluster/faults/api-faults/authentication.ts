import { decodeToken } from '../../../../core/token.ts';
import {
  type Answer,
  type Exchange,
  type Fault,
  isAccepted,
  isTokenReview,
  json,
  parse,
  refuseToken,
  type Send,
  showsToken,
  type TokenReviewBody,
  tokenOf,
} from './exchange.ts';

function isKeySet({ method, path }: Exchange): boolean {
  return method === 'GET' && path.startsWith('/openid/v1/jwks');
}

function isExpired(token: string): boolean {
  return (decodeToken(token).claims.exp ?? 0) * 1000 <= Date.now();
}

/** Answers from memory what was once accepted and is not any more, for the tokens that `still` names. */
function remembers(still: (token: string, send: Send) => boolean | Promise<boolean>): Fault {
  const memory = new Map<string, Answer>();
  return {
    concerns: showsToken,
    async answer(exchange, send) {
      const real = await send(exchange);
      const token = tokenOf(exchange);
      if (token === undefined) {
        return real;
      }
      const key = [exchange.path, exchange.body.toString('utf8'), exchange.headers.authorization].join('\n');
      if (isAccepted(exchange, real)) {
        memory.set(key, real);
        return real;
      }
      const remembered = memory.get(key);
      return remembered !== undefined && (await still(token, send)) ? remembered : real;
    },
  };
}

/**
 * Whether there are a ServiceAccount and a pod of the names that a token holds, not being deleted, whatever their uids
 * are.
 */
async function namesExist(token: string, send: Send): Promise<boolean> {
  const bound = decodeToken(token).claims['kubernetes.io'];
  const paths = [
    `serviceaccounts/${bound?.serviceaccount?.name}`,
    ...(bound?.pod?.name === undefined ? [] : [`pods/${bound.pod.name}`]),
  ];
  const answers = await Promise.all(
    paths.map((path) =>
      send({
        method: 'GET',
        path: `/api/v1/namespaces/${bound?.namespace}/${path}`,
        headers: { accept: 'application/json' },
        body: Buffer.alloc(0),
      }),
    ),
  );
  return answers.every(
    ({ status, body }) =>
      status === 200 &&
      parse<{ metadata?: { deletionTimestamp?: string } }>(body).metadata?.deletionTimestamp === undefined,
  );
}

/** Refuses a token as soon as it has seen the next one of the same pod for the same audience. */
function refusesReplacedTokens(): Fault {
  const newest = new Map<string, number>();
  return {
    concerns: showsToken,
    async answer(exchange, send) {
      const real = await send(exchange);
      const token = tokenOf(exchange);
      if (token === undefined || !isAccepted(exchange, real)) {
        return real;
      }
      const { sub, aud, iat = 0, 'kubernetes.io': own } = decodeToken(token).claims;
      if (own?.pod === undefined) {
        return real;
      }
      const key = JSON.stringify([sub, aud, own.pod.uid]);
      const latest = Math.max(newest.get(key) ?? 0, iat);
      newest.set(key, latest);
      if (iat === latest) {
        return real;
      }
      return refuseToken(exchange, real, 'the token was replaced');
    },
  };
}

/** The id of the key that the cluster signs with now, from a token of its own. */
async function currentKeyId(send: Send): Promise<unknown> {
  const answer = await send({
    method: 'POST',
    path: '/api/v1/namespaces/default/serviceaccounts/default/token',
    headers: { 'content-type': 'application/json' },
    body: json({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [] } }),
  });
  return decodeToken(parse<{ status: { token: string } }>(answer.body).status.token).header.kid;
}

/** Knows the key that it signs with and none before it. */
function previousKeyForgotten(): Fault {
  let current: Promise<unknown> | undefined;
  return {
    concerns: (exchange) => isKeySet(exchange) || showsToken(exchange),
    async answer(exchange, send) {
      const real = await send(exchange);
      current ??= currentKeyId(send);
      const kid = await current;
      if (isKeySet(exchange) && real.status === 200) {
        const { keys } = parse<{ keys: { kid: string }[] }>(real.body);
        return { status: 200, body: json({ keys: keys.filter((key) => key.kid === kid) }) };
      }
      const token = tokenOf(exchange);
      return token === undefined || decodeToken(token).header.kid === kid
        ? real
        : refuseToken(exchange, real, 'invalid signature, no keys found');
    },
  };
}

/** Faults of authentication and of the published keys, by the name that suites/SUITE/twins.yaml gives. */
export const AUTHENTICATION_FAULTS: Record<string, () => Fault> = {
  'accepts-expired-tokens': () => remembers(isExpired),
  'token-outlives-its-pod': () => remembers((token) => !isExpired(token)),
  'uid-ignored': () => remembers((token, send) => !isExpired(token) && namesExist(token, send)),
  'refuses-replaced-tokens': refusesReplacedTokens,
  'token-review-ignores-audiences': () => ({
    concerns: isTokenReview,
    async answer(exchange, send) {
      const real = await send(exchange);
      if (isAccepted(exchange, real)) {
        return real;
      }
      const review = parse<TokenReviewBody>(exchange.body);
      const audiences = [decodeToken(review.spec.token).claims.aud ?? []].flat();
      const answer = await send({ ...exchange, body: json({ ...review, spec: { ...review.spec, audiences } }) });
      const body = parse<TokenReviewBody>(answer.body);
      if (body.status?.authenticated === true) {
        body.status.audiences = review.spec.audiences ?? audiences;
      }
      return { status: answer.status, body: json(body) };
    },
  }),
  'signing-key-not-published': () => ({
    concerns: isKeySet,
    async answer(exchange, send) {
      const real = await send(exchange);
      if (real.status !== 200) {
        return real;
      }
      const { keys } = parse<{ keys: { kid: string }[] }>(real.body);
      return { status: 200, body: json({ keys: keys.map((key) => ({ ...key, kid: `another-${key.kid}` })) }) };
    },
  }),
  'previous-key-forgotten': previousKeyForgotten,
};
