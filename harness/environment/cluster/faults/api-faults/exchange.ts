/** A request to the API server, as it came or as a fault wants it sent. */
export interface Exchange {
  method: string;
  path: string;
  /**
   * What says who asks and in which form: `authorization`, `impersonate-*`, `accept`, `content-type`. Without the first
   * the harness asks.
   */
  headers: Record<string, string>;
  body: Buffer;
}

/** The answer to a request, whole. */
export interface Answer {
  status: number;
  body: Buffer;
}

/** Sends a request to the real API server. */
export type Send = (exchange: Exchange) => Promise<Answer>;

/** How a faulty API server differs from the real one. */
export interface Fault {
  /** Whatever it does not concern goes through as it is, streams too. */
  concerns(exchange: Exchange): boolean;
  /** The answer to a request; for one that asks for an upgrade, 101 grants it. */
  answer(exchange: Exchange, send: Send): Promise<Answer>;
}

/** The part of a TokenReview (authentication.k8s.io/v1) that faults read and change. */
export interface TokenReviewBody {
  spec: { token: string; audiences?: string[] };
  status?: { authenticated?: boolean; audiences?: string[]; error?: string };
}

/** The JSON of a body. */
export function parse<T>(body: Buffer): T {
  return JSON.parse(body.toString('utf8')) as T;
}

/** A body of JSON. */
export function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** Whether a request creates a TokenReview. */
export function isTokenReview({ method, path }: Exchange): boolean {
  return method === 'POST' && path.startsWith('/apis/authentication.k8s.io/v1/tokenreviews');
}

/** The token that a request is authenticated by; undefined where there is none. */
export function bearerOf({ headers }: Exchange): string | undefined {
  return headers.authorization?.replace(/^Bearer /, '');
}

/** Whether an exchange shows a token: as its own credential, or for a review. */
export function showsToken(exchange: Exchange): boolean {
  return isTokenReview(exchange) || bearerOf(exchange) !== undefined;
}

/** The token that an exchange is about. */
export function tokenOf(exchange: Exchange): string | undefined {
  return isTokenReview(exchange) ? parse<TokenReviewBody>(exchange.body).spec.token : bearerOf(exchange);
}

/** Whether the token of an exchange was accepted: as a credential, or by the review. */
export function isAccepted(exchange: Exchange, answer: Answer): boolean {
  if (!isTokenReview(exchange)) {
    return answer.status !== 401;
  }
  return parse<TokenReviewBody>(answer.body).status?.authenticated === true;
}

/** A refusal of the token that an exchange shows, in place of the real answer. */
export function refuseToken(exchange: Exchange, real: Answer, error: string): Answer {
  if (!isTokenReview(exchange)) {
    return { status: 401, body: json({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 401 }) };
  }
  return { status: real.status, body: json({ ...parse<TokenReviewBody>(real.body), status: { error } }) };
}

/** The same exchange as the harness itself would have it. */
export function withHarnessRights(exchange: Exchange): Exchange {
  const { accept, 'content-type': contentType } = exchange.headers;
  return {
    ...exchange,
    headers: {
      ...(accept === undefined ? {} : { accept }),
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
    },
  };
}
