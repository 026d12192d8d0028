import type { IncomingMessage, ServerResponse } from 'node:http';
import { AnswerRelay } from './answer-relay.ts';
import { keepAskedPod } from './asked-pod.ts';
import { awaitLatency, faultAnswer } from './fault-answers.ts';
import type { ArmedFaults } from './faults.ts';
import { endToEnd } from './headers.ts';
import { injectedBody, withLength } from './injection.ts';
import type { RequestRecorder } from './recorder.ts';
import type { StaleAnswers } from './stale-answers.ts';
import type { Upstream } from './upstream.ts';
import type { OpenWatches } from './watches.ts';

/** What a request passes through on its way to the API server. */
export interface RequestPath {
  upstream: Upstream;
  recorder: RequestRecorder;
  faults: ArmedFaults;
  staleAnswers: StaleAnswers;
  watches: OpenWatches;
}

/** Answers one request: by a fault in force, with a stale answer, or with what the API server answers. */
export async function forwardRequest(
  { upstream, recorder, faults, staleAnswers, watches }: RequestPath,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const exchange = recorder.begin(request);
  const { method = 'GET', url = '/' } = request;
  response.on('close', () => exchange.finish());
  await awaitLatency(faults, exchange);
  if (response.destroyed) {
    return;
  }
  const stale = staleAnswers.read(exchange, request);
  const answer = faultAnswer(faults, exchange, url) ?? (stale && 'answer' in stale ? stale.answer : undefined);
  if (answer !== undefined) {
    request.resume();
    exchange.record.code = answer.code;
    exchange.record.bytes = Buffer.byteLength(answer.body);
    response.writeHead(answer.code, answer.headers).end(answer.body);
    return;
  }
  const body = await injectedBody(faults, exchange, request);
  const headers = endToEnd(request.headersDistinct);
  const outgoing = upstream.open({
    method,
    path: url,
    headers: body === undefined ? headers : withLength(headers, body),
  });
  outgoing.on('response', (incoming) => {
    const code = incoming.statusCode ?? 502;
    const headers = endToEnd(incoming.headers);
    exchange.record.code = incoming.statusCode ?? 0;
    response.writeHead(code, headers);
    response.flushHeaders();
    const keep = stale && 'keep' in stale ? (body: Buffer) => stale.keep({ code, headers, body }) : undefined;
    new AnswerRelay(exchange, incoming, response, keep).start(faults, watches);
  });
  outgoing.on('error', () => response.destroy());
  response.on('close', () => outgoing.destroy());
  if (body === undefined) {
    // At once with the way on: whoever listens makes the body flow.
    keepAskedPod(exchange, request);
    request.pipe(outgoing);
  } else {
    outgoing.end(body);
  }
}
