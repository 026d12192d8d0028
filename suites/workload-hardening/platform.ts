import { readFileSync } from 'node:fs';
import { NetworkingV1Api, type V1NetworkPolicy } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { fill } from '../../harness/core/placeholders.ts';
import type { RequirementContext } from '../../harness/rpc/context.ts';
import { connectUntil, type Reached, SERVER_PORTS, startServerPod } from './network.ts';

const POLICY = new URL('./manifests/agent-policy.yaml', import.meta.url);

const SERVERS = ['identity-provider', 'resource-server', 'elsewhere'];
/** Those that the policy lets an agent reach, by one of their ports. */
const ALLOWED = ['identity-provider', 'resource-server'];

/** The agent that the policy selects, and one that no policy selects. */
const AGENTS = ['agent', 'other-agent'] as const;
export type Agent = (typeof AGENTS)[number];

/** Of each endpoint (`host:port`), whether it is to be open. */
export type Endpoints = Record<string, boolean>;

/** How long Services and names may take until they lead somewhere. */
const SERVICES_SECONDS = 60;

/** Servers in a namespace of the platform's, and two agents in one of their own. */
export interface Platform {
  /** What each agent reaches where there is no policy. */
  allOpen: Record<Agent, Endpoints>;
  /** What each agent reaches under the policy. */
  underPolicy: Record<Agent, Endpoints>;
  /** Lets both agents connect until what they see is what is expected, or the time is over. */
  endpointsSeen(expected: Record<Agent, Endpoints>, seconds?: number): Promise<Record<Agent, Reached>>;
  /** Makes the policy of manifests/agent-policy.yaml. */
  applyAgentPolicy(): Promise<V1NetworkPolicy>;
}

export async function startPlatform(t: RequirementContext): Promise<Platform> {
  const cluster = await t.cluster();
  const { name: platform } = await t.namespaceFor('platform');
  const { name: namespace } = await t.namespaceFor('agents');
  const [, otherPod] = await Promise.all([
    ...AGENTS.map((name) => startServerPod(t, namespace, name)),
    ...SERVERS.map((name) => startServerPod(t, platform, name)),
  ]);
  for (const name of SERVERS) {
    const ports = Object.entries(SERVER_PORTS).map(([key, port]) => ({ name: key, port }));
    const spec = { selector: { 'app.kubernetes.io/name': name }, ports };
    await cluster.core.createNamespacedService({ namespace: platform, body: { metadata: { name }, spec } });
  }
  const endpoint = (server: string, port: number): string => `${server}.${platform}.svc:${port}`;
  const ofServers = SERVERS.flatMap((server) => Object.values(SERVER_PORTS).map((port) => endpoint(server, port)));
  const otherAgent = `${otherPod?.status?.podIP}:${SERVER_PORTS.allowed}`;
  const open = new Set(ALLOWED.map((server) => endpoint(server, SERVER_PORTS.allowed)));
  const endpoints = (names: string[], isOpen: (name: string) => boolean): Endpoints =>
    Object.fromEntries(names.map((name) => [name, isOpen(name)]));
  const ofOther = endpoints(ofServers, () => true);
  return {
    allOpen: { agent: endpoints([...ofServers, otherAgent], () => true), 'other-agent': ofOther },
    underPolicy: { agent: endpoints([...ofServers, otherAgent], (name) => open.has(name)), 'other-agent': ofOther },
    async endpointsSeen(expected, seconds = SERVICES_SECONDS) {
      const [agent, other] = await Promise.all(
        AGENTS.map((pod) => connectUntil(t, { namespace, pod }, expected[pod], seconds)),
      );
      return { agent, 'other-agent': other } as Record<Agent, Reached>;
    },
    async applyAgentPolicy() {
      const body = fill(parse(readFileSync(POLICY, 'utf8')) as V1NetworkPolicy, { platform }, 'agent-policy.yaml');
      await cluster.kubeConfig.makeApiClient(NetworkingV1Api).createNamespacedNetworkPolicy({ namespace, body });
      return body;
    },
  };
}

/** What was seen of endpoints otherwise than expected, one sentence each without its subject. */
export function wrongEndpoints(seen: Record<string, string>, expected: Endpoints): string[] {
  return Object.keys(expected)
    .filter((name) => (seen[name] === 'open') !== expected[name])
    .map((name) => (expected[name] === true ? `does not reach ${name}: ${seen[name]}` : `reaches ${name}`));
}
