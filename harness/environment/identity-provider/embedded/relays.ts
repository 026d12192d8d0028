import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { RELAY, RELAY_PROTOCOL } from '../../../../fixtures/workloads/identity-provider/config.ts';
import { describeError } from '../../../core/errors.ts';
import type { ForwardedPort } from '../../../kubernetes/port-forward.ts';

/**
 * Servers of this host for the pod of the identity provider, which reaches nothing here: for each of them one
 * connection to the pod is kept open, and another one is opened when it is taken.
 */
export class Relays {
  readonly #control: ForwardedPort;
  readonly #hosts = new Set<string>();
  readonly #sockets = new Set<Duplex>();
  #closed = false;
  #trouble: string | undefined;

  /** @param control the pod's control port, which knows {@link RELAY} */
  constructor(control: ForwardedPort) {
    this.#control = control;
  }

  /** Why a server cannot be reached from the pod, where one cannot. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /**
   * Leads the pod to a server of this host, until the end.
   *
   * @param url of the server, with its port
   * @param listensAt where the server listens, if not at the name that the pod has for it
   */
  serve(url: string, listensAt = new URL(url).hostname): void {
    const { host } = new URL(url);
    if (!this.#hosts.has(host)) {
      this.#hosts.add(host);
      this.#wait(host, listensAt);
    }
  }

  #wait(host: string, listensAt: string): void {
    const { host: hostname, port } = this.#control;
    const path = `${RELAY}?${new URLSearchParams({ host })}`;
    const waiting = request({
      host: hostname,
      port,
      path,
      headers: { connection: 'Upgrade', upgrade: RELAY_PROTOCOL },
      agent: false,
    });
    const failed = (why: string): void => {
      if (!this.#closed) {
        this.#trouble ??= `the way from the identity provider of the harness to ${host}: ${this.#control.trouble ?? why}`;
      }
    };
    waiting.on('socket', (socket) => this.#keep(socket));
    waiting.on('error', (error) => failed(describeError(error)));
    waiting.on('response', (answer) => {
      answer.resume();
      failed(`answered with ${answer.statusCode}`);
    });
    waiting.on('upgrade', (_, far: Socket, head: Buffer) => {
      if (this.#closed) {
        far.destroy();
        return;
      }
      this.#wait(host, listensAt);
      const near = connect(Number(new URL(`tcp://${host}`).port), listensAt);
      this.#keep(near);
      near.write(head);
      near.on('error', () => far.destroy());
      far.on('error', () => near.destroy());
      // What came last is still on its way when one side has closed already.
      near.on('close', () => far.destroySoon());
      far.on('close', () => near.destroySoon());
      far.pipe(near).pipe(far);
    });
    waiting.end();
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }
}
