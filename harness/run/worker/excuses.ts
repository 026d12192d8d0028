import { describeError, HarnessError, NotApplicable } from '../../core/errors.ts';
import { isRed, LACKED, outcomeOf } from '../../core/outcome.ts';
import type { Candidate } from '../../rpc/candidate.ts';
import { environmentOf } from '../../rpc/client.ts';
import type { EnvironmentApi } from '../../rpc/environment-api.ts';
import type { WorkerSettings } from '../../rpc/protocol.ts';

/**
 * What is red on a live cluster that refused something to the harness meanwhile says nothing about the cluster. Where
 * what works is asked for alone, the requirement is not applicable then, and so is one that the harness could not
 * evaluate for that reason.
 */
export async function unlessRefused(
  settings: WorkerSettings,
  candidate: Candidate,
  id: string,
  thrown: unknown,
): Promise<unknown> {
  const outcome = outcomeOf(thrown);
  if (settings.ownCluster || !(isRed(outcome) || outcome === 'harness error')) {
    return thrown;
  }
  const { refused } = await environmentOf(settings, candidate.name).refusals({ id });
  const isLack = refused.length > 0 || (thrown instanceof Error && MAY_NOT.test(thrown.message));
  if (settings.whatWorks === true && isLack) {
    return new NotApplicable(`${LACKED}: ${refused.join('; ') || describeError(thrown)}`);
  }
  if (refused.length === 0 || outcome === 'harness error') {
    return thrown;
  }
  return new HarnessError(
    `the cluster refused to the harness: ${refused.join('; ')}; meanwhile: ${describeError(thrown)}`,
  );
}

/** How the harness says that the main process was refused something. */
const MAY_NOT = /the harness may not give|was refused to the harness|the cluster refused a dry run of the manifests/;

/** What failed while a part of the environment was gone is a harness error: it says nothing about the target. */
export async function unlessEnvironmentIsGone(environment: EnvironmentApi, thrown: unknown): Promise<unknown> {
  const outcome = outcomeOf(thrown);
  if (outcome !== 'failed' && outcome !== 'not testable') {
    return thrown;
  }
  try {
    await environment.alive({});
    return thrown;
  } catch (gone) {
    return new HarnessError(`${describeError(gone)}; meanwhile: ${describeError(thrown)}`);
  }
}
