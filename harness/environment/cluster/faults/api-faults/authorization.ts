import { decodeToken } from '../../../../core/token.ts';
import { attributesOf, type RequestAttributes } from '../../../../kubernetes/request-attributes.ts';
import { bearerOf, type Exchange, type Fault, json, parse, type Send, withHarnessRights } from './exchange.ts';

const ACCESS_REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

const RBAC = 'rbac.authorization.k8s.io';

interface AccessReviewBody {
  spec?: { resourceAttributes?: RequestAttributes };
  status?: { allowed?: boolean; denied?: boolean; reason?: string };
}

/** What somebody with a token asks of a resource; reviews of access are left alone. */
function askedOf(exchange: Exchange): RequestAttributes | undefined {
  const asked = bearerOf(exchange) === undefined ? undefined : attributesOf(exchange.method, exchange.path);
  return asked?.group === 'authorization.k8s.io' ? undefined : asked;
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
    const ownNamespace = decodeToken(bearerOf(exchange) ?? '').claims['kubernetes.io']?.namespace;
    if (real.status === 401 || ownNamespace === undefined || ownNamespace === askedOf(exchange)?.namespace) {
      return real;
    }
    return { status: 403, body: json({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 403 }) };
  },
};

/** Faults of authorization, by the name that suites/SUITE/twins.yaml gives. */
export const AUTHORIZATION_FAULTS: Record<string, () => Fault> = {
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
