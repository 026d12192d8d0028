/** How the operator is installed (WH-07o): what its manifests come to when the API server admits them. */
import { twinFor } from '../../../rpc/candidate.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import type { Target } from '../../../targets/load.ts';
import { readManifests } from '../../job-runner/manifests.ts';
import { admit, type InstallationRecord } from '../../job-runner/scenarios/installation.ts';
import { sessionOperatorTarget } from '../target.ts';

export interface OperatorInstallation extends Pick<InstallationRecord, 'workload' | 'pod' | 'refused'> {
  target: Target<'session-operator'>;
  stalls: [];
}

/** Values for a dry run: nothing of it is ever started. */
function exampleValues(namespace: string, image: string): Record<string, string> {
  const url = 'http://example.invalid';
  return {
    namespace,
    image,
    'edge.token': 'of a dry run',
    'edge.zone': 'zone',
    'edge.tunnel': 'tunnel',
    'edge.domain': 'conformance.example',
    'edge.url': url,
    'ingress.url': url,
    'router.url': url,
    'router.service': 'router',
    middleware: 'authentication',
    'health.port': '8080',
    replica: 'a',
    'reference.program': '',
  };
}

export async function observeInstallation(t: RequirementContext): Promise<OperatorInstallation> {
  const target = sessionOperatorTarget(t);
  if (target.manifests === undefined) {
    t.notApplicable('the target file gives no manifests of the operator’s own installation (`manifests`)');
  }
  const cluster = await t.cluster();
  const changes = twinFor(t.candidate, 'session-operator')?.sessionOperator.manifests ?? [];
  const seen = await t.withNamespace(
    'operator installation',
    t.preconditions.podSecurity ?? 'restricted',
    (namespace) => {
      const { workload } = readManifests(target, exampleValues(namespace, cluster.workloadImage), changes);
      return admit(cluster, namespace, workload);
    },
  );
  t.evidence('its own installation', seen);
  return { ...seen, target, stalls: [] };
}
