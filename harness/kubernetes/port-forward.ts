import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import { type KubeConfig, PortForward } from '@kubernetes/client-node';
import { describeError } from '../core/errors.ts';

/** A port of a pod, on a port of loopback. */
export interface ForwardedPort {
  readonly host: string;
  readonly port: number;
  /** Why the last connection was broken off, where one was. */
  readonly trouble: string | undefined;
  close(): Promise<void>;
}

/**
 * Leads connections to a port of loopback to a port in a pod, as `kubectl port-forward` does: each by a WebSocket of
 * its own. It takes `create pods/portforward` (and `get`, before Kubernetes 1.35). A connection that cannot be led
 * there is closed, and {@link ForwardedPort.trouble} says why.
 */
export async function forwardPort(
  kubeConfig: KubeConfig,
  { namespace, pod, port }: { namespace: string; pod: string; port: number },
): Promise<ForwardedPort> {
  const forward = new PortForward(kubeConfig);
  const sockets = new Set<Socket>();
  let trouble: string | undefined;
  const breakOff = (socket: Socket, why: string): void => {
    trouble = `port ${port} of the pod ${namespace}/${pod}: ${why}`;
    socket.destroy();
  };
  const server = createServer(async (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    // The kubelet tells on a channel of its own what it could not connect to.
    const errors = new Writable({
      write(chunk: Buffer, _encoding, done) {
        if (chunk.length > 0) {
          breakOff(socket, chunk.toString().trim());
        }
        done();
      },
    });
    try {
      const channel = await forward.portForward(namespace, pod, [port], socket, errors, socket);
      if (typeof channel === 'function') {
        throw new TypeError('a port-forward that connects again was not asked for');
      }
      channel.onclose = () => socket.end();
      socket.once('close', () => channel.close());
      if (socket.destroyed) {
        channel.close();
      }
    } catch (error) {
      // A WebSocket that does not open rejects with an event, which holds the error.
      breakOff(socket, describeError((error as { error?: Error }).error ?? error));
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    get trouble() {
      return trouble;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) {
          socket.destroy();
        }
      }),
  };
}
