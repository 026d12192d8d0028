/**
 * The names by which servers of a run know each other.
 *
 * An issuer must read the same to the pods, to the provider and to the harness, or audiences and issuers do not match.
 * The names are constant because each run has a Docker network of its own; `.test` is reserved by RFC 6761 section 6.2,
 * so that none of them can ever be somebody's real host.
 */
export const HOSTS = {
  cluster: 'cluster.conformance.test',
  accelerator: 'accelerator.conformance.test',
  keycloak: 'keycloak.conformance.test',
  embedded: 'embedded.conformance.test',
  mock: 'mock.conformance.test',
  /** In front of the containers of a target file. */
  target: 'target.conformance.test',
} as const;

/** Port of the API server, of the token accelerator and of the issuer URL of a cluster that the harness starts. */
export const API_SERVER_PORT = 6443;

/** Port of the https listener of every identity provider, part of its issuer URL. */
export const IDENTITY_PROVIDER_PORT = 8443;

/** Label of every container and network of a run: its value is the run's id. */
export const RUN_LABEL = 'kube-agent-conformance.run';

/** Taint of the nodes that are added to a cluster of the harness's own: only pods that are made for them run there. */
export const FURTHER_NODE_TAINT = {
  key: 'kube-agent-conformance/further-node',
  value: 'true',
  effect: 'NoSchedule',
} as const;

/** Label of every Kubernetes object of a run: its value is the run's id. */
export const RUN_OBJECT_LABEL = 'kube-agent-conformance/run';

/**
 * Label of what serves a whole run: in a namespace of somebody else it stays while what each requirement made there
 * goes.
 */
export const LASTS_FOR_THE_RUN = { 'kube-agent-conformance/lasts-for': 'the-run' } as const;

/** Annotation of what a run in a pod makes: `NAMESPACE/NAME/UID` of that pod, which says whether the run is alive. */
export const RUN_POD_ANNOTATION = 'kube-agent-conformance/pod';

/**
 * {@link RUN_POD_ANNOTATION} of this process, where the downward API tells which pod it is.
 *
 * @returns no annotation outside of a pod
 */
export function annotationOfThisPod(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const { POD_NAMESPACE: namespace, POD_NAME: name, POD_UID: uid } = env;
  return namespace && name && uid ? { [RUN_POD_ANNOTATION]: `${namespace}/${name}/${uid}` } : {};
}
