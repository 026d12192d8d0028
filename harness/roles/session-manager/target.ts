import { fileURLToPath } from 'node:url';
import { HarnessError } from '../../core/errors.ts';
import type { OperationName } from '../../role-data/session-manager/target-file.ts';
import { type Candidate, targetFor, twinFor } from '../../rpc/candidate.ts';
import { loadReference, type Target } from '../../targets/load.ts';

type Form = Target<'session-manager'>['form'];
type TargetOf<F extends Form> = Extract<Target<'session-manager'>, { form: F }>;

/** A manager that is called by HTTP. */
export type HttpTarget = TargetOf<'http'>;
/** One whose sessions are custom resources. */
export type ResourceTarget = TargetOf<'custom-resource'>;

const REFERENCES = {
  http: fileURLToPath(new URL('../../../fixtures/targets/session-managers/reference/target.yaml', import.meta.url)),
  'custom-resource': fileURLToPath(
    new URL('../../../fixtures/targets/session-managers/reference/custom-resource.yaml', import.meta.url),
  ),
};

/** The folders of fixtures/workloads that the references' target files start (`${workload}`). */
const WORKLOADS = { http: 'session-manager', 'custom-resource': 'session-controller' };

/** The form in which a candidate is evaluated; undefined: the references, in both. */
function formOf(candidate: Candidate): Form | undefined {
  const twin = twinFor(candidate, 'session-manager');
  return targetFor(candidate, 'session-manager')?.form ?? twin?.sessionManager.form;
}

/** Capabilities of the target, or of the references in the forms that the candidate is evaluated in. */
export function declaredCapabilities(candidate: Candidate): readonly string[] {
  const given = targetFor(candidate, 'session-manager');
  if (given !== undefined) {
    return given.capabilities;
  }
  const form = formOf(candidate);
  const forms = form === undefined ? (Object.keys(REFERENCES) as Form[]) : [form];
  return forms.flatMap((one): readonly string[] => loadReference(REFERENCES[one]).capabilities);
}

function targetOfForm<F extends Form>({ candidate }: { candidate: Candidate }, form: F): TargetOf<F> {
  const given =
    targetFor(candidate, 'session-manager') ?? (loadReference(REFERENCES[form]) as Target<'session-manager'>);
  if (given.form !== form) {
    throw new HarnessError(`${given.file} has the form ${given.form}, and ${form} was asked for`);
  }
  const twin = twinFor(candidate, 'session-manager')?.sessionManager;
  const { documents = [], podSecurity = given.podSecurity } = twin?.form === form ? twin : {};
  const rules = { ...given.rules, namespaced: [...given.rules.namespaced, ...documents] };
  return { ...(given as TargetOf<F>), podSecurity, rules };
}

/**
 * The session manager in the slot that is called by HTTP: the target, or the reference, or a twin's variant of the
 * reference.
 */
export function sessionManagerTarget(t: { candidate: Candidate }): HttpTarget {
  return targetOfForm(t, 'http');
}

/** The same of one whose sessions are custom resources. */
export function resourceTarget(t: { candidate: Candidate }): ResourceTarget {
  return targetOfForm(t, 'custom-resource');
}

/** True where a call of an operation passes an input on: what cannot be asked for is not evaluated. */
export function takes(target: HttpTarget, operation: OperationName, input: string): boolean {
  const { path, query, body } = target.http.operations[operation] ?? {};
  return JSON.stringify([path, query, body]).includes(`\${${input}}`);
}

/**
 * The folder of fixtures/workloads that a reference's target file starts (`${workload}`): a twin has one of its own.
 */
export function workloadOf({ candidate }: { candidate: Candidate }, form: Form): string {
  const twin = twinFor(candidate, 'session-manager')?.sessionManager;
  const workload = WORKLOADS[form];
  return twin?.form === form && twin.variant !== undefined ? `${workload}-twins/${twin.variant}` : workload;
}

/** Longest time until another replica leads when the leader was killed, as the target file says. */
export function takeoverSeconds({ start, install }: Pick<ResourceTarget, 'start' | 'install'>): number {
  return (start ?? install).takeoverSeconds;
}
