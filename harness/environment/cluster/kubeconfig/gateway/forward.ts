import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { pipeline, type Readable } from 'node:stream';
import { BY_HTTP_1 } from '../../../../core/cut-answers.ts';
import type { PolicyRule } from '../../../../core/policy-rule.ts';
import { endToEnd } from '../../target-proxy/headers.ts';
import type { Ledger } from '../ledger.ts';
import type { Upstream } from '../upstream.ts';
import type { Callers, HarnessCaller, Identified } from './callers.ts';
import { rawEndToEnd } from './raw-headers.ts';
import { bodyOf, type Rewrite, rewrittenBody } from './rewrite.ts';

/** What a request passes on its way. */
export interface Way {
  upstream: Upstream;
  callers: Callers;
  ledger: Ledger;
  /** Says why a request could not be asked. */
  explain(error: unknown): string;
  rewrite?: Rewrite;
  /** Told of each request that was asked a second time, see {@link isStale}. */
  onAskedAgain?(message: string): void;
}

/** The first word of a Status that no API server gives: the gateway itself could not ask it. */
const NO_WAY_REASON = 'NoWayToTheApiServer';

/** Answers by which an API server, or a policy before it, says no. */
const REFUSALS = new Set([400, 403, 422]);

/** Passes a request on, and its answer back. */
export async function forward(way: Way, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { upstream, callers, rewrite } = way;
  const { method = 'GET', url: path = '/' } = request;
  const harness = callers.harness(request);
  const fail = (error: unknown): void => {
    // Whoever shows something of its own sees what a network shows; the harness is told why.
    if (harness === undefined || response.headersSent) {
      response.destroy();
      request.socket.destroy();
      return;
    }
    response.writeHead(502, { 'content-type': 'application/json' }).end(statusOf(way.explain(error)));
  };
  try {
    const identified = await callers.identify(request);
    const { presented, headers } = identified;
    const change = callers.isOwn(request, identified) ? rewrite?.own : rewrite?.foreign;
    const isRole = harness !== undefined && method === 'POST' && ROLES.test(path);
    const body = (await rewrittenBody(change, request, headers)) ?? (isRole ? await bodyOf(request) : undefined);
    if (isRole) {
      way.ledger.gives(rulesIn(body), harness.requirement);
    }
    if (hasBody(request) && PROXIED.test(path)) {
      await passProxied(way, { request, response, identified, ...(body === undefined ? {} : { body }) });
      return;
    }
    const send = (ownConnection: boolean): void => {
      const outgoing = upstream.request({
        method,
        path,
        headers: body === undefined ? headers : { ...headers, 'content-length': String(body.length) },
        ...(presented?.certificate === undefined ? {} : { certificate: presented.certificate }),
        ownConnection,
      });
      response.on('close', () => outgoing.destroy());
      outgoing.on('error', (error) => {
        if (isStale(outgoing, error) && mayAskAgain(request) && !response.headersSent && !response.destroyed) {
          way.onAskedAgain?.(`${method} ${path} is asked again: an idle connection to the API server was closed`);
          send(true);
        } else {
          fail(error);
        }
      });
      outgoing.on('response', (answer) => {
        if (answer.statusCode === 401 && presented !== undefined) {
          callers.refused(presented);
        }
        if (harness !== undefined) {
          noteRefusal(way.ledger, request, harness, identified, answer.statusCode ?? 0, answer);
        }
        passBack(answer, response);
      });
      if (body === undefined) {
        request.pipe(outgoing);
      } else {
        outgoing.end(body);
      }
    };
    send(false);
  } catch (error) {
    fail(error);
  }
}

/** Methods that change nothing (RFC 9110 section 9.2.1); what may have been done is not asked for again. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether a request is the same a second time, as Go's HTTP client, and with it kubectl, has it. */
function mayAskAgain(request: IncomingMessage): boolean {
  return SAFE.has(request.method ?? '') && !hasBody(request);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined;
}

/** Where Roles are made. */
const ROLES = /^\/apis\/rbac\.authorization\.k8s\.io\/v1\/namespaces\/[^/]+\/roles(\?|$)/;

/** The rules of a Role; none of what is no Role, which the API server says better. */
function rulesIn(body: Buffer | undefined): PolicyRule[] {
  try {
    return (JSON.parse(String(body)) as { rules?: PolicyRule[] } | null)?.rules ?? [];
  } catch {
    return [];
  }
}

/** What the API server passes on to a pod or a Service. */
const PROXIED = /^\/api\/v1\/namespaces\/[^/]+\/(pods|services)\/[^/]+\/proxy(\/|\?|$)/;

/** Passes a request with a body on that the API server passes on itself: by HTTP/2, see core/cut-answers.ts. */
async function passProxied(
  { upstream, callers, ledger }: Way,
  { request, response, identified, body }: Passed,
): Promise<void> {
  const { method = 'GET', url: path = '/' } = request;
  const { presented, headers } = identified;
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const answer = await upstream.exchange(
    {
      method,
      path,
      headers: body === undefined ? headers : { ...headers, 'content-length': String(body.length) },
      ...(presented?.certificate === undefined ? {} : { certificate: presented.certificate }),
    },
    body ?? request,
    gone.signal,
  );
  if (answer.statusCode === 401 && presented !== undefined) {
    callers.refused(presented);
  }
  const harness = callers.harness(request);
  if (harness !== undefined) {
    noteRefusal(ledger, request, harness, identified, answer.statusCode, answer.body);
  }
  response.writeHead(answer.statusCode, {
    ...endToEnd(answer.headers),
    ...(answer.isHttp2 ? {} : { via: BY_HTTP_1 }),
  });
  response.flushHeaders();
  pipeline(answer.body, response, () => undefined);
}

interface Passed {
  request: IncomingMessage;
  response: ServerResponse;
  identified: Identified;
  /** In the place of the request's own. */
  body?: Buffer;
}

/**
 * Whether a request went into a connection that the server, or a load balancer before it, was closing as idle: it had
 * been used before, and no answer came (RFC 9112 section 9.3.1).
 */
function isStale(outgoing: ClientRequest, error: NodeJS.ErrnoException): boolean {
  return outgoing.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

function passBack(answer: IncomingMessage, response: ServerResponse): void {
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, rawEndToEnd(answer));
  // A watch may be silent for minutes: its head must not wait for its first word.
  response.flushHeaders();
  // An answer that was cut must look cut.
  pipeline(answer, response, () => undefined);
}

/** Keeps what was refused to the harness itself, and not to somebody it acts as. */
function noteRefusal(
  ledger: Ledger,
  { method = 'GET', url = '/' }: IncomingMessage,
  { requirement }: HarnessCaller,
  { presented, headers }: Identified,
  code: number,
  answer: Readable,
): void {
  const isItself = headers['impersonate-user'] === presented?.headers['impersonate-user'];
  if (!REFUSALS.has(code) || !isItself) {
    return;
  }
  const words: Buffer[] = [];
  answer.on('data', (chunk: Buffer) => words.push(chunk));
  answer.on('end', () => ledger.refused(method, url, requirement, code, Buffer.concat(words)));
}

function statusOf(message: string): string {
  const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: NO_WAY_REASON, code: 502, message };
  return JSON.stringify(status);
}
