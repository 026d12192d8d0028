import { ReadableStream } from 'node:stream/web';
import { HttpMethod, type KubeConfig, RequestContext } from '@kubernetes/client-node';
import { fetch, type RequestInit, Response } from 'undici';
import { BY_HTTP_1 } from '../core/cut-answers.ts';
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
      const dispatcher = init.dispatcher ?? context.getDispatcher();
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
    async (namespace, name, port, path, init = {}) => {
      const whole = `/api/v1/namespaces/${namespace}/${kind}/${name}:${port}/proxy${path}`;
      if (init.body === undefined || init.body === null) {
        return request(whole, init);
      }
      const dispatcher = kubeConfig instanceof SharedConnections ? await kubeConfig.http2() : undefined;
      return wholeOrError(
        await request(whole, { ...init, ...(dispatcher === undefined ? {} : { dispatcher }) }),
        init.signal,
      );
    };
  return {
    request,
    requestWithoutCredentials: requestAs(anonymous),
    serviceFetch: proxy('services'),
    podFetch: proxy('pods'),
  };
}

/**
 * An answer to a request with a body that was passed on by HTTP/1: where it ends early, nobody knows whether the API
 * server cut it, see core/cut-answers.ts.
 */
function wholeOrError(response: Response, signal: AbortSignal | null | undefined): Response {
  const { body } = response;
  if (body === null || response.headers.get('via') !== BY_HTTP_1) {
    return response;
  }
  async function* chunks(whole: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* whole;
    } catch (error) {
      if (signal?.aborted === true) {
        throw error;
      }
      throw new HarnessError(
        'an answer through the API server’s proxy was cut, and the way to the API server speaks no HTTP/2: its proxy cuts answers to requests with a body by itself there (golang/go#40747)',
        { cause: error },
      );
    }
  }
  return new Response(ReadableStream.from(chunks(body)), response);
}
