import type { Preconditions, Requirement } from './catalogue.ts';

const CLUSTER: Record<NonNullable<Preconditions['cluster']>[number], string> = {
  'harness-owned': 'a cluster that the harness started',
  'signing-key': 'the ServiceAccount signing key of the cluster',
  storage: 'a StorageClass that provisions claims',
  'storage-if-any': 'a StorageClass that provisions claims, for a part of the requirement',
  'read-write-many': 'a StorageClass whose claims several nodes can mount at once',
  'two-nodes': 'two schedulable nodes',
  'network-policies': 'a network that enforces NetworkPolicies',
  dns: 'pods that reach the DNS of the cluster',
};

/**
 * What must be there before a requirement can be evaluated, and what it costs, a line each; none where nothing special
 * is.
 */
export function describePreconditions({
  preconditions,
  expensive,
  expectedSeconds,
}: Pick<Requirement, 'preconditions' | 'expensive' | 'expectedSeconds'>): string[] {
  const { capabilities = [], simulatedProviders = [], rotations, podSecurity, cluster = [] } = preconditions ?? {};
  return [
    ...capabilities.map((capability) => `the target declares the capability ${capability}`),
    ...(simulatedProviders.length === 0 ? [] : [`simulated identity providers: ${simulatedProviders.join(', ')}`]),
    ...(rotations === true ? ['the client is watched across token rotations'] : []),
    ...(podSecurity === undefined ? [] : [`a namespace that enforces no more than Pod Security ${podSecurity}`]),
    ...cluster.map((need) => CLUSTER[need]),
    ...(expensive === true ? ['expensive: evaluated only for the twins that must fail it'] : []),
    ...(expectedSeconds === undefined ? [] : [`takes about ${expectedSeconds} s`]),
  ];
}
