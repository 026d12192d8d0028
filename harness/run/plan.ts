import type { Catalogue, Requirement, Twin } from '../catalogue/catalogue.ts';
import { didYouMean } from '../core/closest.ts';
import { UsageError } from '../core/errors.ts';
import { scattered } from '../core/scattered.ts';
import type { ClusterKind } from '../kubernetes/cluster-data.ts';
import type { Role } from '../role-data/index.ts';
import { roleDefinition } from '../roles/index.ts';
import { checkFiles } from '../roles/manifest-files.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type { ClockKind } from '../rpc/protocol.ts';
import type { Target } from '../targets/load.ts';

export interface Selection {
  /** Names of suites; none = all. */
  suites?: string[];
  /** Ids; none = all of the suites. */
  requirements?: string[];
  /** Names of twins (`prove`); none = all. */
  twins?: string[];
  /** Of `prove`, see {@link twinCandidates}; absent: all. */
  bystanders?: Bystanders;
}

/** Which requirements a twin is asked that it must not fail: all of its role and suites, or those that it reaches. */
export type Bystanders = 'all' | 'reached';

/** Each observation is asked of so many twins, at least, that have their fault elsewhere. */
const TWINS_OF_A_BYSTANDER = 3;

type Kind = 'suite' | 'requirement' | 'twin';

/** How each kind of name is given to the command line. */
const USAGE: Record<Kind, (name: string) => string> = {
  suite: (name) => `give it as an argument: conformance run ${name}`,
  requirement: (name) => `use --requirement ${name}`,
  twin: (name) => `use conformance prove ${name}`,
};

/** Where the names of a kind are listed. */
const LISTED: Record<Kind, (catalogue: Catalogue) => string> = {
  suite: ({ suites }) => `Suites: ${suites.join(', ')}.`,
  requirement: () => 'See `conformance list`.',
  twin: () => '`conformance explain ID` names the twins of a requirement.',
};

function assertKnown(kind: Kind, asked: string[], catalogue: Catalogue): void {
  const names: Record<Kind, string[]> = {
    suite: catalogue.suites,
    requirement: catalogue.requirements.map(({ id }) => id),
    twin: catalogue.twins.map(({ name }) => name),
  };
  const unknown = asked.filter((name) => !names[kind].includes(name));
  if (unknown.length === 0) {
    return;
  }
  const problems = unknown.map((name) => {
    const other = (Object.keys(names) as Kind[]).find((each) => names[each].includes(name));
    return other === undefined
      ? `unknown ${kind} ${name}.${didYouMean(name, names[kind])}`
      : `${name} is a ${other}; ${USAGE[other](name)}.`;
  });
  const isUnlisted = problems.some((problem) => problem.startsWith('unknown'));
  throw new UsageError([...problems, ...(isUnlisted ? [LISTED[kind](catalogue)] : [])].join(' '));
}

/**
 * The requirements that a selection names, in the order of the catalogue.
 *
 * @throws UsageError for a suite or an id that does not exist, with the nearest ones
 */
export function select(catalogue: Catalogue, selection: Selection): Requirement[] {
  const suites = selection.suites ?? [];
  const ids = selection.requirements ?? [];
  assertKnown('suite', suites, catalogue);
  assertKnown('requirement', ids, catalogue);
  const selected = catalogue.requirements.filter(
    (row) => (suites.length === 0 || suites.includes(row.suite)) && (ids.length === 0 || ids.includes(row.id)),
  );
  if (selected.length === 0) {
    throw new UsageError(
      `no requirement is in both the suites ${suites.join(', ')} and the requirements ${ids.join(', ')}`,
    );
  }
  return selected;
}

/** The candidate of `conformance run` with the references in every slot. */
export function referencesCandidate(requirements: Requirement[]): Candidate {
  return { kind: 'references', name: 'references', planned: requirements.map((row) => row.id) };
}

/**
 * The candidate of `conformance run` with targets: each evaluated in its role, references in every other.
 *
 * @throws UsageError for two targets of one role, a selection that binds none of them, or a file that one of them names
 *   and that cannot be read
 */
export function targetsCandidate(targets: Target[], requirements: Requirement[]): Candidate {
  const roles: Role[] = targets.map(({ role }) => role);
  const twice = roles.filter((role, index) => roles.indexOf(role) !== index);
  if (twice.length > 0) {
    throw new UsageError(`two targets of the role ${twice.join(', ')}: one slot holds one target`);
  }
  const planned = requirements.filter(({ role }) => roles.includes(role)).map(({ id }) => id);
  if (planned.length === 0) {
    throw new UsageError(`what is selected binds no ${roles.join(' or ')}`);
  }
  for (const target of targets) {
    checkFiles(target, roleDefinition(target.role).filesOf?.(target) ?? {});
  }
  return { kind: 'targets', name: targets.map(({ name }) => name).join(' with '), targets, planned };
}

/**
 * The candidates of `conformance prove`: each twin with the requirements that it must fail, and with bystanders: those
 * of the same role in the same suites that it must not fail (the expensive ones left out). With `bystanders` `reached`
 * these are the ones that are evaluated from the same observation, where the fault is to be seen; of every other
 * observation, three twins are chosen by their names, the same ones in every run.
 *
 * @throws UsageError for a twin that does not exist, with the nearest ones
 */
export function twinCandidates(catalogue: Catalogue, selection: Selection): Candidate[] {
  const asked = selection.twins ?? [];
  assertKnown('twin', asked, catalogue);
  const requirements = select(catalogue, { ...selection, twins: [] });
  const chosen = selection.bystanders === 'reached' ? chooseTwins(catalogue) : undefined;
  return catalogue.twins
    .filter((twin) => asked.length === 0 || asked.includes(twin.name))
    .map((twin) => {
      const rows = bystandersOf(twin, requirements, catalogue);
      const isAsked = chosen === undefined ? () => true : reachedBy(twin, catalogue, chosen);
      return candidateOfTwin(twin, requirements, rows.filter(isAsked));
    })
    .filter((candidate) => candidate.planned.length > 0);
}

/** The requirements that a twin may be asked though it must not fail them. */
function bystandersOf(twin: Twin, requirements: Requirement[], catalogue: Catalogue): Requirement[] {
  // A twin that is run as a target is asked only what it must fail: the rest is asked of the same variant that is no
  // target.
  if (roleDefinition(twin.role).targetsOfTwin?.(twin) !== undefined) {
    return [];
  }
  const suites = new Set(
    catalogue.requirements.filter(({ id }) => twin.mustFail.includes(id)).map(({ suite }) => suite),
  );
  return requirements.filter(
    ({ id, role, suite, expensive }) =>
      role === twin.role && suites.has(suite) && expensive !== true && !twin.mustFail.includes(id),
  );
}

/** Two rows with the same one are evaluated from the same observation, or are the same row. */
export function observationOf({
  id,
  role,
  observation = id,
}: Pick<Requirement, 'id' | 'role' | 'observation'>): string {
  return `${role} ${observation}`;
}

/** The few twins that each observation is asked of though their fault is elsewhere, whatever a run selects. */
type ChosenTwins = ReadonlyMap<string, readonly string[]>;

function chooseTwins(catalogue: Catalogue): ChosenTwins {
  const possible = new Map<string, string[]>();
  for (const twin of catalogue.twins) {
    const failed = observationsFailedBy(twin, catalogue);
    const others = bystandersOf(twin, catalogue.requirements, catalogue).map(observationOf);
    for (const observation of new Set(others.filter((other) => !failed.has(other)))) {
      possible.set(observation, [...(possible.get(observation) ?? []), twin.name]);
    }
  }
  const few = (observation: string, twins: string[]): string[] =>
    scattered(twins, (twin) => `${observation} ${twin}`).slice(0, TWINS_OF_A_BYSTANDER);
  return new Map([...possible].map(([observation, twins]) => [observation, few(observation, twins)]));
}

function observationsFailedBy({ mustFail }: Twin, { requirements }: Catalogue): Set<string> {
  return new Set(requirements.filter(({ id }) => mustFail.includes(id)).map(observationOf));
}

/**
 * Whether a bystander shares an observation with a row that the twin must fail, or has this twin among its few others.
 */
function reachedBy(twin: Twin, catalogue: Catalogue, chosen: ChosenTwins): (row: Requirement) => boolean {
  const failed = observationsFailedBy(twin, catalogue);
  return (row) => {
    const observation = observationOf(row);
    return failed.has(observation) || (chosen.get(observation) ?? []).includes(twin.name);
  };
}

function candidateOfTwin(twin: Twin, requirements: Requirement[], bystanders: Requirement[]): Candidate {
  const targets = roleDefinition(twin.role).targetsOfTwin?.(twin);
  return {
    kind: 'twin',
    name: twin.name,
    twin,
    ...(targets === undefined ? {} : { targets }),
    planned: requirements
      .filter((row) => twin.mustFail.includes(row.id) || bystanders.includes(row))
      .map(({ id }) => id),
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
