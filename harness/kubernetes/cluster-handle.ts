import {
  AuthenticationV1Api,
  type CoreV1Api,
  type KubeConfig,
  type KubernetesObject,
  KubernetesObjectApi,
  type V1Job,
  type V1Pod,
} from '@kubernetes/client-node';
import { HarnessError } from '../core/errors.ts';
import { createForge, type TokenForge } from '../core/token.ts';
import { type ApiRequest, apiRequests, type ProxiedRequest } from './api-requests.ts';
import type { ClusterData } from './cluster-data.ts';
import {
  callWithToken,
  createToken,
  type IssuedToken,
  reviewToken,
  type TokenRequestOptions,
  type TokenReviewResult,
} from './cluster-tokens.ts';
import { type ExecResult, execInPod } from './exec.ts';
import { PodWatch, type PodWatchOptions } from './pod-watch.ts';
import { SharedConnections } from './shared-connections.ts';
import { suitedClient, suitedJob } from './suited-pods.ts';
import type { WatchEvent } from './watch.ts';

/** The cluster in the slot, as a requirement sees it. Nothing in it says which cluster it is. */
export interface ClusterHandle {
  readonly kubeConfig: KubeConfig;
  readonly core: CoreV1Api;
  readonly authentication: AuthenticationV1Api;
  readonly issuer: string;
  readonly apiAudiences: string[];
  /** True where the harness started the cluster. */
  readonly owned: boolean;
  /** Image of a stock Node for pods. */
  readonly workloadImage: string;
  /** StorageClass for the harness's own claims, where its settings name one. */
  readonly storageClass?: string;
  /** Signs with the cluster's own key; only where the harness holds it. */
  readonly forge?: TokenForge;
  /** The same with the key before it, where the harness has rolled the key over. */
  readonly previousForge?: TokenForge;
  createToken(options: TokenRequestOptions): Promise<IssuedToken>;
  reviewToken(token: string, audiences?: string[]): Promise<TokenReviewResult>;
  /**
   * HTTP status of an API call that every authenticated ServiceAccount may make (a self-review), made with `token`
   * alone.
   */
  callWithToken(token: string): Promise<number>;
  /** A request with the harness's own credentials; `path` begins with a slash. */
  request: ApiRequest;
  /** The same without any credentials of the harness. */
  requestWithoutCredentials: ApiRequest;
  /**
   * A request to a Service, through the API server's proxy: works on any cluster that the API server of can be reached.
   */
  serviceFetch: ProxiedRequest;
  /** The same to a pod. */
  podFetch: ProxiedRequest;
  exec(
    namespace: string,
    pod: string,
    container: string,
    command: string[],
    onText?: (text: string) => void,
  ): Promise<ExecResult>;
  /** Creates objects in the given order. */
  create(objects: KubernetesObject[]): Promise<void>;
  /** Watches one pod by its name until `accept` answers something. */
  watchPod<R>(
    namespace: string,
    name: string,
    accept: (event: WatchEvent<V1Pod>) => R | undefined,
    options: PodWatchOptions,
  ): Promise<R>;
  /** Waits until a pod of the harness's own is Ready. @throws NotTestable when it fails for good or not in time */
  podReady(namespace: string, name: string, deadlineSeconds?: number): Promise<V1Pod>;
}

/** Why nothing can be shown to the API server by a ServiceAccount. */
export function takesNoTokens(misread: string): string {
  return `at the server of the kubeconfig a fresh token of a ServiceAccount ${misread}: a front before the API server takes its own users alone, so that nothing can be shown by such a token`;
}

/** Builds the handle from the plain data of the main process. */
export function createClusterHandle(data: ClusterData, signal?: AbortSignal): ClusterHandle {
  const kubeConfig = new SharedConnections();
  kubeConfig.loadFromString(data.kubeConfig);
  const core = suitedClient(kubeConfig);
  const authentication = kubeConfig.makeApiClient(AuthenticationV1Api);
  const objects = KubernetesObjectApi.makeApiClient(kubeConfig);
  const requests = apiRequests(kubeConfig, signal);
  const pods = new PodWatch(kubeConfig, [data.workloadImage], signal);
  return {
    kubeConfig,
    core,
    authentication,
    issuer: data.issuer,
    apiAudiences: data.apiAudiences,
    owned: data.owned,
    workloadImage: data.workloadImage,
    ...(data.storageClass === undefined ? {} : { storageClass: data.storageClass }),
    ...(data.signingKey === undefined ? {} : { forge: createForge(data.signingKey) }),
    ...(data.previousSigningKey === undefined ? {} : { previousForge: createForge(data.previousSigningKey) }),
    ...requests,
    createToken: (options) => createToken(core, options),
    reviewToken: (token, audiences) => reviewToken(authentication, token, audiences),
    async callWithToken(token) {
      if (data.misreadsTokens !== undefined) {
        throw new HarnessError(takesNoTokens(data.misreadsTokens));
      }
      return callWithToken(requests.requestWithoutCredentials, token);
    },
    exec: (namespace, pod, container, command, onText) =>
      execInPod(kubeConfig, { namespace, pod, container }, command, onText),
    async create(list) {
      for (const object of list) {
        await objects.create(object.kind === 'Job' ? await suitedJob(core, object as V1Job) : object);
      }
    },
    watchPod: (namespace, name, accept, options) => pods.until(namespace, name, accept, options),
    podReady: (namespace, name, deadlineSeconds) => pods.ready(namespace, name, deadlineSeconds),
  };
}
