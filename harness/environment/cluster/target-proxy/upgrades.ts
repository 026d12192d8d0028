import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { awaitLatency, faultAnswer } from './fault-answers.ts';
import { endToEnd, headerLines } from './headers.ts';
import type { Exchange } from './recorder.ts';
import type { RequestPath } from './requests.ts';

/**
 * Passes a request for an upgrade on (exec, attach, port-forward), and after it the bytes of both sides. Such a
 * connection is not HTTP any more, so its answers are written by hand.
 *
 * @param head the first bytes after the request
 */
export async function forwardUpgrade(
  { upstream, recorder, faults }: Pick<RequestPath, 'upstream' | 'recorder' | 'faults'>,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const exchange = recorder.begin(request);
  const { method = 'GET', url = '/' } = request;
  socket.on('close', () => exchange.finish());
  await awaitLatency(faults, exchange);
  const answer = faultAnswer(faults, exchange, url);
  if (answer !== undefined) {
    exchange.record.code = answer.code;
    const length = Buffer.byteLength(answer.body);
    const lines = headerLines({ ...answer.headers, connection: 'close', 'content-length': length });
    writeHead(socket, answer.code, 'refused', lines);
    socket.end(answer.body);
    return;
  }
  const protocol = request.headers.upgrade ?? '';
  const headers = { ...endToEnd(request.headersDistinct), connection: 'Upgrade', upgrade: protocol };
  const outgoing = upstream.open({ method, path: url, headers });
  outgoing.on('upgrade', (accepted, back, backHead) => {
    exchange.record.code = accepted.statusCode ?? 0;
    exchange.record.upgrade = protocol;
    writeHead(socket, accepted.statusCode ?? 101, accepted.statusMessage ?? '', rawLines(accepted));
    join(exchange, { socket, head }, { socket: back, head: backHead });
  });
  outgoing.on('response', (refused) => passRefusal(exchange, refused, socket));
  outgoing.on('error', () => socket.destroy());
  outgoing.end();
}

function writeHead(socket: Duplex, code: number, message: string, lines: string[]): void {
  socket.write(`HTTP/1.1 ${code} ${message}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
}

/** The header lines as they arrived, in their order and spelling. */
function rawLines({ rawHeaders }: IncomingMessage): string[] {
  const names = rawHeaders.filter((_, index) => index % 2 === 0);
  return names.map((name, index) => `${name}: ${rawHeaders[2 * index + 1]}`);
}

interface Side {
  socket: Duplex;
  /** The bytes that arrived with the head of the message. */
  head: Buffer;
}

/** Passes bytes both ways until one side closes; those of the API server are counted. */
function join(exchange: Exchange, target: Side, apiServer: Side): void {
  const { socket } = target;
  const { socket: back } = apiServer;
  socket.write(apiServer.head);
  exchange.count(apiServer.head.length);
  back.write(target.head);
  back.on('data', (chunk: Buffer) => exchange.count(chunk.length));
  back.pipe(socket).pipe(back);
  back.on('error', () => socket.destroy());
  back.on('close', () => socket.destroy());
  socket.on('close', () => back.destroy());
}

/** The answer of an API server that does not upgrade. */
function passRefusal(exchange: Exchange, refused: IncomingMessage, socket: Duplex): void {
  exchange.record.code = refused.statusCode ?? 0;
  // The connection ends with the body, which gives its length.
  const lines = [...headerLines(endToEnd(refused.headers)), 'connection: close'];
  writeHead(socket, refused.statusCode ?? 502, refused.statusMessage ?? '', lines);
  const body: Buffer[] = [];
  refused.on('data', (chunk: Buffer) => {
    exchange.count(chunk.length);
    body.push(chunk);
  });
  refused.on('end', () => exchange.keepMessage(body));
  refused.pipe(socket);
}
