/** A runner that is started where it cannot do its work, or with settings that are wrong (JL-20, JL-21, JL-44). */

import { NotApplicable } from '../../../core/errors.ts';
import { type Finding, missing } from '../../../core/findings.ts';
import { mayMakeQuotas, podQuota } from '../../../probes/quotas.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { type LaunchedRunner, withJobRunner } from '../launch.ts';
import {
  escaped,
  LAST_OUTPUT_SECONDS,
  leftByPreflight,
  type RunnerRecord,
  type RunnersRecord,
  saidBy,
} from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { shareTasks, withEvidence } from './tasks.ts';

export interface RefusalRecord extends RunnerRecord {
  /** What stands in the way, in words. */
  cause: string;
  /** What has to be named, as a regular expression. */
  named: string;
}

/** Seconds in which what the preflight made has to be gone. */
const CLEAN_UP_SECONDS = 15;

/** Seconds in which a runner that reported too early that it is ready may still find out. */
const SECOND_THOUGHTS_SECONDS = 20;

/** A runner that can do its work, and starts where it cannot. */
export interface PreflightRecord extends RunnersRecord {
  good: RunnerRecord;
  refusals: RefusalRecord[];
}

export async function observePreflight(t: RequirementContext): Promise<PreflightRecord> {
  const [good, refusals] = await Promise.all([shareTasks(t), shareRefusals(t)]);
  return { ...withEvidence<RunnerRecord>(t, jobRunnerTarget(t), [good, ...refusals]), good, refusals };
}

/** {@link shareRefusals}, with each start as evidence. */
export async function observeRefusals(t: RequirementContext): Promise<RunnersRecord<RefusalRecord>> {
  return withEvidence(t, jobRunnerTarget(t), await shareRefusals(t));
}

function unlessNotApplicable(error: unknown): undefined {
  if (!(error instanceof NotApplicable)) {
    throw error;
  }
}

/** The runner is started where it cannot do its work, each time for another cause. */
function shareRefusals(t: RequirementContext): Promise<RefusalRecord[]> {
  return t.sharedByAllFiles('job runner: refusals', async () => {
    const quotas = await mayMakeQuotas(await t.cluster());
    const target = jobRunnerTarget(t);
    // A runner that is deployed there has to have room itself.
    const own = 'service' in target.start ? (target.manifests?.replicas ?? 1) : 0;
    const quota = podQuota('no-pods', own);
    const refused = (purpose: string, cause: string, named: string, options: object): Promise<RefusalRecord> =>
      withJobRunner(t, { purpose, ...options }, async (runner) => {
        const seen = runner.record().readiness;
        if (seen?.ready === true) {
          await runner.until(() => runner.record().exit !== undefined, SECOND_THOUGHTS_SECONDS);
        }
        await untilNamed(runner, cause, named);
        // A watch reports a deletion a little later, and a runner may report what is wrong before it cleans up.
        await runner.until(() => leftByPreflight(runner.record()).length === 0, CLEAN_UP_SECONDS);
        return { ...runner.record(), cause, named };
      });
    const hostNetwork = target.capabilities.includes('pod-template') && target.podSecurity !== 'privileged';
    const starts: Promise<RefusalRecord | undefined>[] = [
      refused('no-rights', 'it has no rights', 'forbidden|not allowed|cannot|denied|permission|rbac', { rules: [] }),
      ...(quotas ? [refused('no-pods', 'a quota allows no pods', 'quota', { objects: [quota] })] : []),
    ];
    if (hostNetwork) {
      const podSecurity = refused(
        'pod-security',
        'Pod Security refuses what its pod template asks for',
        'podsecurity|host namespaces|hostnetwork',
        {
          needsPodSecurity: true,
          settings: { podTemplate: { hostNetwork: true, containers: [{ name: target.container }] } },
        },
      );
      // A run that is kept to namespaces without Pod Security leaves out what it would refuse.
      starts.push(podSecurity.catch(unlessNotApplicable));
    }
    const settled = await Promise.all(starts);
    return settled.filter((record) => record !== undefined);
  });
}

/** {@link shareBadSettings}, with each start as evidence. */
export async function observeBadSettings(t: RequirementContext): Promise<RunnersRecord<RefusalRecord>> {
  const target = jobRunnerTarget(t);
  const { contradictions, unknownKeys } = target.documented;
  if (contradictions.length === 0 && unknownKeys !== 'refused') {
    const keys = unknownKeys === undefined ? 'nothing of unknown keys' : 'that unknown keys are ignored';
    t.notApplicable(
      'the target file documents no contradicting settings (`documented.contradictions`) ' +
        `and ${keys} (\`documented.unknownKeys\`)`,
    );
  }
  return withEvidence(t, target, await shareBadSettings(t));
}

/**
 * The runner is started with settings that contradict one another, and, where it declares to refuse it, with a key that
 * it does not know.
 */
function shareBadSettings(t: RequirementContext): Promise<RefusalRecord[]> {
  return t.shared('job runner: bad settings', () => {
    const { contradictions, unknownKeys } = jobRunnerTarget(t).documented;
    const started = (
      purpose: string,
      cause: string,
      named: string,
      extra: Record<string, unknown>,
    ): Promise<RefusalRecord> =>
      withJobRunner(t, { purpose, settings: { extra } }, async (runner) => {
        await untilNamed(runner, cause, escaped(named));
        return { ...runner.record(), cause, named: escaped(named) };
      });
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

/**
 * Waits for what a runner that does not start writes of it: its log and its report come by two ways, and the one that
 * holds the cause may be the later one.
 */
async function untilNamed(runner: LaunchedRunner, cause: string, named: string): Promise<void> {
  const isRefused = (): boolean => {
    const { readiness, exit } = runner.record();
    return readiness !== undefined && (!readiness.ready || exit !== undefined);
  };
  if (isRefused()) {
    await runner.until(() => describeStart({ ...runner.record(), cause, named }) === undefined, LAST_OUTPUT_SECONDS);
  }
}

/** How a start went that should have been refused with its cause named; undefined: it was. */
export function describeStart(refusal: RefusalRecord): Finding | undefined {
  const { readiness, cause, named, exit, target } = refusal;
  if (readiness === undefined) {
    return missing(`with ${cause} it neither started nor reported why not within ${target.startSeconds} s`);
  }
  if (readiness.ready && exit === undefined) {
    return `with ${cause} it started all the same`;
  }
  const said = saidBy(refusal);
  return new RegExp(named, 'i').test(said)
    ? undefined
    : missing(`with ${cause} it did not start, but does not name that: ${said.slice(0, 300)}`);
}
