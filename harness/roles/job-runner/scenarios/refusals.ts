/** A runner that is started where it cannot do its work, or with settings that are wrong (JL-20, JL-21, JL-44). */

import type { KubernetesObject } from '@kubernetes/client-node';
import type { RequirementContext } from '../../../rpc/context.ts';
import { type RunnerRecord, withJobRunner } from '../launch.ts';
import { escaped } from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { leftByPreflight } from './tasks.ts';

export interface RefusalRecord extends RunnerRecord {
  /** What stands in the way, in words. */
  cause: string;
  /** What has to be named, as a regular expression. */
  named: string;
}

/** Time in which what the proof made has to be gone. */
const CLEAN_UP_SECONDS = 15;

/** Time in which a runner that said too early that it is ready may still find out. */
const SECOND_THOUGHTS_SECONDS = 20;

/** The runner is started where it cannot do its work, each time for another cause. */
export function observeRefusals(t: RequirementContext): Promise<RefusalRecord[]> {
  return t.sharedByAllFiles('job runner: refusals', () => {
    const target = jobRunnerTarget(t);
    // A runner that is deployed there has to have room itself.
    const own = 'service' in target.start ? (target.manifests?.replicas ?? 1) : 0;
    const quota = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'no-pods' },
      spec: { hard: { pods: String(own) } },
    } as KubernetesObject;
    const refused = (purpose: string, cause: string, named: string, options: object): Promise<RefusalRecord> =>
      withJobRunner(t, { purpose, ...options }, async (runner) => {
        const seen = runner.record().readiness;
        if (seen?.ready === true) await runner.until(() => runner.record().exit, SECOND_THOUGHTS_SECONDS);
        // A watch tells what is gone a little later, and a runner may say what is wrong before it cleans up.
        await runner.until(() => (leftByPreflight(runner.record()).length === 0 ? true : undefined), CLEAN_UP_SECONDS);
        return { ...runner.record(), cause, named };
      });
    const hostNetwork = target.capabilities.includes('pod-template') && target.podSecurity !== 'privileged';
    return Promise.all([
      refused('no-rights', 'it has no rights', 'forbidden|not allowed|cannot|denied|permission|rbac', { rules: [] }),
      refused('no-pods', 'a quota allows no pods', 'quota', { objects: [quota] }),
      ...(hostNetwork
        ? [
            refused(
              'pod-security',
              'Pod Security refuses what its pod template asks for',
              'podsecurity|host namespaces|hostnetwork',
              {
                settings: { podTemplate: { hostNetwork: true, containers: [{ name: target.container }] } },
              },
            ),
          ]
        : []),
    ]);
  });
}

/** The runner is started with settings that contradict one another, and, where it declares to refuse it, with a key that it does not know. */
export function observeBadSettings(t: RequirementContext): Promise<RefusalRecord[]> {
  return t.shared('job runner: bad settings', () => {
    const { contradictions, unknownKeys } = jobRunnerTarget(t).documented;
    const started = (
      purpose: string,
      cause: string,
      named: string,
      extra: Record<string, unknown>,
    ): Promise<RefusalRecord> =>
      withJobRunner(t, { purpose, settings: { extra } }, async (runner) => ({
        ...runner.record(),
        cause,
        named: escaped(named),
      }));
    return Promise.all([
      ...contradictions.map(({ settings, field }, index) =>
        started(`settings-${index}`, `contradicting settings ${JSON.stringify(settings)}`, field, settings),
      ),
      ...(unknownKeys === 'refused'
        ? [
            started('unknown-key', 'an unknown key `conformanceUnknown`', 'conformanceUnknown', {
              conformanceUnknown: true,
            }),
          ]
        : []),
    ]);
  });
}
