/** Replicas of an operator as pods: each is made from the pod template of its own Deployment. */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { KubernetesObject, V1Pod, V1PodSpec } from '@kubernetes/client-node';
import { HarnessError, NotTestable } from '../../../core/errors.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import { Recorder } from '../../../kubernetes/recorder.ts';
import { podSpec, START_SECONDS } from '../../../probes/pods.ts';
import type { TargetAccess } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import { forNamespace, readManifests, type Workload } from '../../job-runner/manifests.ts';
import type { OperatorExit, SessionOperatorDriver } from '../driver.ts';

/** The host whose address is built into operators. */
export const API_HOST = 'api.cloudflare.com';

const FORWARDER = 'conformance-edge';
const FORWARDER_PORT = 8443;
const AUTHORITY = 'conformance-edge-ca';
const AUTHORITY_FOLDER = '/var/run/conformance';

/** How pods reach the fake, whose server is in the harness's own process. */
export interface EdgeForPods {
  /** Address and port at which pods reach it. */
  host: string;
  port: number;
  /** CA certificate of its TLS, PEM. */
  ca: string;
}

/**
 * Puts a forwarder into the namespace: a Service at port 443, which a pod's hostAliases can name, in front of a pod
 * that passes connections on to the harness.
 *
 * @returns the Service's address
 */
export async function provideEdge(cluster: ClusterHandle, namespace: string, edge: EdgeForPods): Promise<string> {
  const script =
    `const net = require('node:net'); net.createServer((one) => { const other = net.connect(${edge.port}, '${edge.host}');` +
    ` one.pipe(other).pipe(one); one.on('error', () => other.destroy()); other.on('error', () => one.destroy()); }).listen(${FORWARDER_PORT});`;
  const spec = podSpec(cluster.workloadImage, 'default', {
    name: 'forwarder',
    command: ['node', '-e', script],
    readinessProbe: { tcpSocket: { port: FORWARDER_PORT }, periodSeconds: 1 },
  });
  await cluster.create([
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: AUTHORITY, namespace },
      data: { 'ca.crt': edge.ca },
    } as KubernetesObject,
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: FORWARDER, namespace },
      spec: { selector: { app: FORWARDER }, ports: [{ port: 443, targetPort: FORWARDER_PORT }] },
    } as KubernetesObject,
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: FORWARDER, namespace, labels: { app: FORWARDER } },
      spec: { ...spec, automountServiceAccountToken: false },
    } as KubernetesObject,
  ]);
  const [service] = await Promise.all([
    cluster.core.readNamespacedService({ name: FORWARDER, namespace }),
    cluster.podReady(namespace, FORWARDER, START_SECONDS),
  ]);
  const address = service.spec?.clusterIP;
  if (address === undefined) {
    throw new HarnessError(`the Service ${FORWARDER} has no address`);
  }
  return address;
}

export interface InClusterOptions {
  target: Target<'session-operator'>;
  cluster: ClusterHandle;
  namespace: string;
  access: Pick<TargetAccess, 'inCluster' | 'serviceAccount'>;
  /** Address of {@link provideEdge}. */
  edgeAddress: string;
}

/** @throws NotTestable where pods of the cluster do not reach the recording proxy */
export function inClusterDriver(options: InClusterOptions): SessionOperatorDriver {
  const { target, cluster, namespace, access, edgeAddress } = options;
  const { start, manifests } = target;
  if (!('inCluster' in start) || manifests === undefined) {
    throw new HarnessError(`${target.file} does not start its operator in the cluster`);
  }
  const { inCluster, serviceAccount } = access;
  if (inCluster === undefined) {
    throw new NotTestable(
      'pods of this cluster do not reach the harness: start the operator as a process (`start.command`)',
    );
  }
  const { container: own } = manifests;
  let made = false;
  let count = 0;
  return {
    async start({ replica, values, without, onLine }) {
      const filled = readManifests(target, values);
      const objects = forNamespace(filled, namespace, { serviceAccount, container: own, env: { ...inCluster } });
      const { workload } = filled;
      if (!made) {
        await cluster.create(objects.filter(({ kind }) => kind !== workload.kind));
        made = true;
      }
      count += 1;
      const name = `operator-${replica.toLowerCase().replaceAll('_', '-')}-${count}`;
      const pod = podOf(workload, { name, namespace, own, edgeAddress, without });
      const exited = Promise.withResolvers<OperatorExit>();
      let following: Promise<void> | undefined;
      const recorder = await Recorder.open<V1Pod>(cluster, `/api/v1/namespaces/${namespace}/pods`, {
        fieldSelector: `metadata.name=${name}`,
        onEvent({ at, type, object }) {
          const state = object.status?.containerStatuses?.find((status) => status.name === own)?.state;
          if (state?.running !== undefined || state?.terminated !== undefined) {
            following ??= follow(cluster, namespace, name, own, onLine);
          }
          if (state?.terminated !== undefined || type === 'DELETED') {
            const end = { at: at.getTime(), code: state?.terminated?.exitCode ?? null, signal: null };
            // What it said last comes with the end of its log.
            void (following ?? Promise.resolve()).then(() => exited.resolve(end));
          }
        },
      });
      await cluster.create([pod as KubernetesObject]);
      const remove = async (query: string): Promise<void> => {
        const path = `/api/v1/namespaces/${namespace}/pods/${name}${query}`;
        await (await cluster.request(path, { method: 'DELETE' })).text();
      };
      return {
        exited: exited.promise,
        async health() {
          const response = await cluster.podFetch(namespace, name, start.healthPort, target.healthPath);
          await response.text();
          // The API server answers for a pod that it cannot reach, too.
          return response.status === 502 || response.status === 503 ? undefined : response.status;
        },
        signal: (signal) => void remove(signal === 'SIGKILL' ? '?gracePeriodSeconds=0' : ''),
        async stop() {
          await remove('?gracePeriodSeconds=0');
          await exited.promise;
          await recorder.close();
        },
      };
    },
  };
}

/** A pod of the workload's template that reaches proxy and fake. */
function podOf(
  { spec: { template } }: Workload,
  at: { name: string; namespace: string; own: string; edgeAddress: string; without: string[] },
): V1Pod {
  const spec = structuredClone(template.spec) as unknown as V1PodSpec;
  const mount = { name: AUTHORITY, mountPath: AUTHORITY_FOLDER, readOnly: true };
  for (const container of spec.containers) {
    if (container.name === at.own) {
      const env = (container.env ?? []).filter(({ name }) => !at.without.includes(name));
      container.env = [...env, { name: 'NODE_EXTRA_CA_CERTS', value: `${AUTHORITY_FOLDER}/ca.crt` }];
      container.volumeMounts = [...(container.volumeMounts ?? []), mount];
    }
  }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: at.name, namespace: at.namespace, labels: { ...template.metadata?.labels } },
    spec: {
      ...spec,
      restartPolicy: 'Never',
      hostAliases: [...(spec.hostAliases ?? []), { ip: at.edgeAddress, hostnames: [API_HOST] }],
      volumes: [...(spec.volumes ?? []), { name: AUTHORITY, configMap: { name: AUTHORITY } }],
    },
  };
}

async function follow(
  cluster: ClusterHandle,
  namespace: string,
  pod: string,
  container: string,
  onLine: (line: string) => void,
): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log?container=${container}&follow=true`;
  const response = await cluster.request(path);
  if (response.status !== 200 || response.body === null) {
    // It went before its log could be read.
    await response.text();
    return;
  }
  for await (const line of createInterface(Readable.fromWeb(response.body))) {
    onLine(line);
  }
}
