import { z } from 'zod';
import { UsageError } from '../core/errors.ts';
import { OUTCOMES } from '../core/outcome.ts';
import type { Candidate } from '../rpc/candidate.ts';
import { type KillMatrix, killMatrix, survivorsOf, type TwinRow } from './kill-matrix.ts';

const twinRow = z.object({
  name: z.string(),
  role: z.string(),
  fault: z.string(),
  mustFail: z.array(z.string()),
  failed: z.array(z.string()),
  surprises: z.array(z.object({ id: z.string(), outcome: z.enum([...OUTCOMES, 'not executed']), reason: z.string() })),
  disturbedBefore: z.array(z.object({ id: z.string(), reason: z.string() })).optional(),
});

const matrixPart = z.object({
  twins: z.array(twinRow),
  survivors: z.array(z.string()),
  shard: z.object({
    index: z.int().positive(),
    count: z.int().positive(),
    version: z.string(),
    catalogue: z.string(),
    planDigest: z.string(),
    planned: z.array(
      twinRow
        .pick({ name: true, role: true, fault: true, mustFail: true })
        .extend({ requirements: z.array(z.string()) }),
    ),
    faults: z.array(z.string()),
  }),
});

/** What `conformance prove --shard I/N --json` prints. */
export type MatrixPart = Omit<z.infer<typeof matrixPart>, 'twins'> & { twins: TwinRow[] };

/** A part with where it was read from, for messages. */
export interface MatrixFile {
  file: string;
  part: MatrixPart;
}

/** Whether a document is a kill matrix, of a shard or whole. */
export function isMatrix(content: unknown): boolean {
  return typeof content === 'object' && content !== null && 'twins' in content && 'survivors' in content;
}

/** @throws UsageError for a kill matrix that is whole, or is none */
export function parseMatrixPart(content: unknown, file: string): MatrixFile {
  if (isMatrix(content) && (content as { shard?: unknown }).shard === undefined) {
    throw new UsageError(`${file} is a whole kill matrix and no shard: it was not made with --shard`);
  }
  const parsed = matrixPart.safeParse(content);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UsageError(
      `${file} is not what \`conformance prove --shard --json\` prints: ${issue?.path.join('.')}: ${issue?.message}`,
    );
  }
  return { file, part: parsed.data as MatrixPart };
}

/** What has to be the same in all parts. */
const COMMON: [string, (part: MatrixPart) => string | number, string][] = [
  ['version of the harness', ({ shard }) => shard.version, 'Run all shards with one version of the harness.'],
  ['catalogue (digest)', ({ shard }) => shard.catalogue, 'Run all shards with one checkout of the harness.'],
  ['plan (digest)', ({ shard }) => shard.planDigest, 'Give all shards the same twins and --requirement.'],
  ['number of shards', ({ shard }) => shard.count, 'Give all shards the same COUNT in --shard INDEX/COUNT.'],
];

function assertSame(parts: readonly MatrixFile[]): void {
  const [first, ...others] = parts;
  for (const other of others) {
    for (const [what, read, fix] of COMMON) {
      const [one, two] = [read((first ?? other).part), read(other.part)];
      if (one !== two) {
        throw new UsageError(
          `these are parts of different runs: the ${what} of ${first?.file} is ${one}, of ${other.file} it is ${two}. ${fix}`,
        );
      }
    }
  }
}

function assertDisjoint(parts: readonly MatrixFile[]): void {
  const seen = new Map<string, string>();
  for (const { file, part } of parts) {
    const { index, count, planned } = part.shard;
    for (const name of [`shard ${index}/${count}`, ...part.twins.map((twin) => `the twin ${twin.name}`)]) {
      const earlier = seen.get(name);
      if (earlier !== undefined) {
        throw new UsageError(`${name} is there twice: in ${earlier} and in ${file}. Give one of them.`);
      }
      seen.set(name, file);
    }
    const alien = part.twins.filter(({ name }) => !planned.some((twin) => twin.name === name));
    if (alien.length > 0) {
      throw new UsageError(
        `${file} has ${alien.map(({ name }) => name).join(', ')}, which is not in its own plan: it was altered`,
      );
    }
  }
}

/**
 * The kill matrix of a run of twins whose shards were evaluated apart. A twin that no part has was not executed, so
 * that nothing is proven.
 *
 * @param parts in any order, one a shard
 * @returns the matrix, and the faults of the harness: those of the shards, and each shard that is missing
 * @throws UsageError for parts of different versions, catalogues or plans, and for a shard or twin that is there twice
 */
export function mergeMatrices(parts: readonly MatrixFile[]): { matrix: KillMatrix; faults: string[] } {
  const [first] = parts;
  if (first === undefined) {
    throw new UsageError('there is no kill matrix to merge');
  }
  assertSame(parts);
  assertDisjoint(parts);
  const { planned, count } = first.part.shard;
  const rows = new Map(parts.flatMap(({ part }) => part.twins).map((row) => [row.name, row]));
  const twins = planned.map((twin) => rows.get(twin.name) ?? notExecuted(twin));
  const there = new Set(parts.map(({ part }) => part.shard.index));
  const missing = Array.from({ length: count }, (_, index) => index + 1).filter((index) => !there.has(index));
  return {
    matrix: { twins, survivors: survivorsOf(twins) },
    faults: [
      ...parts.flatMap(({ part: { shard } }) => shard.faults.map((fault) => `shard ${shard.index}/${count}: ${fault}`)),
      ...missing.map((index) => `shard ${index}/${count} is missing`),
    ],
  };
}

function notExecuted({ requirements, ...twin }: MatrixPart['shard']['planned'][number]): TwinRow {
  const surprises = requirements.map((id) => ({
    id,
    outcome: 'not executed' as const,
    reason: 'its shard is missing',
  }));
  return { ...twin, failed: [], surprises };
}

/** The plan of which a part is a shard, as the part says it. */
export function plannedTwins(candidates: readonly Candidate[]): MatrixPart['shard']['planned'] {
  return killMatrix(candidates, []).twins.map(({ name, role, fault, mustFail, surprises }) => ({
    name,
    role,
    fault,
    mustFail,
    requirements: surprises.map(({ id }) => id),
  }));
}
