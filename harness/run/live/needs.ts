import { type ClusterPrecondition, loadCatalogue, type Requirement } from '../../catalogue/catalogue.ts';
import { type LiveImageName, liveImage, liveImageVariable } from '../../environment/images/live-images.ts';
import type { NodeImage, Role } from '../../role-data/index.ts';
import { ROLE_DEFINITIONS, roleDefinition } from '../../roles/index.ts';
import type { IdentityProviderKind, PodSecurity } from '../../rpc/protocol.ts';
import type { Target } from '../../targets/load.ts';
import { type Measured, readMeasured } from './measured.ts';
import { type LiveRun, needsProvider, requestsOf, rightsOf, rightsToGive } from './needed-rights.ts';
import { type PeerNeeds, peerNeedsOf } from './peer-needs.ts';
import { compare, type NeededRight, type Scope, withGroup } from './rights.ts';

export interface NeededImage {
  name: LiveImageName;
  /** Undefined where nobody has said yet where the cluster can pull it. */
  reference: string | undefined;
  /** Environment variable that names another one. */
  variable: string;
  why: string;
  requirements: string[];
}

export interface Needs {
  /** What can be evaluated on a live cluster at all. */
  requirements: Requirement[];
  /** What cannot, and why. */
  notApplicable: { id: string; reason: string }[];
  rights: NeededRight[];
  /** Rights beyond those that the harness gives to what is evaluated, and so has to hold itself. */
  rightsToGive: NeededRight[];
  /** Roles of which an implementation is under test, and not a reference. */
  targetRoles: Role[];
  /** How many objects are made, by resource, where nothing is repeated. */
  objects: { resource: string; count: number; scope: Scope }[];
  images: NeededImage[];
  /** What is needed of a second cluster, where there is one. */
  peer?: PeerNeeds;
  /** Ids of requirements that take a pod which asks the API server: the harness's provider, or an installation. */
  fromPods: string[];
  /** Levels of Pod Security below `restricted` that namespaces have to enforce, by the requirements that need them. */
  podSecurity: { level: 'baseline' | 'privileged'; requirements: string[] }[];
  /** Ids of requirements that cannot be evaluated without a StorageClass for ordinary claims. */
  storage: string[];
  /** Ids of those that leave a part out without one. */
  storageIfAny: string[];
  /** Ids of those whose claims get the default StorageClass. */
  defaultStorage: string[];
  /** The StorageClass for ordinary claims where a target file names it; false where it says that there is none. */
  storageClass?: string | false;
  /** A rough guess in seconds. */
  seconds: number;
}

export interface NeedsOptions {
  targets?: Target[];
  /** The run is kept to namespaces that exist. */
  namespaces?: string[];
  /** The run has a second cluster. */
  peer?: boolean;
  /** What the harness runs as an identity provider where no target file gives one; default: the embedded one. */
  identityProvider?: IdentityProviderKind;
  env?: NodeJS.ProcessEnv;
}

/**
 * On the real clock a token lives 600 s and is replaced after 80 % of it; on an idle machine the rest runs in its
 * shadow.
 */
const ROTATION_SECONDS = 700;

/** Without the cluster's key TX-11 watches a token over the whole of its life, of which the API server gives 600 s. */
const OVER_A_LIFE = { ids: ['TX-11'], seconds: 600 };

/**
 * What the harness needs of a live cluster to evaluate these requirements. Asks nobody.
 *
 * A requirement that was never measured there is taken to need what the others of its suite and role do, where its role
 * does not say what.
 */
export function needsOf(selected: Requirement[], options: NeedsOptions = {}): Needs {
  const { targets = [], namespaces = [], peer = false, identityProvider = 'embedded', env = process.env } = options;
  const measured = readMeasured();
  const run: LiveRun = {
    targets,
    given: namespaces.length > 0,
    measured,
    all: once(() => loadCatalogue().requirements),
  };
  const applicable = selected.filter((row) => whyNot(row) === undefined);
  return {
    requirements: applicable,
    notApplicable: selected.flatMap((row) => {
      const reason = whyNot(row);
      return reason === undefined ? [] : [{ id: row.id, reason }];
    }),
    rights: rightsOf(applicable, run),
    rightsToGive: rightsToGive(applicable, run),
    targetRoles: targets.map(({ role }) => role),
    objects: objectsOf(applicable, run),
    images: [
      ...imagesOf(applicable, env),
      ...(identityProvider === 'keycloak' ? keycloakImage(applicable, targets, env) : []),
    ],
    ...(peer ? { peer: peerNeedsOf(applicable, run.given) } : {}),
    fromPods: applicable.filter((row) => needsProvider(row, targets) || isInstalled(row)).map(({ id }) => id),
    podSecurity: levelsOf(applicable, targets),
    ...storageOf(applicable, measured, targets),
    seconds: secondsOf(applicable),
  };
}

/** What the requirements make, and the namespaces of a run that makes its own: one for each role of a suite. */
function objectsOf(rows: readonly Requirement[], run: LiveRun): Needs['objects'] {
  const objects = new Map<string, Needs['objects'][number]>();
  for (const { right, count } of rows.flatMap((row) => requestsOf(row, run))) {
    const { verb, scope, group, resource } = right;
    if (verb !== 'create' || scope === 'path' || /\/|reviews$/.test(resource)) {
      continue;
    }
    const name = withGroup(resource, group);
    const known = objects.get(name) ?? { resource: name, count: 0, scope };
    objects.set(name, { ...known, count: known.count + count });
  }
  const files = new Set(rows.map(({ suite, role }) => `${suite}/${role}`));
  if (!run.given && files.size > 0) {
    objects.set('namespaces', { resource: 'namespaces', count: files.size, scope: 'cluster' });
  }
  return [...objects.values()].toSorted((one, other) => compare(one.resource, other.resource));
}

function secondsOf(rows: readonly Requirement[]): number {
  const longest = Math.max(0, ...rows.map(({ expectedSeconds = 10 }) => expectedSeconds));
  const rotates = rows.some(
    ({ suite, preconditions }) => suite === 'token-rotation' || preconditions?.rotations === true,
  );
  const lasts = rows.some(({ id }) => OVER_A_LIFE.ids.includes(id));
  const waiting = Math.max(longest, rotates ? ROTATION_SECONDS : 0, lasts ? OVER_A_LIFE.seconds : 0);
  return Math.ceil(waiting + 2 * rows.length);
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function imagesOf(rows: Requirement[], env: NodeJS.ProcessEnv): NeededImage[] {
  const starting = (name: NodeImage): string[] =>
    rows.filter(({ role }) => roleDefinition(role).nodeImages?.includes(name) === true).map(({ id }) => id);
  const image = (name: NeededImage['name'], requirements: string[], reason: string): NeededImage[] => {
    const variable = liveImageVariable(name);
    const reference = liveImage(name, env);
    return requirements.length === 0 ? [] : [{ name, reference, variable, why: reason, requirements }];
  };
  return [
    ...image(
      'node',
      rows.map(({ id }) => id),
      'a stock Node, for the pods of the harness',
    ),
    ...image('workload', starting('workload'), 'the agent of tasks and sessions (fixtures/images/workload)'),
    ...ROLE_DEFINITIONS.flatMap(({ role, referenceImage }) => {
      const { name, requirements = [] } = referenceImage ?? {};
      const running = rows.filter(({ id }) => requirements.includes(id)).map(({ id }) => id);
      const reason = `the reference ${role.replaceAll('-', ' ')} (fixtures/images/${name})`;
      return name === undefined ? [] : image(name, running, reason);
    }),
  ];
}

function keycloakImage(rows: Requirement[], targets: Target[], env: NodeJS.ProcessEnv): NeededImage[] {
  const requirements = rows.filter((row) => needsProvider(row, targets)).map(({ id }) => id);
  return requirements.length === 0
    ? []
    : [
        {
          name: 'keycloak',
          reference: liveImage('keycloak', env),
          variable: liveImageVariable('keycloak'),
          why: 'the identity provider of the harness (fixtures/images/keycloak, or that of Keycloak’s project)',
          requirements,
        },
      ];
}

/** Capabilities of a cluster that only one of the harness's own has. */
const OWNED = {
  'harness-owned': 'a cluster that the harness starts',
  'signing-key': 'the key that signs ServiceAccount tokens',
} as const;

function whyNot({ preconditions }: Requirement): string | undefined {
  const owned = (Object.keys(OWNED) as (keyof typeof OWNED)[]).find(
    (word) => preconditions?.cluster?.includes(word) === true,
  );
  if (owned !== undefined) {
    return `it needs ${OWNED[owned]}, and a live cluster is somebody else's`;
  }
  return undefined;
}

/** Whether a requirement runs the implementation itself in a pod. */
function isInstalled({ id, role }: Requirement): boolean {
  return roleDefinition(role).referenceImage?.requirements.includes(id) === true;
}

function levelsOf(rows: readonly Requirement[], targets: readonly Target[]): Needs['podSecurity'] {
  const levelOf = (row: Requirement): PodSecurity =>
    row.preconditions?.podSecurity ?? roleDefinition(row.role).podSecurity?.(row, targets) ?? 'restricted';
  return (['baseline', 'privileged'] as const).flatMap((level) => {
    const requirements = rows.filter((row) => levelOf(row) === level).map(({ id }) => id);
    return requirements.length === 0 ? [] : [{ level, requirements }];
  });
}

/** Requirements that make ordinary claims, and the StorageClass that a target file names for them. */
function storageOf(
  requirements: readonly Requirement[],
  measured: Measured,
  targets: readonly Target[],
): Pick<Needs, 'storage' | 'storageIfAny' | 'defaultStorage' | 'storageClass'> {
  const isDeclared = ({ preconditions }: Requirement, what: ClusterPrecondition): boolean =>
    preconditions?.cluster?.includes(what) === true;
  const asks = ({ id }: Requirement): boolean =>
    measured[id]?.['cluster list storageclasses.storage.k8s.io'] !== undefined;
  const ids = (isOne: (row: Requirement) => boolean): string[] => requirements.filter(isOne).map(({ id }) => id);
  const [storageClass] = targets.flatMap((target) => roleDefinition(target.role).storageClass?.(target) ?? []);
  return {
    storage: ids((row) => isDeclared(row, 'storage') || (asks(row) && !isDeclared(row, 'storage-if-any'))),
    storageIfAny: ids((row) => isDeclared(row, 'storage-if-any')),
    defaultStorage: ids((row) => roleDefinition(row.role).hasDefaultClaims?.(row, [...targets]) === true),
    ...(storageClass === undefined ? {} : { storageClass }),
  };
}
