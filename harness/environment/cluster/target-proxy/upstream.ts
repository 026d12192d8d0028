import type { ClientRequest } from 'node:http';
import { clusterOfText } from '../kubeconfig/load.ts';
import { createUpstream } from '../kubeconfig/upstream.ts';
import type { EndToEndHeaders } from './headers.ts';

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
 * Reads the address and the trust of a cluster from a kubeconfig, and none of its credentials: the harness's own must
 * not stand in for the target's.
 *
 * @param kubeConfig YAML; the cluster of its current context counts
 * @throws HarnessError where it has no current context
 */
export async function upstreamOf(kubeConfig: string): Promise<Upstream> {
  const { request, close } = createUpstream(clusterOfText(kubeConfig));
  return { open: request, close };
}
