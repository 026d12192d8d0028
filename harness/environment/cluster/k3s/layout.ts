import { HOSTS } from '../../../core/names.ts';

/** The name of the first node, which runs the control plane, too. */
export const NODE_NAME = 'node-0';

/** Where the files of the harness are, in the containers of the node and of the token accelerator. */
export const CONFORMANCE_FOLDER = '/etc/conformance';

export const CLUSTER_API_AUDIENCES = ['https://kubernetes.default.svc.cluster.local', 'k3s'];

/**
 * The two names of one cluster on the run's network. Those of a second cluster must differ: the first keeps the plain
 * names.
 */
export interface ClusterHosts {
  apiServer: string;
  accelerator: string;
}

/** @param name of the cluster; `reference` is the first one of a run */
export function hostsOf(name: string): ClusterHosts {
  const own = (host: string): string => (name === 'reference' ? host : `${name}.${host}`);
  return { apiServer: own(HOSTS.cluster), accelerator: own(HOSTS.accelerator) };
}
