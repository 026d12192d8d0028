import { type Exchange, type Fault, json, parse, withHarnessRights } from './exchange.ts';

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

function isTokenRequest({ method, path }: Exchange): boolean {
  return method === 'POST' && /^\/api\/v1\/namespaces\/[^/]+\/serviceaccounts\/[^/]+\/token(\?|$)/.test(path);
}

function isPodCreation({ method, path }: Exchange): boolean {
  return method === 'POST' && /^\/api\/v1\/namespaces\/[^/]+\/pods(\?|$)/.test(path);
}

/** A fault of TokenRequests alone. */
function ofTokenRequests(answer: Fault['answer']): Fault {
  return { concerns: isTokenRequest, answer };
}

/**
 * Where a TokenRequest or a pod names lives of tokens; the same places in the same order in a request and its answer.
 */
function askedLives(exchange: Exchange, body: TokenRequestBody & PodBody): (AskedLife | undefined)[] {
  return isTokenRequest(exchange)
    ? [body.spec]
    : (body.spec?.volumes ?? []).flatMap(({ projected }) =>
        (projected?.sources ?? []).map(({ serviceAccountToken }) => serviceAccountToken),
      );
}

/** Faults of TokenRequests and of projected tokens, by the name that suites/SUITE/twins.yaml gives. */
export const TOKEN_REQUEST_FAULTS: Record<string, () => Fault> = {
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
};
