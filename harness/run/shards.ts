import { createHash } from 'node:crypto';
import type { Catalogue, Requirement } from '../catalogue/catalogue.ts';
import { UsageError } from '../core/errors.ts';
import type { ClusterKind } from '../kubernetes/cluster-data.ts';
import { roleDefinition } from '../roles/index.ts';
import type { Candidate } from '../rpc/candidate.ts';
import type { ClockKind, IdentityProviderKind } from '../rpc/protocol.ts';
import { observationOf } from './plan.ts';
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

/** What one shard evaluates, and what that is expected to take if its observations come one after the other. */
export interface ShardRows {
  rows: PlannedRow[];
  seconds: number;
}

/** No smaller pieces are tried where the longest shard is at most so much longer than the best imaginable one. */
const BALANCED = 1.1;

/** Rows that stay together. */
interface Unit {
  /** Unique, and the same whatever the order of the plan. */
  key: string;
  rows: PlannedRow[];
  seconds: number;
}

/**
 * The rows of a plan in blocks that share work, each of units that cannot be split.
 *
 * Rows of one observation are one unit: apart, each shard would make the observation anew, and what is one statement
 * about an implementation would be evaluated from two. It lasts as long as its longest row. A row without a named
 * observation is a unit by itself. Units of one role and suite are a block, since they share fixtures, those of a role
 * with `sharesOneObservation` even across suites. A twin is one unit: it is set up once, and whether it fails where it
 * must and nowhere else is one statement.
 */
function blocksOf(catalogue: Pick<Catalogue, 'requirements'>, candidates: readonly Candidate[]): Unit[][] {
  const rows = new Map(catalogue.requirements.map((row) => [row.id, row]));
  const blocks = new Map<string, Unit[]>();
  for (const { kind, name, planned } of candidates) {
    const selected = planned.map((id) => {
      const row = rows.get(id);
      if (row === undefined) {
        throw new Error(`the plan of ${name} has ${id}, which is not in the catalogue`);
      }
      return row;
    });
    const observed = [...Map.groupBy(selected, observationOf)].map(([, ofOne]) => unitOf(name, ofOne));
    if (kind === 'twin') {
      blocks.set(`twin ${name}`, [joined(name, observed)]);
      continue;
    }
    for (const { block, ...unit } of observed) {
      blocks.set(block, [...(blocks.get(block) ?? []), unit]);
    }
  }
  return [...blocks.values()];
}

/** @param rows of one observation, at least one */
function unitOf(candidate: string, rows: readonly Requirement[]): Unit & { block: string } {
  const places = rows.map(({ suite, id }) => `${suite} ${id}`).toSorted();
  const { role, suite } = rows[0] as Requirement;
  return {
    key: `${role} ${places[0]}`,
    block: roleDefinition(role).sharesOneObservation === true ? role : `${role} ${suite}`,
    rows: rows.map(({ id }) => ({ candidate, id })),
    seconds: ROW_SECONDS * rows.length + Math.max(...rows.map(({ expectedSeconds = 0 }) => expectedSeconds)),
  };
}

function joined(key: string, units: readonly Unit[]): Unit {
  return { key, rows: units.flatMap(({ rows }) => rows), seconds: sumOf(units) };
}

function sumOf(units: readonly Pick<Unit, 'seconds'>[]): number {
  return units.reduce((sum, { seconds }) => sum + seconds, 0);
}

/**
 * A block as one unit, or, where that is longer than wanted, as few of about that length. Neighbours of a suite stay
 * together: they are most likely to share fixtures.
 *
 * @param longest in seconds; 0: nothing stays together that need not
 */
function split(block: readonly Unit[], longest: number): Unit[] {
  if (longest === 0) {
    return [...block];
  }
  const parts = Math.min(block.length, Math.ceil(sumOf(block) / longest));
  const each = sumOf(block) / parts;
  const bins: Unit[][] = Array.from({ length: parts }, () => []);
  let before = 0;
  for (const unit of block.toSorted((one, other) => compareKeys(one, other))) {
    // By the middle of the unit, so that a long one does not fill the share of the next bin, too.
    bins[Math.min(parts - 1, Math.floor((before + unit.seconds / 2) / each))]?.push(unit);
    before += unit.seconds;
  }
  return bins.filter((bin) => bin.length > 0).map((bin) => joined(bin[0]?.key ?? '', bin));
}

function compareKeys({ key: one }: Unit, { key: other }: Unit): number {
  return one < other ? -1 : 1;
}

/**
 * The shards of a plan. Every machine that is given the same plan comes to the same split, and the shards together are
 * the plan.
 *
 * @throws UsageError for more shards than there is anything to put into
 */
export function shardsOf(
  catalogue: Pick<Catalogue, 'requirements'>,
  candidates: readonly Candidate[],
  { index, count }: Shard,
): ShardRows[] {
  const blocks = blocksOf(catalogue, candidates);
  const units = blocks.flat();
  if (units.length < count) {
    const isOfTwins = candidates.some(({ kind }) => kind === 'twin');
    const rows = candidates.reduce((sum, { planned }) => sum + planned.length, 0);
    const what = isOfTwins
      ? `${candidates.length} twins are selected, and a twin is not split`
      : `${rows} requirements are selected, and those of one observation are not split`;
    throw new UsageError(`--shard ${index}/${count}: ${what}. Give at most ${units.length} shards.`);
  }
  const share = sumOf(units) / count;
  const good = BALANCED * Math.max(share, ...units.map(({ seconds }) => seconds));
  // The largest pieces that can be spread evenly: the smaller they are, the more is made anew in several shards.
  const splits = [share, share / 2, share / 4, 0]
    .map((longest) => blocks.flatMap((block) => split(block, longest)))
    .filter((pieces) => pieces.length >= count)
    .map((pieces) => spread(pieces, count));
  const longestOf = (shards: readonly ShardRows[]): number => Math.max(...shards.map(({ seconds }) => seconds));
  const [best = []] = splits.toSorted((one, other) => longestOf(one) - longestOf(other));
  return splits.find((shards) => longestOf(shards) <= good) ?? best;
}

/**
 * The longest piece goes first, each to the shard that has least so far (longest processing time first: at most a third
 * longer than the best split); pieces of equal length by their key, shards of equal length by their index.
 */
function spread(pieces: readonly Unit[], count: number): ShardRows[] {
  const shards = Array.from({ length: count }, (): ShardRows => ({ seconds: 0, rows: [] }));
  const longestFirst = pieces.toSorted((one, other) => other.seconds - one.seconds || compareKeys(one, other));
  for (const { rows, seconds } of longestFirst) {
    const [least] = shards.toSorted((one, other) => one.seconds - other.seconds);
    least?.rows.push(...rows);
    if (least !== undefined) {
      least.seconds += seconds;
    }
  }
  return shards;
}

/** The rows of one shard; see {@link shardsOf}. */
export function rowsOfShard(
  catalogue: Pick<Catalogue, 'requirements'>,
  candidates: readonly Candidate[],
  shard: Shard,
): PlannedRow[] {
  return shardsOf(catalogue, candidates, shard)[shard.index - 1]?.rows ?? [];
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
