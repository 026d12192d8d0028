import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { stringify } from 'yaml';
import { createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { HarnessError } from '../../run/errors.ts';
import type { ClusterData } from '../../run/protocol.ts';
import { decodeToken } from '../../tokens/token.ts';

/**
 * A faulty API server, for twins of the role cluster: a proxy on loopback in front of the real one.
 * Whoever comes without credentials gets the harness's own, as a kubeconfig with a client certificate would have it.
 */
export interface ApiProxy {
  /** Kubeconfig that leads through the proxy. */
  kubeConfig: string;
  close(): Promise<void>;
}

interface Exchange {
  method: string;
  path: string;
  /** Bearer token of the caller, where it brought one. */
  bearer: string | undefined;
  body: Buffer;
}

interface Answer {
  status: number;
  body: Buffer;
}

/** Looks at an exchange and at the real answer, and gives the one that is sent. Only for TokenReviews and calls with a bearer token. */
type Fault = (exchange: Exchange, real: Answer, send: (body: Buffer) => Promise<Answer>) => Promise<Answer>;

interface TokenReviewBody {
  spec: { token: string; audiences?: string[] };
  status?: { authenticated?: boolean; audiences?: string[]; error?: string };
}

function isTokenReview(exchange: Exchange): boolean {
  return exchange.method === 'POST' && exchange.path.startsWith('/apis/authentication.k8s.io/v1/tokenreviews');
}

/** The token that an exchange is about. */
function tokenOf(exchange: Exchange): string | undefined {
  if (isTokenReview(exchange)) {
    return (JSON.parse(exchange.body.toString('utf8')) as TokenReviewBody).spec.token;
  }
  return exchange.bearer;
}

function isAccepted(exchange: Exchange, answer: Answer): boolean {
  if (!isTokenReview(exchange)) {
    return answer.status !== 401;
  }
  return (JSON.parse(answer.body.toString('utf8')) as TokenReviewBody).status?.authenticated === true;
}

function isExpired(token: string): boolean {
  return (decodeToken(token).claims.exp ?? 0) * 1000 <= Date.now();
}

/** Answers from memory what was once accepted and is not any more, for the tokens that `still` names. */
function remembers(still: (token: string) => boolean): Fault {
  const memory = new Map<string, Answer>();
  return async (exchange, real) => {
    const token = tokenOf(exchange);
    if (token === undefined) {
      return real;
    }
    const key = [exchange.path, exchange.body.toString('utf8'), exchange.bearer].join('\n');
    if (isAccepted(exchange, real)) {
      memory.set(key, real);
      return real;
    }
    return still(token) ? (memory.get(key) ?? real) : real;
  };
}

const FAULTS: Record<string, () => Fault> = {
  'accepts-expired-tokens': () => remembers(isExpired),
  'token-outlives-its-pod': () => remembers((token) => !isExpired(token)),
  'token-review-ignores-audiences': () => async (exchange, real, send) => {
    if (!isTokenReview(exchange) || isAccepted(exchange, real)) {
      return real;
    }
    const review = JSON.parse(exchange.body.toString('utf8')) as TokenReviewBody;
    const { aud } = decodeToken(review.spec.token).claims;
    const asked = review.spec.audiences;
    const own = [aud ?? []].flat();
    const answer = await send(Buffer.from(JSON.stringify({ ...review, spec: { ...review.spec, audiences: own } })));
    const body = JSON.parse(answer.body.toString('utf8')) as TokenReviewBody;
    if (body.status?.authenticated === true) {
      body.status.audiences = asked ?? own;
    }
    return { status: answer.status, body: Buffer.from(JSON.stringify(body)) };
  },
};

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/**
 * Starts a proxy with one of the faults.
 *
 * @throws HarnessError for a fault that does not exist, with those that do
 */
export async function startApiProxy(cluster: ClusterData, faultName: string): Promise<ApiProxy> {
  const fault = FAULTS[faultName]?.();
  if (fault === undefined) {
    throw new HarnessError(
      `no fault of the API proxy is called ${faultName}; there are ${Object.keys(FAULTS).join(', ')}`,
    );
  }
  const handle = createClusterHandle(cluster);
  const forward = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? '/';
    const method = request.method ?? 'GET';
    const body = await readAll(request);
    const { authorization, 'content-type': contentType, accept } = request.headers;
    const send = (content: Buffer): ReturnType<typeof handle.request> => {
      const init = {
        method,
        headers: {
          ...(authorization === undefined ? {} : { authorization }),
          ...(contentType === undefined ? {} : { 'content-type': contentType }),
          ...(accept === undefined ? {} : { accept }),
        },
        ...(content.length === 0 ? {} : { body: content }),
      };
      return authorization === undefined ? handle.request(path, init) : handle.requestWithoutCredentials(path, init);
    };
    const real = await send(body);
    const bearer = authorization?.replace(/^Bearer /, '');
    const exchange: Exchange = { method, path, bearer, body };
    if (!isTokenReview(exchange) && bearer === undefined) {
      response.writeHead(real.status, { 'content-type': real.headers.get('content-type') ?? 'application/json' });
      if (real.body === null) {
        response.end();
      } else {
        await pipeline(Readable.fromWeb(real.body), response);
      }
      return;
    }
    const read = async (answer: typeof real): Promise<Answer> => ({
      status: answer.status,
      body: Buffer.from(await answer.arrayBuffer()),
    });
    const given = await fault(exchange, await read(real), async (content) => read(await send(content)));
    response.writeHead(given.status, { 'content-type': 'application/json' }).end(given.body);
  };
  const server = createServer((request, response) => {
    forward(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const config = new KubeConfig();
  config.loadFromString(cluster.kubeConfig);
  return {
    kubeConfig: stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'proxy',
      clusters: [{ name: 'proxy', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'proxy', user: {} }],
      contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'proxy' } }],
    }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
