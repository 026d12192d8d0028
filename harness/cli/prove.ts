import { type Command, Option } from 'commander';
import pc from 'picocolors';
import { loadCatalogue } from '../catalogue/catalogue.ts';
import { packageVersion } from '../core/package.ts';
import { redact, redactData } from '../core/redact.ts';
import { setTimeoutFactor } from '../core/time-limits.ts';
import { disturbancesOf, isProven, type KillMatrix, killMatrix } from '../run/kill-matrix.ts';
import { type MatrixPart, plannedTwins } from '../run/merged-matrices.ts';
import { type Bystanders, twinCandidates } from '../run/plan.ts';
import { parseShard, planDigest, rowsOfShard } from '../run/shards.ts';
import { EXIT } from './exit.ts';
import { shardOption, timeoutFactorOption } from './options.ts';
import { Console } from './output.ts';
import { progressPrinter } from './progress.ts';

interface ProveFlags {
  timeoutFactor: number;
  json?: boolean;
  requirement: string[];
  shard?: string;
  allBystanders?: boolean;
}

/** `conformance prove`: runs the broken implementations and shows that each fails exactly where it must. */
export function registerProve(program: Command): void {
  program
    .command('prove')
    .description('Run the twins (broken implementations) and print which requirements each of them fails.')
    .argument('[twin...]', 'twin names (default: all)')
    .addOption(
      new Option('--requirement <id>', 'run only this requirement; repeatable')
        .argParser((id: string, all: string[]) => [...all, id])
        .default([], 'all'),
    )
    .addOption(shardOption())
    .addOption(timeoutFactorOption())
    .option(
      '--all-bystanders',
      'ask each twin all requirements of its role and suites, also those that its fault does not reach (default: where a twin or a requirement is named)',
    )
    .option('--json', 'print the kill matrix as JSON on standard output; those of shards are for `conformance merge`')
    .action(async (twins: string[], flags: ProveFlags) => {
      process.exitCode = await prove(twins, flags);
    });
}

export interface Proof {
  matrix: KillMatrix;
  faults: string[];
  /** Of a shard: which one, and of which plan. */
  shard?: Omit<MatrixPart['shard'], 'faults'>;
}

export interface ProofSelection {
  twins?: string[];
  requirements?: string[];
  bystanders?: Bystanders;
  /** For example `1/3`. */
  shard?: string;
}

/** Runs twins; progress goes to standard error. */
export async function runProof({ shard, ...selection }: ProofSelection): Promise<Proof> {
  // Wrong use is told before anything is loaded or started.
  const catalogue = loadCatalogue();
  const candidates = twinCandidates(catalogue, selection);
  const part = shard === undefined ? undefined : parseShard(shard);
  const only = part === undefined ? undefined : rowsOfShard(catalogue, candidates, part);
  // Loaded here, so that the small commands start at once.
  const [{ executeWithRerun }, { DEFAULT_OPTIONS, Session }, { ensureSetUp }] = await Promise.all([
    import('../run/execute.ts'),
    import('../run/session.ts'),
    import('./setup.ts'),
  ]);
  const output = new Console();
  const session = new Session(
    { ...DEFAULT_OPTIONS, ...selection, mode: 'prove', ...(only === undefined ? {} : { only }) },
    output.progress,
  );
  await ensureSetUp({ onProgress: progressPrinter(process.stderr) });
  const { faults } = await executeWithRerun(session, output.of({ planned: session.planned.length, several: true }));
  return {
    matrix: killMatrix(session.candidates, session.results),
    faults,
    ...(part === undefined
      ? {}
      : {
          shard: {
            ...part,
            version: packageVersion().version,
            catalogue: catalogue.digest,
            planDigest: planDigest(candidates, DEFAULT_OPTIONS),
            planned: plannedTwins(candidates),
          },
        }),
  };
}

async function prove(
  twins: string[],
  { json, requirement: requirements, shard, timeoutFactor, allBystanders = false }: ProveFlags,
): Promise<number> {
  setTimeoutFactor(timeoutFactor);
  // Who names some wants to see all that they do.
  const isPart = twins.length > 0 || requirements.length > 0;
  const {
    matrix,
    faults,
    shard: part,
  } = await runProof({
    twins,
    requirements,
    bystanders: isPart || allBystanders ? 'all' : 'reached',
    ...(shard === undefined ? {} : { shard }),
  });
  const document = part === undefined ? matrix : { ...matrix, shard: { ...part, faults } };
  process.stdout.write(
    json === true ? `${JSON.stringify(redactData(document), null, 2)}\n` : redact(renderMatrix(matrix)),
  );
  return tellProof(matrix, faults);
}

/** Tells what the harness itself could not do. @returns the exit code */
export function tellProof(matrix: KillMatrix, faults: readonly string[]): number {
  for (const fault of faults) {
    process.stderr.write(`${pc.magenta('harness fault')} ${redact(fault)}\n`);
  }
  const errors = matrix.twins.some((row) => disturbancesOf(row).length > 0);
  if (faults.length > 0 || errors) {
    return EXIT.harnessError;
  }
  return isProven(matrix) ? EXIT.conformant : EXIT.notConformant;
}

/** The matrix for a person: a line a twin, and a line for each surprise. */
export function renderMatrix({ twins, survivors }: KillMatrix): string {
  const width = Math.max(0, ...twins.map(({ name }) => name.length));
  const lines = twins.flatMap(({ name, mustFail, failed, surprises, disturbedBefore = [] }) => {
    // With `--requirement` a twin may be evaluated by requirements alone that it must pass: the fault is only where it
    // should be.
    const right = mustFail.length > 0 ? pc.green('killed  ') : pc.green('clean   ');
    return [
      `${surprises.length === 0 ? right : pc.red('surprise')} ${name.padEnd(width)}  must fail ${mustFail.join(' ') || '–'}; failed ${failed.join(' ') || '–'}`,
      ...disturbedBefore.map(({ id, reason }) => `         re-run in isolation: ${id}; the first time: ${reason}`),
      ...surprises.map(({ id, outcome, reason }) => `         ${pc.red(id)} ${outcome}: ${reason}`),
    ];
  });
  const verdict =
    survivors.length === 0
      ? `${twins.length} twins, no survivor`
      : `${twins.length} twins, survivors: ${survivors.join(', ')}`;
  return `${lines.join('\n')}\n\n${verdict}\n`;
}
