import { fileURLToPath } from 'node:url';
import type { Catalogue, Requirement, Role, Twin } from '../catalogue/catalogue.ts';
import { UsageError } from '../core/errors.ts';
import type { ClusterKind } from '../kubernetes/cluster-data.ts';
import type { ClockKind, Subject } from '../rpc/protocol.ts';
import { loadTarget, type Target } from '../targets/load.ts';

const TOKEN_CLIENT_TARGET = fileURLToPath(
  new URL('../../fixtures/targets/token-clients/reference.yaml', import.meta.url),
);

export interface Selection {
  /** Names of suites; none = all. */
  suites?: string[];
  /** Ids; none = all of the suites. */
  requirements?: string[];
  /** Names of twins (`prove`); none = all. */
  twins?: string[];
}

function assertKnown(kind: string, asked: string[], known: string[]): void {
  const unknown = asked.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new UsageError(`unknown ${kind} ${unknown.join(', ')}; known: ${known.join(', ')}`);
  }
}

/**
 * The requirements that a selection names, in the order of the catalogue.
 *
 * @throws UsageError for a suite or an id that does not exist, with those that do
 */
export function select(catalogue: Catalogue, selection: Selection): Requirement[] {
  const suites = selection.suites ?? [];
  const ids = selection.requirements ?? [];
  assertKnown('suite', suites, catalogue.suites);
  assertKnown(
    'requirement',
    ids,
    catalogue.requirements.map((row) => row.id),
  );
  const selected = catalogue.requirements.filter(
    (row) => (suites.length === 0 || suites.includes(row.suite)) && (ids.length === 0 || ids.includes(row.id)),
  );
  if (selected.length === 0) {
    throw new UsageError(`no requirement is in both: suites ${suites.join(', ')} and requirements ${ids.join(', ')}`);
  }
  return selected;
}

/** The subject of `conformance run` with the references in every slot. */
export function referencesSubject(requirements: Requirement[]): Subject {
  return { name: 'references', planned: requirements.map((row) => row.id) };
}

/**
 * The subject of `conformance run` with targets: each judged in its role, references in every other.
 *
 * @throws UsageError for two targets of one role, or a selection that binds none of them
 */
export function targetsSubject(targets: Target[], requirements: Requirement[]): Subject {
  const roles: Role[] = targets.map(({ role }) => role);
  const twice = roles.filter((role, index) => roles.indexOf(role) !== index);
  if (twice.length > 0) throw new UsageError(`two targets of the role ${twice.join(', ')}: one slot holds one target`);
  const planned = requirements.filter(({ role }) => roles.includes(role)).map(({ id }) => id);
  if (planned.length === 0) throw new UsageError(`what is selected binds no ${roles.join(' or ')}`);
  const [role] = roles;
  return {
    name: targets.map(({ name }) => name).join(' with '),
    ...(roles.length === 1 && role !== undefined ? { role } : {}),
    targets,
    planned,
  };
}

/**
 * The subjects of `conformance prove`: each twin with the requirements that it must fail, and with those of the same role in the
 * same suites that it must not (the costly ones left out).
 *
 * @throws UsageError for a twin that does not exist, with those that do
 */
export function twinSubjects(catalogue: Catalogue, selection: Selection): Subject[] {
  const asked = selection.twins ?? [];
  assertKnown(
    'twin',
    asked,
    catalogue.twins.map((twin) => twin.name),
  );
  const requirements = select(catalogue, { ...selection, twins: [] });
  return catalogue.twins
    .filter((twin) => asked.length === 0 || asked.includes(twin.name))
    .map((twin) => subjectOfTwin(twin, requirements, catalogue))
    .filter((subject) => subject.planned.length > 0);
}

function subjectOfTwin(twin: Twin, requirements: Requirement[], catalogue: Catalogue): Subject {
  const suites = new Set(
    catalogue.requirements.filter(({ id }) => twin.mustFail.includes(id)).map(({ suite }) => suite),
  );
  const asTarget = twin.role === 'token-client' && twin.tokenClient.asTarget === true;
  // What else it must not fail is asked of the variant that is no target.
  const isBystander = (row: Requirement): boolean =>
    !asTarget && row.role === twin.role && suites.has(row.suite) && row.costly !== true;
  return {
    name: twin.name,
    role: twin.role,
    fault: twin.fault,
    ...(twin.role === 'token-client' ? { tokenClientVariant: twin.tokenClient.variant } : {}),
    ...(asTarget ? { targets: [loadTarget(TOKEN_CLIENT_TARGET)] } : {}),
    ...(twin.role === 'job-runner' ? { jobRunner: twin.jobRunner } : {}),
    planned: requirements.filter((row) => twin.mustFail.includes(row.id) || isBystander(row)).map((row) => row.id),
  };
}

/** @throws UsageError for a combination that cannot work */
export function checkCombination({ cluster, clock }: { cluster: ClusterKind; clock: ClockKind }): void {
  if (cluster === 'kubeconfig' && clock === 'accelerated') {
    throw new UsageError(
      '--clock accelerated needs a cluster that the harness starts (--cluster k3s): a live cluster is not reconfigured. Use --clock real.',
    );
  }
}
