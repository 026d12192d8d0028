import { createHash } from 'node:crypto';
import type { Catalogue } from '../catalogue/catalogue.ts';
import { UsageError } from '../core/errors.ts';
import type { ClusterKind } from '../kubernetes/cluster-data.ts';
import { roleDefinition } from '../roles/index.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type { ClockKind, IdentityProviderKind } from '../rpc/protocol.ts';
import type { PlannedRow } from './session.ts';

/** One part of a plan. */
export interface Shard {
  /** From 1. */
  index: number;
  /** How many parts the plan is split into. */
  count: number;
}

/**
 * What `--shard` says, for example `2/3`.
 *
 * @throws UsageError for anything else, each kind of mistake with a message of its own
 */
export function parseShard(text: string): Shard {
  const [, first, second] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  if (first === undefined || second === undefined) {
    throw new UsageError(`--shard ${text}: give INDEX/COUNT, two whole numbers, for example --shard 1/3`);
  }
  const [index, count] = [Number(first), Number(second)];
  if (count === 0) {
    throw new UsageError(`--shard ${text}: a plan has at least one shard, for example --shard 1/1`);
  }
  if (index === 0) {
    throw new UsageError(`--shard ${text}: shards are counted from 1, so the first is 1/${count}`);
  }
  if (index > count) {
    throw new UsageError(`--shard ${text}: of ${count} shards the last is ${count}/${count}`);
  }
  return { index, count };
}

/**
 * What a row costs beside its waiting, in seconds: a namespace and a few pods. It also spreads rows of which nothing is
 * known, which count as 0 s.
 */
export const ROW_SECONDS = 1;

/** Rows that stay together. */
interface Unit {
  /** Name of a twin, or role and suite. */
  key: string;
  rows: PlannedRow[];
  seconds: number;
}

/**
 * The rows of a plan in the units that it is split by.
 *
 * Rows of one role and suite share fixtures and what was observed of an implementation
 * (`shared` of the worker), those of a role with `sharesOneObservation` even across suites. Apart, each shard would
 * observe the same thing anew, so that more machines would save nothing, and requirements of one observation would be
 * evaluated by two different ones. A twin stays whole: it is set up once, and whether it fails where it must and
 * nowhere else is one statement.
 */
function unitsOf(catalogue: Pick<Catalogue, 'requirements'>, candidates: readonly Candidate[]): Unit[] {
  const rows = new Map(catalogue.requirements.map((row) => [row.id, row]));
  const units = new Map<string, Unit>();
  for (const { kind, name, planned } of candidates) {
    for (const id of planned) {
      const row = rows.get(id);
      if (row === undefined) {
        throw new Error(`the plan of ${name} has ${id}, which is not in the catalogue`);
      }
      const { role, suite, expectedSeconds = 0 } = row;
      const isWhole = roleDefinition(role).sharesOneObservation === true;
      const group = isWhole ? role : `${role} ${suite}`;
      const key = kind === 'twin' ? name : group;
      const unit = units.get(key) ?? { key, rows: [], seconds: 0 };
      unit.rows.push({ candidate: name, id });
      unit.seconds += ROW_SECONDS + expectedSeconds;
      units.set(key, unit);
    }
  }
  return [...units.values()];
}

/**
 * The rows of one shard. Every machine that is given the same plan comes to the same split, and the shards together are
 * the plan.
 *
 * The longest unit goes first, each to the shard that has least so far (longest processing time first: at most a third
 * longer than the best split); units of equal length by their key, shards of equal length by their index.
 *
 * @throws UsageError for more shards than there is anything to put into
 */
export function rowsOfShard(
  catalogue: Pick<Catalogue, 'requirements'>,
  candidates: readonly Candidate[],
  { index, count }: Shard,
): PlannedRow[] {
  const units = unitsOf(catalogue, candidates);
  if (units.length < count) {
    const isOfTwins = candidates.some(({ kind }) => kind === 'twin');
    const rows = candidates.reduce((sum, { planned }) => sum + planned.length, 0);
    const what = isOfTwins
      ? `${candidates.length} twins are selected, and a twin is not split`
      : `${rows} requirements are selected, and those of a role that share a suite or an observation are not split`;
    throw new UsageError(`--shard ${index}/${count}: ${what}. Give at most ${units.length} shards.`);
  }
  const shards = Array.from({ length: count }, () => ({ seconds: 0, rows: [] as PlannedRow[] }));
  const longestFirst = units.toSorted((one, other) => other.seconds - one.seconds || (one.key < other.key ? -1 : 1));
  for (const { rows, seconds } of longestFirst) {
    const [least] = shards.toSorted((one, other) => one.seconds - other.seconds);
    least?.rows.push(...rows);
    if (least !== undefined) {
      least.seconds += seconds;
    }
  }
  return shards[index - 1]?.rows ?? [];
}

/** What has to be the same in every part of a run. */
export interface PlanOptions {
  cluster: ClusterKind;
  clock: ClockKind;
  identityProvider: IdentityProviderKind;
}

/** SHA-256 of what is evaluated and on what, whatever the order; hexadecimal. Parts of one run have the same. */
export function planDigest(candidates: readonly Candidate[], options: PlanOptions): string {
  const rows = candidates.flatMap(({ name, planned }) => planned.map((id) => `${name} ${id}\n`)).sort();
  const head = `${options.cluster} ${options.clock} ${options.identityProvider}\n`;
  return createHash('sha256').update(head).update(rows.join('')).digest('hex');
}
