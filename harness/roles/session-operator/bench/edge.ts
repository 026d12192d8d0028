import { bundleWorkload } from '../../../core/bundle.ts';
import { DnsAndTunnelFake } from '../../../fakes/dns-and-tunnel/server.ts';
import type { EdgeIds } from '../../../fakes/dns-and-tunnel/zone.ts';
import type { ClusterHandle } from '../../../kubernetes/cluster-handle.ts';
import type { RequirementContext, TargetAccess } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import type { SessionOperatorDriver } from '../driver.ts';
import { API_HOST, inClusterDriver, provideEdge } from '../drivers/in-cluster.ts';
import { processDriver } from '../drivers/process.ts';

export interface EdgeOptions {
  t: RequirementContext;
  target: Target<'session-operator'>;
  cluster: ClusterHandle;
  namespace: string;
  access: TargetAccess;
  ids: EdgeIds;
  /** The credential that it takes. */
  token: string;
  /** Is given the edge before anything else is done: whoever takes it closes it. */
  onStart(edge: DnsAndTunnelFake): void;
}

/** What an operator is started with. */
export interface StartedEdge {
  edge: DnsAndTunnelFake;
  driver: SessionOperatorDriver;
  /** What `${reference.program}` stands for. */
  program: string;
}

/** Starts the fake of the edge where the operator can reach it: on this host, or from inside the cluster. */
export function startEdge(options: EdgeOptions): Promise<StartedEdge> {
  return 'inCluster' in options.target.start ? startForPods(options) : startForProcess(options);
}

async function startForProcess({ target, ids, token, onStart }: EdgeOptions): Promise<StartedEdge> {
  const edge = await DnsAndTunnelFake.start({ ids, token });
  onStart(edge);
  return { edge, driver: processDriver(target, edge.url), program: '' };
}

async function startForPods({
  t,
  target,
  cluster,
  namespace,
  access,
  ids,
  token,
  onStart,
}: EdgeOptions): Promise<StartedEdge> {
  const host = access.inCluster?.KUBERNETES_SERVICE_HOST;
  const { cert, key, ca } = await t.certificate(API_HOST);
  const program = await bundleWorkload('session-operator');
  const edge = await DnsAndTunnelFake.start({
    ids,
    token,
    tls: { cert, key },
    ...(host === undefined ? {} : { host }),
  });
  onStart(edge);
  const edgeAddress =
    host === undefined ? '' : await provideEdge(cluster, namespace, { host, port: Number(new URL(edge.url).port), ca });
  return { edge, driver: inClusterDriver({ target, cluster, namespace, access, edgeAddress }), program };
}
