import type { ClientRequest } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { HarnessError } from '../../../core/errors.ts';
import type { EndToEndHeaders } from './headers.ts';

/** Idle connections to the API server are closed before it closes them: one that ends under a request looks like a fault. */
const IDLE_MS = 5_000;

/** A request to send on: the method, path and headers that the target sent. */
export interface UpstreamRequest {
  method: string;
  /** Path with its query, as the target sent it. */
  path: string;
  headers: EndToEndHeaders;
}

/** The API server behind the proxy: where it is, whom to trust, and how a connection to it is made. */
export interface Upstream {
  /** Opens a request; the caller writes its body and ends it. Its credentials are those in `headers`, no others. */
  open(request: UpstreamRequest): ClientRequest;
  /** Closes the idle connections. */
  close(): void;
}

/**
 * Reads the address and the trust of a cluster from a kubeconfig, and none of its credentials: the harness's own must not stand in
 * for the target's.
 *
 * @param kubeConfig YAML; the cluster of its current context counts
 * @throws HarnessError where it has no current context
 */
export async function upstreamOf(kubeConfig: string): Promise<Upstream> {
  const config = new KubeConfig();
  config.loadFromString(kubeConfig);
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new HarnessError('the kubeconfig has no current context');
  }
  const trust = await trustOf(cluster);
  const agent = new Agent({ keepAlive: true, timeout: IDLE_MS, ...trust });
  const { hostname, port, pathname } = new URL(cluster.server);
  const server = { hostname, port: port || 443, agent, ...trust };
  const prefix = pathname.replace(/\/$/, '');
  return {
    open: ({ method, path, headers }) => httpsRequest({ ...server, method, path: prefix + path, headers }),
    close: () => agent.destroy(),
  };
}

/** How the server's certificate is verified. */
type Trust = Pick<RequestOptions, 'ca' | 'servername' | 'rejectUnauthorized'>;

/** The TLS options of a client without credentials. */
async function trustOf(cluster: NonNullable<ReturnType<KubeConfig['getCurrentCluster']>>): Promise<Trust> {
  const anonymous = new KubeConfig();
  anonymous.loadFromClusterAndUser(cluster, { name: 'anonymous' });
  const tls: RequestOptions = {};
  await anonymous.applyToHTTPSOptions(tls);
  const { ca, servername, rejectUnauthorized } = tls;
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(servername === undefined ? {} : { servername }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
  };
}
