import type { RequestOptions } from 'node:https';
import { KubeConfig, type RequestContext } from '@kubernetes/client-node';
import { Agent } from 'undici';

/** Seconds after which a connection says that it is alive, as the client sets it. */
const KEEP_ALIVE_SECONDS = 30;

/**
 * A kubeconfig whose requests share their connections. By itself the client opens one for each request, with a TLS
 * handshake that shows a certificate: most of the processor time of a request, here and at the API server.
 *
 * By HTTP/1.1, so that each request at work has a connection of its own: what ends one ends no other. Credentials that
 * may change (files, plugins), and what leads through a proxy, are left to the client.
 */
export class SharedConnections extends KubeConfig {
  #agent: Agent | undefined;
  #http2: Agent | undefined;

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context);
    if (context.getDispatcher() !== undefined && this.#isConstant()) {
      this.#agent ??= await this.#openAgent();
      context.setDispatcher(this.#agent);
    }
  }

  /**
   * Connections by HTTP/2, where the server speaks it; undefined where requests do not share connections, and to plain
   * http.
   */
  async http2(): Promise<Agent | undefined> {
    if (!this.#isConstant() || this.getCurrentCluster()?.server.startsWith('https:') !== true) {
      return undefined;
    }
    this.#http2 ??= await this.#openAgent(true);
    return this.#http2;
  }

  #isConstant(): boolean {
    const { exec, authProvider, certFile, keyFile } = this.getCurrentUser() ?? {};
    const { caFile, proxyUrl } = this.getCurrentCluster() ?? {};
    return [exec, authProvider, certFile, keyFile, caFile, proxyUrl].every((one) => one === undefined);
  }

  async #openAgent(allowH2 = false): Promise<Agent> {
    const options: RequestOptions = {};
    await this.applyToHTTPSOptions(options);
    const { ca, cert, key, rejectUnauthorized, servername } = options;
    return new Agent({
      allowH2,
      connect: {
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
        ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
        ...(servername === undefined ? {} : { servername }),
        keepAlive: true,
        keepAliveInitialDelay: 1_000 * KEEP_ALIVE_SECONDS,
      },
    });
  }
}
