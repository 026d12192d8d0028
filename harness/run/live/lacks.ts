import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import type { Needs } from './needs.ts';

/** Something that a cluster lacks for the harness. */
export interface Lack {
  /** What is missing, in words that can be looked for. */
  missing: string;
  /** What the cluster said. */
  found: string;
  fix: string;
  /** Ids of the requirements that need it. */
  requirements: string[];
}

export interface PreflightOptions {
  data: ClusterData;
  /** The second cluster, where there is one. */
  peer?: { context: string; cluster: ClusterData };
  needs: Needs;
  /** Makes a namespace as a run makes it, or gives the one that the run is kept to. Only where that is allowed. */
  namespace(): Promise<string>;
  /** The run is kept to this namespace. */
  given?: string;
  onProgress(message: string): void;
}

/** Tokens live minutes, and API servers allow no difference at all. */
const CLOCK_SECONDS = 5;

/**
 * The lack of two clocks that agree, where they differ by too much.
 *
 * @param whose the two clocks, for the message
 */
export function clockLack(whose: string, seconds: number, fix: string, needs: Needs): Lack[] {
  return Math.abs(seconds) > CLOCK_SECONDS
    ? [
        {
          missing: 'clocks that agree',
          found: `the clocks of ${whose} differ by ${Math.abs(seconds).toFixed(0)} s`,
          fix,
          requirements: idsOf(needs),
        },
      ]
    : [];
}

const ROOM = 'make room in the quota, or let the harness’s objects ask for less by --settings';

/** Of the admission plugin ServiceAccount: a controller makes the account in each namespace, if nothing refuses it. */
const ACCOUNT = 'make that ServiceAccount; a policy may have refused it to the controller of the cluster';

const SETTINGS = 'give the harness’s objects what the policy asks for by --settings';

/** The lack of somebody's consent to an object of the harness: a policy, a quota, Pod Security. */
export function admissionLack(what: string, answer: string, requirements: string[]): Lack {
  const fix = /exceeded quota/.test(answer) ? ROOM : /looking up service account/.test(answer) ? ACCOUNT : SETTINGS;
  return { missing: `admission of ${what}`, found: answer, fix, requirements };
}

/** Ids of all that is to be evaluated: of what nothing can be evaluated without. */
export function idsOf({ requirements }: Needs): string[] {
  return requirements.map(({ id }) => id);
}

/** One line for each thing that is missing, with what it is for and how to fix it. */
export function renderLacks(lacks: readonly Lack[]): string[] {
  return lacks.flatMap(({ missing, found, fix, requirements }) => [
    `  ${missing}`,
    `      found: ${found}`,
    `      needed by: ${requirements.length > 8 ? `${requirements.length} requirements (${requirements.slice(0, 5).join(', ')}, …)` : requirements.join(', ')}`,
    `      fix: ${fix}`,
  ]);
}

/** Why each requirement cannot be evaluated that lacks something, and how to provide it. */
export function lackingOf(lacks: readonly Lack[]): Record<string, string> {
  const reasons = new Map<string, string[]>();
  for (const { missing, found, fix, requirements } of lacks) {
    for (const id of requirements) {
      reasons.set(id, [...(reasons.get(id) ?? []), `${missing} (${found}); fix: ${fix}`]);
    }
  }
  return Object.fromEntries(
    [...reasons].map(([id, list]) => [id, `this cluster lacks for the harness: ${list.join('; ')}`]),
  );
}
