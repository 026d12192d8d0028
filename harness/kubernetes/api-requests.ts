import { HttpMethod, type KubeConfig, RequestContext } from '@kubernetes/client-node';
import { fetch, type RequestInit, type Response } from 'undici';
import { HarnessError } from '../core/errors.ts';
import { SharedConnections } from './shared-connections.ts';

/** A request to the API server. @param path begins with a slash */
export type ApiRequest = (path: string, init?: RequestInit) => Promise<Response>;

/** A request through the API server's proxy. */
export type ProxiedRequest = (
  namespace: string,
  name: string,
  port: number,
  path: string,
  init?: RequestInit,
) => Promise<Response>;

export interface ApiRequests {
  /** With the credentials of the kubeconfig. */
  request: ApiRequest;
  requestWithoutCredentials: ApiRequest;
  serviceFetch: ProxiedRequest;
  podFetch: ProxiedRequest;
}

/**
 * Requests to the API server of a kubeconfig, and through its proxies.
 *
 * @throws HarnessError where it has no current context
 */
export function apiRequests(kubeConfig: KubeConfig, signal?: AbortSignal): ApiRequests {
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) {
    throw new HarnessError('the kubeconfig has no current context');
  }
  const anonymous = new SharedConnections();
  anonymous.loadFromClusterAndUser(cluster, { name: 'anonymous' });
  const requestAs =
    (config: KubeConfig): ApiRequest =>
    async (path, init = {}) => {
      const context = new RequestContext(cluster.server + path, HttpMethod.GET);
      await config.applySecurityAuthentication(context);
      const dispatcher = context.getDispatcher();
      return fetch(cluster.server + path, {
        ...init,
        headers: { ...context.getHeaders(), ...(init.headers as Record<string, string> | undefined) },
        ...(dispatcher === undefined ? {} : { dispatcher }),
        ...(signal === undefined ? {} : { signal }),
      });
    };
  const request = requestAs(kubeConfig);
  const proxy =
    (kind: 'services' | 'pods'): ProxiedRequest =>
    (namespace, name, port, path, init) =>
      request(`/api/v1/namespaces/${namespace}/${kind}/${name}:${port}/proxy${path}`, init);
  return {
    request,
    requestWithoutCredentials: requestAs(anonymous),
    serviceFetch: proxy('services'),
    podFetch: proxy('pods'),
  };
}
