import { LACKED } from '../../core/outcome.ts';
import type { ClusterData } from '../../kubernetes/cluster-data.ts';
import type { PodSecurity } from '../../rpc/protocol.ts';
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
  /**
   * True where a run goes on without what needs it, and does not have to be told to: it is of the cluster's own choice,
   * or beyond what the run is kept to.
   */
  leavesOut?: true;
}

export interface PreflightOptions {
  data: ClusterData;
  /** The second cluster, where there is one. */
  peer?: { context: string; cluster: ClusterData };
  needs: Needs;
  /**
   * Makes a namespace of this level as a run makes it, or gives one that the run is kept to. Only where that is
   * allowed.
   */
  namespace(level: PodSecurity): Promise<string>;
  /** The run is kept to these namespaces. */
  given?: readonly string[];
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

/**
 * Whether these lacks end a run that was not told to go on with what works: something has to be provided for what is
 * not left out anyway, or nothing would be left to evaluate.
 */
export function endsRun(lacks: readonly Lack[], needs: Needs): boolean {
  const leftOut = new Set(lacks.flatMap(({ leavesOut, requirements }) => (leavesOut === true ? requirements : [])));
  const isWanted = (lack: Lack): boolean => lack.requirements.some((id) => !leftOut.has(id));
  return lacks.some(isWanted) || idsOf(needs).every((id) => leftOut.has(id));
}

/** Ids of all that is to be evaluated: of what nothing can be evaluated without. */
export function idsOf({ requirements }: Needs): string[] {
  return requirements.map(({ id }) => id);
}

/** What is missing, with what it is for and how to fix it; what differs by its name alone is told together. */
export function renderLacks(lacks: readonly Lack[]): string[] {
  const alike = Map.groupBy(lacks, ({ found, fix, requirements }) => JSON.stringify([found, fix, requirements]));
  return [...alike.values()].flatMap(([first, ...others]) => (first === undefined ? [] : linesOf(first, others)));
}

/** How a right that is missing is named. */
export const RIGHT = 'right: ';

function linesOf({ missing, found, fix, requirements }: Lack, others: readonly Lack[]): string[] {
  return [
    `  ${[missing, ...others.map((lack) => lack.missing.replace(RIGHT, ''))].join(', ')}`,
    `      found: ${found}`,
    `      needed by: ${requirements.length > 8 ? `${requirements.length} requirements (${requirements.slice(0, 5).join(', ')}, …)` : requirements.join(', ')}`,
    `      fix: ${fix}`,
  ];
}

/** Why each requirement cannot be evaluated that lacks something, and how to provide it. */
export function lackingOf(lacks: readonly Lack[]): Record<string, string> {
  const reasons = new Map<string, string[]>();
  for (const { missing, found, fix, requirements } of lacks) {
    for (const id of requirements) {
      reasons.set(id, [...(reasons.get(id) ?? []), `${missing} (${found}); fix: ${fix}`]);
    }
  }
  return Object.fromEntries([...reasons].map(([id, list]) => [id, `${LACKED}: ${list.join('; ')}`]));
}
