import { describeAnswer, HarnessError, NotApplicable } from '../core/errors.ts';
import { LACKED } from '../core/outcome.ts';
import type { ClusterHandle } from './cluster-handle.ts';

/** Who said no to something that the harness wanted to make. */
export type Refuser = 'rights' | 'policy';

/**
 * An authorizer names user, verb and resource; whatever else forbids is admission (Kubernetes, "Admission Control").
 */
const BY_RIGHTS = /User "[^"]*" cannot \w+ (resource|path)|is attempting to grant RBAC permissions not currently held/;

/** Of an answer with 403 or 422, or with 400 by a webhook; undefined for any other. */
export function refuserOf(code: number, words: string): Refuser | undefined {
  if (code === 403) {
    return BY_RIGHTS.test(words) ? 'rights' : 'policy';
  }
  return /denied (the )?request|denied the request/.test(words) ? 'policy' : undefined;
}

const BY_OWNER =
  /exceeded quota|must specify (limits|requests)|admission webhook "[^"]*" denied|ValidatingAdmissionPolicy/;

/**
 * True for words of quotas and of policies that the owner of a cluster has set up; Pod Security is what a target
 * documents.
 */
export function isByOwner(words: string): boolean {
  return BY_OWNER.test(words);
}

/**
 * What an implementation that runs in a pod says of a refusal by a quota or a policy of a live cluster is nothing about
 * the implementation: `--settings` does not reach what it makes by itself.
 *
 * @param what it makes, in words
 * @param said by it
 * @throws NotApplicable in its words, where it was refused so
 */
export function assertAdmitted({ owned }: Pick<ClusterHandle, 'owned'>, what: string, said: string): void {
  const line = said.split('\n').find(isByOwner);
  if (!owned && line !== undefined) {
    throw new NotApplicable(
      `${LACKED}: admission of ${what} (${line.trim().slice(0, 500)}); fix: exempt the namespace, or configure the implementation so that its objects have what is asked for`,
    );
  }
}

/**
 * What is thrown where the cluster refuses an object of the harness's own: an error of the harness, since nothing is
 * said about the cluster, in the words of whoever refused it.
 *
 * @param what the object, in words
 */
export function refusedToHarness(what: string, error: unknown): unknown {
  const answer = describeAnswer(error);
  if (answer === undefined) {
    return error;
  }
  const refuser = refuserOf((error as { code: number }).code, answer);
  if (refuser === undefined) {
    return new HarnessError(`${what} could not be made`, { cause: error });
  }
  const fix =
    refuser === 'rights'
      ? 'the harness needs the right (see conformance plan)'
      : 'give the harness’s objects what the policy asks for by --settings';
  return new HarnessError(`${what} was refused to the harness; ${fix}`, { cause: error });
}
