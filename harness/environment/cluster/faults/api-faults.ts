import { decodeToken } from '../../../core/token.ts';
import { attributesOf, type RequestAttributes } from '../../../kubernetes/request-attributes.ts';
import { JOB_FAULTS } from './api-faults-jobs.ts';
import { VOLUME_FAULTS } from './api-faults-volumes.ts';

/** A request to the API server, as it came or as a fault wants it sent. */
export interface Exchange {
  method: string;
  path: string;
  /** What says who asks and in which form: `authorization`, `impersonate-*`, `accept`, `content-type`. Without the first the harness asks. */
  headers: Record<string, string>;
  body: Buffer;
}

export interface Answer {
  status: number;
  body: Buffer;
}

/** Sends a request to the real API server. */
type Send = (exchange: Exchange) => Promise<Answer>;

/** How a faulty API server differs from the real one. */
export interface Fault {
  /** Whatever it does not concern goes through as it is, streams too. */
  concerns(exchange: Exchange): boolean;
  /** The answer to a request; for one that asks for an upgrade, 101 grants it. */
  answer(exchange: Exchange, send: Send): Promise<Answer>;
}

interface TokenReviewBody {
  spec: { token: string; audiences?: string[] };
  status?: { authenticated?: boolean; audiences?: string[]; error?: string };
}

interface TokenRequestBody {
  spec?: { audiences?: string[]; expirationSeconds?: number };
  status?: { expirationTimestamp?: string };
}

interface AskedLife {
  expirationSeconds?: number;
}

interface PodBody {
  spec?: { volumes?: { projected?: { sources?: { serviceAccountToken?: AskedLife }[] } }[] };
}

const MINIMUM_LIFE_SECONDS = 600;
const HOUR_MS = 3_600_000;

function parse<T>(body: Buffer): T {
  return JSON.parse(body.toString('utf8')) as T;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function isTokenReview({ method, path }: Exchange): boolean {
  return method === 'POST' && path.startsWith('/apis/authentication.k8s.io/v1/tokenreviews');
}

function isTokenRequest({ method, path }: Exchange): boolean {
  return method === 'POST' && /^\/api\/v1\/namespaces\/[^/]+\/serviceaccounts\/[^/]+\/token(\?|$)/.test(path);
}

function isPodCreation({ method, path }: Exchange): boolean {
  return method === 'POST' && /^\/api\/v1\/namespaces\/[^/]+\/pods(\?|$)/.test(path);
}

function isKeySet({ method, path }: Exchange): boolean {
  return method === 'GET' && path.startsWith('/openid/v1/jwks');
}

function bearerOf({ headers }: Exchange): string | undefined {
  return headers.authorization?.replace(/^Bearer /, '');
}

/** Whether an exchange shows a token: as its own credential, or for a review. */
function showsToken(exchange: Exchange): boolean {
  return isTokenReview(exchange) || bearerOf(exchange) !== undefined;
}

/** The token that an exchange is about. */
function tokenOf(exchange: Exchange): string | undefined {
  return isTokenReview(exchange) ? parse<TokenReviewBody>(exchange.body).spec.token : bearerOf(exchange);
}

function isAccepted(exchange: Exchange, answer: Answer): boolean {
  if (!isTokenReview(exchange)) {
    return answer.status !== 401;
  }
  return parse<TokenReviewBody>(answer.body).status?.authenticated === true;
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

/** Whether there are a ServiceAccount and a pod of the names that a token holds, not being deleted, whatever their uids are. */
async function namesExist(token: string, send: Send): Promise<boolean> {
  const own = decodeToken(token).claims['kubernetes.io'];
  const paths = [
    `serviceaccounts/${own?.serviceaccount?.name}`,
    ...(own?.pod?.name === undefined ? [] : [`pods/${own.pod.name}`]),
  ];
  const answers = await Promise.all(
    paths.map((path) =>
      send({
        method: 'GET',
        path: `/api/v1/namespaces/${own?.namespace}/${path}`,
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

/** A refusal of the token that an exchange shows, in place of the real answer. */
function refuseToken(exchange: Exchange, real: Answer, error: string): Answer {
  if (!isTokenReview(exchange)) {
    return { status: 401, body: json({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 401 }) };
  }
  return { status: real.status, body: json({ ...parse<TokenReviewBody>(real.body), status: { error } }) };
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

/** A fault of TokenRequests alone. */
function ofTokenRequests(answer: Fault['answer']): Fault {
  return { concerns: isTokenRequest, answer };
}

/** Where a TokenRequest or a pod names lives of tokens; the same places in the same order in a request and its answer. */
function askedLives(exchange: Exchange, body: TokenRequestBody & PodBody): (AskedLife | undefined)[] {
  return isTokenRequest(exchange)
    ? [body.spec]
    : (body.spec?.volumes ?? []).flatMap(({ projected }) =>
        (projected?.sources ?? []).map(({ serviceAccountToken }) => serviceAccountToken),
      );
}

/** The same exchange as the harness itself would have it. */
function withHarnessRights(exchange: Exchange): Exchange {
  const { accept, 'content-type': contentType } = exchange.headers;
  return {
    ...exchange,
    headers: {
      ...(accept === undefined ? {} : { accept }),
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
    },
  };
}

/** What somebody with a token asks of a resource; reviews of access are left alone. */
function askedOf(exchange: Exchange): RequestAttributes | undefined {
  const asked = bearerOf(exchange) === undefined ? undefined : attributesOf(exchange.method, exchange.path);
  return asked?.group === 'authorization.k8s.io' ? undefined : asked;
}

const ACCESS_REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

interface AccessReviewBody {
  spec?: { resourceAttributes?: RequestAttributes };
  status?: { allowed?: boolean; denied?: boolean; reason?: string };
}

/** Whether the caller of an exchange may do something else, by the review that it could ask for itself. */
async function mayCaller({ headers }: Exchange, resourceAttributes: RequestAttributes, send: Send): Promise<boolean> {
  const answer = await send({
    method: 'POST',
    path: ACCESS_REVIEWS,
    headers: { authorization: headers.authorization ?? '', 'content-type': 'application/json' },
    body: json({
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes },
    }),
  });
  return parse<AccessReviewBody>(answer.body).status?.allowed === true;
}

/** Does with the harness's rights what was refused to a token, where `grants` says so. */
function grantsMore(grants: (asked: RequestAttributes, exchange: Exchange, send: Send) => Promise<boolean>): Fault {
  return {
    concerns: (exchange) => askedOf(exchange) !== undefined,
    async answer(exchange, send) {
      const real = await send(exchange);
      const asked = askedOf(exchange);
      const granted = real.status === 403 && asked !== undefined && (await grants(asked, exchange, send));
      return granted ? send(withHarnessRights(exchange)) : real;
    },
  };
}

/** Who was allowed something in one namespace is allowed it everywhere. */
function roleHoldsEverywhere(): Fault {
  /** The namespaces in which a call was allowed, by who made it and what it was. */
  const allowed = new Map<string, Set<string | undefined>>();
  const keyOf = (exchange: Exchange, { verb, group, resource, subresource }: RequestAttributes): string =>
    JSON.stringify([decodeToken(bearerOf(exchange) ?? '').claims.sub, verb, group, resource, subresource]);
  const granting = grantsMore(async (asked, exchange) => {
    const where = allowed.get(keyOf(exchange, asked));
    return where !== undefined && !where.has(asked.namespace);
  });
  return {
    ...granting,
    async answer(exchange, send) {
      const answer = await granting.answer(exchange, send);
      const asked = askedOf(exchange);
      if (asked !== undefined && answer.status !== 401 && answer.status !== 403) {
        const key = keyOf(exchange, asked);
        allowed.set(key, (allowed.get(key) ?? new Set()).add(asked.namespace));
      }
      return answer;
    },
  };
}

/** Takes no notice of bindings that name a ServiceAccount of another namespace. */
const foreignAccountIgnored: Fault = {
  concerns: (exchange) => askedOf(exchange)?.namespace !== undefined,
  async answer(exchange, send) {
    const real = await send(exchange);
    const own = decodeToken(bearerOf(exchange) ?? '').claims['kubernetes.io']?.namespace;
    if (real.status === 401 || own === undefined || own === askedOf(exchange)?.namespace) {
      return real;
    }
    return { status: 403, body: json({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 403 }) };
  },
};

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

const RBAC = 'rbac.authorization.k8s.io';

/** Fault by the name that suites/SUITE/twins.yaml gives. */
export const FAULTS: Record<string, () => Fault> = {
  ...VOLUME_FAULTS,
  ...JOB_FAULTS,
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
      const own = [decodeToken(review.spec.token).claims.aud ?? []].flat();
      const answer = await send({ ...exchange, body: json({ ...review, spec: { ...review.spec, audiences: own } }) });
      const body = parse<TokenReviewBody>(answer.body);
      if (body.status?.authenticated === true) {
        body.status.audiences = review.spec.audiences ?? own;
      }
      return { status: answer.status, body: json(body) };
    },
  }),
  'accepts-short-lives': () => ({
    concerns: (exchange) => isTokenRequest(exchange) || isPodCreation(exchange),
    async answer(exchange, send) {
      const request = parse<TokenRequestBody & PodBody>(exchange.body);
      const asked = askedLives(exchange, request).map((life) => life?.expirationSeconds);
      const isShort = (seconds: number | undefined): boolean => seconds !== undefined && seconds < MINIMUM_LIFE_SECONDS;
      if (!asked.some(isShort)) {
        return send(exchange);
      }
      for (const life of askedLives(exchange, request)) {
        if (life !== undefined && isShort(life.expirationSeconds)) {
          life.expirationSeconds = MINIMUM_LIFE_SECONDS;
        }
      }
      const real = await send({ ...exchange, body: json(request) });
      const answer = parse<TokenRequestBody & PodBody>(real.body);
      askedLives(exchange, answer).forEach((life, index) => {
        const seconds = asked[index];
        if (life !== undefined && seconds !== undefined) {
          life.expirationSeconds = seconds;
        }
      });
      return { status: real.status, body: json(answer) };
    },
  }),
  'any-user-may-mint': () => ofTokenRequests((exchange, send) => send(withHarnessRights(exchange))),
  'audience-dropped': () =>
    ofTokenRequests((exchange, send) => {
      const request = parse<TokenRequestBody>(exchange.body);
      return send({ ...exchange, body: json({ ...request, spec: { ...request.spec, audiences: [] } }) });
    }),
  'timestamp-shifted': () =>
    ofTokenRequests(async (exchange, send) => {
      const real = await send(exchange);
      const answer = parse<TokenRequestBody>(real.body);
      if (answer.status?.expirationTimestamp === undefined) {
        return real;
      }
      const shifted = new Date(Date.parse(answer.status.expirationTimestamp) + HOUR_MS);
      answer.status.expirationTimestamp = shifted.toISOString().replace(/\.\d+Z$/, 'Z');
      return { status: real.status, body: json(answer) };
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
  'role-holds-everywhere': roleHoldsEverywhere,
  'parent-implies-child': () =>
    grantsMore(async ({ subresource, ...parent }, exchange, send) =>
      subresource === undefined ? false : mayCaller(exchange, parent, send),
    ),
  'escalation-allowed': () =>
    grantsMore(async (asked, exchange, send) => asked.group === RBAC && mayCaller(exchange, asked, send)),
  'review-says-yes': () => ({
    concerns: ({ method, path }) => method === 'POST' && path.startsWith(ACCESS_REVIEWS),
    async answer(exchange, send) {
      const real = await send(exchange);
      const review = parse<AccessReviewBody>(real.body);
      return { status: real.status, body: json({ ...review, status: { allowed: true } }) };
    },
  }),
  'foreign-account-ignored': () => foreignAccountIgnored,
  'websocket-needs-get-only': () => ({
    concerns: ({ headers }) => headers.upgrade !== undefined,
    async answer(exchange, send) {
      const real = await send(exchange);
      const asked = askedOf(exchange);
      const granted = real.status === 403 && asked !== undefined && (await mayCaller(exchange, asked, send));
      return real.status === 400 || granted ? { status: 101, body: Buffer.alloc(0) } : real;
    },
  }),
};
