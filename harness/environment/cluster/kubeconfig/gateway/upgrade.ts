import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Way } from './forward.ts';
import { rawEndToEnd } from './raw-headers.ts';

/**
 * Passes a request for an upgrade on (exec, attach, port-forward), and after it the bytes of both sides.
 *
 * @param head the first bytes after the request
 */
export async function forwardUpgrade(
  { upstream, callers }: Way,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const { presented, headers } = await callers.identify(request);
  const outgoing = upstream.request({
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    headers: { ...headers, connection: 'Upgrade', upgrade: request.headers.upgrade ?? '' },
    ...(presented?.certificate === undefined ? {} : { certificate: presented.certificate }),
    // It becomes its own in any case, and a command must not be asked for twice.
    ownConnection: true,
  });
  socket.on('close', () => outgoing.destroy());
  outgoing.on('upgrade', (answer, other: Socket, first: Buffer) => {
    writeHead(socket, answer, ['connection', 'Upgrade', 'upgrade', String(answer.headers.upgrade ?? '')]);
    socket.write(first);
    other.write(head);
    other.on('error', () => socket.destroy());
    // What came last is still on its way when the other side has closed already.
    other.on('close', () => (socket as Socket).destroySoon());
    socket.on('close', () => other.destroySoon());
    other.pipe(socket).pipe(other);
  });
  outgoing.on('response', (answer) => {
    // Refused: an answer like any other.
    writeHead(socket, answer, ['connection', 'close']);
    answer.pipe(socket);
  });
  outgoing.on('error', () => socket.destroy());
  outgoing.end();
}

/** @param more further header lines: name, value, name, value */
function writeHead(socket: Duplex, answer: IncomingMessage, more: string[]): void {
  const list = [...rawEndToEnd(answer), ...more];
  const lines = list.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${list[index + 1]}\r\n`] : []));
  socket.write(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n${lines.join('')}\r\n`);
}
