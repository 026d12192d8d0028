import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { KubeConfig } from '@kubernetes/client-node';
import { afterEach, expect, test } from 'vitest';
import { type ForwardedPort, forwardPort } from './port-forward.ts';

let server: Server | undefined;
let forwarded: ForwardedPort | undefined;
afterEach(async () => {
  await forwarded?.close();
  server?.closeAllConnections();
  server?.close();
});

/** One frame of a WebSocket (RFC 6455 section 5.2), short, unmasked: a channel, and what is written to it. */
function frame(channel: number, content: Buffer | string): Buffer {
  const payload = Buffer.concat([Buffer.from([channel]), Buffer.from(content)]);
  return Buffer.concat([Buffer.from([0x82, payload.length]), payload]);
}

/** What a short masked frame holds, without its channel. */
function read(bytes: Buffer): string {
  const mask = bytes.subarray(2, 6);
  const payload = bytes.subarray(6).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return payload.subarray(1).toString();
}

/** An API server that takes one port-forward, as the kubelet does: each channel begins with the number of the port. */
async function apiServer(talk: (socket: Duplex) => void): Promise<KubeConfig> {
  server = createServer();
  server.on('upgrade', (request, socket) => {
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    socket.write(
      [
        'HTTP/1.1 101 Switching Protocols',
        'upgrade: websocket',
        'connection: Upgrade',
        'sec-websocket-protocol: v4.channel.k8s.io',
        `sec-websocket-accept: ${createHash('sha1').update(key).digest('base64')}`,
        '\r\n',
      ].join('\r\n'),
    );
    const port = Buffer.alloc(2);
    port.writeUInt16LE(Number(new URL(request.url ?? '', 'http://host').searchParams.get('ports')));
    socket.write(frame(0, port));
    socket.write(frame(1, port));
    talk(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const config = new KubeConfig();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  config.loadFromClusterAndUser({ name: 'c', server: url, skipTLSVerify: true }, { name: 'u', token: 'none' });
  return config;
}

async function say(words: string): Promise<string> {
  const socket = connect(forwarded?.port ?? 0, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(words);
  let heard = '';
  socket.on('data', (chunk) => {
    heard += String(chunk);
    socket.end();
  });
  await once(socket, 'close');
  return heard;
}

test('what is written to the port of loopback goes to the pod, and its answer comes back', async () => {
  const config = await apiServer((socket) => {
    socket.on('data', (bytes: Buffer) => {
      if (bytes[0] === 0x82) {
        socket.write(frame(0, `pod heard ${read(bytes)}`));
      }
    });
  });
  forwarded = await forwardPort(config, { namespace: 'n', pod: 'p', port: 8443 });
  expect(await say('hello')).toBe('pod heard hello');
  expect(forwarded.trouble).toBeUndefined();
});

test('what the kubelet cannot connect to is closed, and said', async () => {
  const config = await apiServer((socket) => socket.write(frame(1, 'connection refused')));
  forwarded = await forwardPort(config, { namespace: 'n', pod: 'p', port: 8443 });
  expect(await say('hello')).toBe('');
  expect(forwarded.trouble).toBe('port 8443 of the pod n/p: connection refused');
});

test('an API server that says no closes the connection, and is said', async () => {
  const config = await apiServer(() => undefined);
  server?.removeAllListeners('upgrade');
  server?.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n'));
  forwarded = await forwardPort(config, { namespace: 'n', pod: 'p', port: 8443 });
  expect(await say('hello')).toBe('');
  expect(forwarded.trouble).toMatch(/port 8443 of the pod n\/p: .*403/);
});
