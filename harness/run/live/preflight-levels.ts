import { KubeConfig, type V1Namespace, type V1Pod } from '@kubernetes/client-node';
import { describeAnswer } from '../../core/errors.ts';
import { createClusterHandle } from '../../kubernetes/cluster-handle.ts';
import { ENFORCED_LEVEL, enforcedLevel, isAtMost } from '../../kubernetes/pod-security.ts';
import { refuserOf } from '../../kubernetes/refused-objects.ts';
import { suitedClient } from '../../kubernetes/suited-pods.ts';
import type { Lack, PreflightOptions } from './lacks.ts';

/** What is needed of a level of Pod Security below `restricted`, by the requirements that need it. */
type NeededLevel = PreflightOptions['needs']['podSecurity'][number];

/**
 * Whether there are namespaces of each level of Pod Security that is needed below `restricted`: an owner may enforce
 * that everywhere, by policies on namespaces or on pods. What needs another level is not applicable then.
 */
export async function missingLevels(options: PreflightOptions): Promise<Lack[]> {
  const { given, needs } = options;
  const find = given === undefined ? levelOfOwn : levelOfGiven;
  return (await Promise.all(needs.podSecurity.map((needed) => find(options, needed)))).flat();
}

function lackOf({ level, requirements }: NeededLevel, found: string, fix: string): Lack {
  return { missing: `a namespace of Pod Security ${level}`, found, fix, requirements, leavesOut: true };
}

async function levelOfGiven({ data, given = [] }: PreflightOptions, needed: NeededLevel): Promise<Lack[]> {
  const { request } = createClusterHandle(data);
  const levels = await Promise.all(
    given.map(async (name) => {
      const answer = await request(`/api/v1/namespaces/${name}`);
      const namespace = (await answer.json()) as V1Namespace;
      // Who may not read it is told by its pods.
      return [name, answer.ok ? enforcedLevel(namespace) : 'privileged'] as const;
    }),
  );
  if (levels.some(([, level]) => isAtMost(level, needed.level))) {
    return [];
  }
  const found = levels.map(([name, level]) => `${name} enforces ${level}`).join(', ');
  return [lackOf(needed, found, `give one that enforces no more than ${needed.level} by --namespace`)];
}

/** What an owner can do about it. */
const FIX = 'exempt the namespaces of the run (their names begin with kac-), or do without these requirements';

async function levelOfOwn({ data, namespace }: PreflightOptions, needed: NeededLevel): Promise<Lack[]> {
  const { level } = needed;
  const { core } = createClusterHandle(data);
  const metadata = { name: `kac-preflight-${level}`, labels: { [ENFORCED_LEVEL]: level } };
  try {
    const enforced = enforcedLevel(await core.createNamespace({ body: { metadata }, dryRun: 'All' }));
    if (!isAtMost(enforced, level)) {
      return [lackOf(needed, `the cluster makes it enforce ${enforced}`, FIX)];
    }
    // The pods of `privileged` are those of targets: only they can say whether they need it.
    return level === 'baseline' ? await refusedPlainPod(data, await namespace(level), needed) : [];
  } catch (error) {
    return lackOfPolicy(needed, error);
  }
}

/** A pod that says nothing of its security, as most are written. */
async function refusedPlainPod(
  { kubeConfig, workloadImage: image }: PreflightOptions['data'],
  namespace: string,
  needed: NeededLevel,
): Promise<Lack[]> {
  const config = new KubeConfig();
  config.loadFromString(kubeConfig);
  const body: V1Pod = { metadata: { name: 'preflight-plain' }, spec: { containers: [{ name: 'probe', image }] } };
  try {
    await suitedClient(config).createNamespacedPod({ namespace, body, dryRun: 'All' });
    return [];
  } catch (error) {
    return lackOfPolicy(needed, error);
  }
}

/** @throws what is no refusal by a policy: rights are told as such */
function lackOfPolicy(needed: NeededLevel, error: unknown): Lack[] {
  const answer = describeAnswer(error);
  const refuser = answer === undefined ? undefined : refuserOf((error as { code: number }).code, answer);
  if (answer === undefined || refuser === undefined) {
    throw error;
  }
  return refuser === 'policy' ? [lackOf(needed, answer, FIX)] : [];
}
