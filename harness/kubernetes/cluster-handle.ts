import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import {
  AuthenticationV1Api,
  CoreV1Api,
  Exec,
  HttpMethod,
  KubeConfig,
  type KubernetesObject,
  KubernetesObjectApi,
  RequestContext,
  type V1Job,
  type V1Pod,
  type V1Status,
} from '@kubernetes/client-node';
import { fetch, type RequestInit, type Response } from 'undici';
import { DeadlineExceeded, HarnessError, NotTestable } from '../core/errors.ts';
import { createForge, type TokenForge } from '../core/token.ts';
import type { ClusterData } from './cluster-data.ts';
import { firstAssignedUid, withoutOwnIds } from './uid-range.ts';
import { type WatchEvent, type WatchOptions, watchUntil } from './watch.ts';

export interface TokenRequestOptions {
  namespace: string;
  serviceAccount: string;
  /** Absent: the API server's default. */
  audiences?: string[];
  expirationSeconds?: number;
  boundPod?: { name: string; uid: string };
}

/** An answer to a TokenRequest. */
export interface IssuedToken {
  token: string;
  /** `status.expirationTimestamp`. */
  expirationTimestamp: Date;
  /** `spec.expirationSeconds` as answered: the cluster may have capped what was asked. */
  expirationSeconds: number;
}

/** An answer to a TokenReview; success is `authenticated` and an intersection in `audiences`. */
export interface TokenReviewResult {
  authenticated: boolean;
  audiences: string[];
  error?: string;
  username?: string;
}

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
  /** HTTP status of an API call that every authenticated ServiceAccount may make (a self-review), made with `token` alone. */
  callWithToken(token: string): Promise<number>;
  /** A request with the harness's own credentials; `path` begins with a slash. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** The same without any credentials of the harness. */
  requestWithoutCredentials(path: string, init?: RequestInit): Promise<Response>;
  /** A request to a Service, through the API server's proxy: works on any cluster that the API server of can be reached. */
  serviceFetch(namespace: string, service: string, port: number, path: string, init?: RequestInit): Promise<Response>;
  /** The same to a pod. */
  podFetch(namespace: string, pod: string, port: number, path: string, init?: RequestInit): Promise<Response>;
  exec(
    namespace: string,
    pod: string,
    container: string,
    command: string[],
  ): Promise<{ exitCode: number; stdout: string; stderr: string }>;
  /** Creates objects in the given order. */
  create(objects: KubernetesObject[]): Promise<void>;
  /** Watches one pod by its name until `accept` answers something. */
  watchPod<R>(
    namespace: string,
    name: string,
    accept: (event: WatchEvent<V1Pod>) => R | undefined,
    options: Pick<WatchOptions<V1Pod>, 'what' | 'deadlineSeconds'>,
  ): Promise<R>;
  /** Waits until a pod of the harness's own is Ready. @throws NotTestable when it fails for good or not in time */
  podReady(namespace: string, name: string, deadlineSeconds?: number): Promise<V1Pod>;
}

/** Why a pod does not run, from its status: for messages. */
export function describePod(pod: V1Pod): string {
  const containers = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  const states = containers.map(({ name, state, restartCount }) => {
    const reason =
      state?.waiting?.reason ??
      (state?.terminated === undefined ? 'running' : `${state.terminated.reason} (${state.terminated.exitCode})`);
    return `${name} ${reason}${state?.waiting?.message === undefined ? '' : `: ${state.waiting.message}`}, ${restartCount} restarts`;
  });
  const unscheduled = pod.status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  return [pod.status?.phase ?? 'no phase', unscheduled?.message, ...states].filter(Boolean).join('; ');
}

/** States of a container whose image is not there (Kubernetes, "Images"; pkg/kubelet/images/types.go). */
const NO_IMAGE = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'ErrImageNeverPull',
  'InvalidImageName',
  'ImageInspectError',
  'RegistryUnavailable',
]);

/** The scheduler's messages where there is no node for a pod as it is, whatever its volumes are. */
const NO_NODE = /Insufficient (cpu|memory|ephemeral-storage)|Too many pods|untolerated taint|node affinity\/selector/;

/**
 * What a pod of the harness's own lacks on this cluster, so that nothing is said about the cluster when it does not run.
 *
 * @param images references of the harness's own images; what other images lack is not its business
 */
export function lackedByPod(pod: V1Pod, images: string[]): string | undefined {
  const { spec, status } = pod;
  const imageOf = new Map(
    [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map(({ name, image }) => [name, image ?? '']),
  );
  for (const { name, state } of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const image = imageOf.get(name) ?? '';
    const { reason = '', message = '' } = state?.waiting ?? {};
    if (NO_IMAGE.has(reason) && images.includes(image)) {
      return `the harness's image ${image} cannot be had by node ${spec?.nodeName} (${reason}${message === '' ? '' : `: ${message}`})`;
    }
  }
  const unscheduled = status?.conditions?.find(({ type, status: is }) => type === 'PodScheduled' && is === 'False');
  const why = unscheduled?.message ?? '';
  return NO_NODE.test(why) && !/volume/i.test(why) ? `no node takes it: ${why}` : undefined;
}

export function isReady(pod: V1Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

/** True where a cluster assigns uids: the harness's own pods must not insist on theirs there. Asked once a namespace. */
const assigns = new Map<string, Promise<boolean>>();

async function suited(core: CoreV1Api, namespace: string, pod: V1Pod): Promise<V1Pod> {
  if (withoutOwnIds(pod) === pod) return pod;
  const known = assigns.get(namespace) ?? firstAssignedUid(core, namespace).then((uid) => uid !== undefined);
  assigns.set(namespace, known);
  return (await known) ? withoutOwnIds(pod) : pod;
}

async function suitedJob(core: CoreV1Api, job: V1Job): Promise<V1Job> {
  const { spec } = job;
  const namespace = job.metadata?.namespace;
  if (spec?.template.spec === undefined || namespace === undefined) return job;
  const { spec: pod = spec.template.spec } = await suited(core, namespace, { spec: spec.template.spec });
  return { ...job, spec: { ...spec, template: { ...spec.template, spec: pod } } };
}

/** A client that creates pods so that they suit their namespace. */
function suitedClient(kubeConfig: KubeConfig): CoreV1Api {
  const core = kubeConfig.makeApiClient(CoreV1Api);
  const createAsItIs = core.createNamespacedPod.bind(core);
  core.createNamespacedPod = async (request, options) =>
    createAsItIs({ ...request, body: await suited(core, request.namespace, request.body) }, options);
  return core;
}

/** Builds the handle from the plain data of the main process. */
export function createClusterHandle(data: ClusterData, signal?: AbortSignal): ClusterHandle {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(data.kubeConfig);
  const core = suitedClient(kubeConfig);
  const authentication = kubeConfig.makeApiClient(AuthenticationV1Api);
  const objects = KubernetesObjectApi.makeApiClient(kubeConfig);
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) {
    throw new HarnessError('the kubeconfig has no current context');
  }
  const withoutCredentials = new KubeConfig();
  withoutCredentials.loadFromClusterAndUser(cluster, { name: 'nobody' });
  const send =
    (config: KubeConfig) =>
    async (path: string, init: RequestInit = {}): Promise<Response> => {
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
  const request = send(kubeConfig);
  const requestWithoutCredentials = send(withoutCredentials);
  const proxy =
    (kind: 'services' | 'pods') =>
    (namespace: string, name: string, port: number, path: string, init?: RequestInit): Promise<Response> =>
      request(`/api/v1/namespaces/${namespace}/${kind}/${name}:${port}/proxy${path}`, init);

  const handle: ClusterHandle = {
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
    async createToken({ namespace, serviceAccount, audiences = [], expirationSeconds, boundPod }) {
      const answer = await core.createNamespacedServiceAccountToken({
        namespace,
        name: serviceAccount,
        body: {
          spec: {
            audiences,
            ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
            ...(boundPod === undefined ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...boundPod } }),
          },
        },
      });
      const { token, expirationTimestamp } = answer.status ?? {};
      if (token === undefined || expirationTimestamp === undefined) {
        throw new HarnessError('the TokenRequest was answered without a token');
      }
      return {
        token,
        expirationTimestamp: new Date(expirationTimestamp),
        expirationSeconds: answer.spec?.expirationSeconds ?? Number.NaN,
      };
    },
    async reviewToken(token, audiences) {
      const { status } = await authentication.createTokenReview({
        body: { spec: { token, ...(audiences === undefined ? {} : { audiences }) } },
      });
      return {
        authenticated: status?.authenticated === true,
        audiences: status?.audiences ?? [],
        ...(status?.error === undefined ? {} : { error: status.error }),
        ...(status?.user?.username === undefined ? {} : { username: status.user.username }),
      };
    },
    async callWithToken(token) {
      if (data.refusesServiceAccounts === true) {
        throw new HarnessError(
          'the server of the kubeconfig answers 401 to a fresh token of a ServiceAccount: a front before the API server takes those of its own users alone, so that nothing can be shown to it',
        );
      }
      const response = await requestWithoutCredentials('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }),
      });
      await response.arrayBuffer();
      return response.status;
    },
    request,
    requestWithoutCredentials,
    serviceFetch: proxy('services'),
    podFetch: proxy('pods'),
    async exec(namespace, pod, container, command) {
      const stdout = new PassThrough();
      const stderr = new PassThrough();
      const { promise, resolve, reject } = Promise.withResolvers<V1Status>();
      const socket = await new Exec(kubeConfig).exec(
        namespace,
        pod,
        container,
        command,
        stdout,
        stderr,
        null,
        false,
        resolve,
      );
      socket.on('close', () => reject(new HarnessError(`exec in ${namespace}/${pod} was closed without a status`)));
      const [status, out, err] = await Promise.all([promise, text(stdout), text(stderr)]);
      const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
      return { exitCode: status.status === 'Success' ? 0 : Number(code ?? -1), stdout: out, stderr: err };
    },
    async create(list) {
      for (const object of list) {
        await objects.create(object.kind === 'Job' ? await suitedJob(core, object as V1Job) : object);
      }
    },
    async watchPod(namespace, name, accept, options) {
      let last: V1Pod | undefined;
      try {
        return await watchUntil<V1Pod, NonNullable<ReturnType<typeof accept>>>(
          kubeConfig,
          `/api/v1/namespaces/${namespace}/pods`,
          (event) => {
            last = event.object;
            return accept(event) ?? undefined;
          },
          {
            ...options,
            fieldSelector: `metadata.name=${name}`,
            describe: describePod,
            ...(signal === undefined ? {} : { signal }),
          },
        );
      } catch (error) {
        const lacked =
          error instanceof DeadlineExceeded && last !== undefined ? lackedByPod(last, [data.workloadImage]) : undefined;
        throw lacked === undefined ? error : new HarnessError(`pod ${namespace}/${name} cannot run: ${lacked}`);
      }
    },
    async podReady(namespace, name, deadlineSeconds = 60) {
      try {
        return await handle.watchPod(
          namespace,
          name,
          ({ type, object }) => {
            if (type === 'DELETED' || object.status?.phase === 'Failed' || object.status?.phase === 'Succeeded') {
              throw new NotTestable(`pod ${namespace}/${name} ended before it was Ready: ${describePod(object)}`);
            }
            return isReady(object) ? object : undefined;
          },
          { what: `pod ${namespace}/${name} to be Ready`, deadlineSeconds },
        );
      } catch (error) {
        throw error instanceof DeadlineExceeded ? new NotTestable(error.message) : error;
      }
    },
  };
  return handle;
}
