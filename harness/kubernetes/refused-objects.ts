import { describeAnswer, HarnessError } from '../core/errors.ts';

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
