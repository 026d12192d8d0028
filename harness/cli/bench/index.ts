import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { describeMachine, type Figures, figuresOf, type Measured, measure } from './measure.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

/** The last measurement that is kept in the repository, which the next one is compared with. */
const RECORDED = fileURLToPath(new URL('../../docs/bench.json', import.meta.url));

const conformance = (...words: string[]): string[] => [process.execPath, ...process.execArgv, MAIN, ...words];

/** A piece of work that somebody waits for. */
interface Work {
  name: string;
  what: string;
  /** Before the runs, and not measured. */
  before?: string[];
  command: string[];
  after?: string[];
  /** Measured only where it is named. */
  onRequest?: true;
}

const WARM = 'bench';

const WORK: readonly Work[] = [
  {
    name: 'certify',
    what: 'every requirement on the references',
    command: conformance('run', '--report', 'reports/bench'),
  },
  ...['TR-22', 'RB-24', 'TR-34'].map((id) => ({
    name: id,
    what: `${id} alone`,
    command: conformance('run', '--requirement', id, '--report', 'reports/bench'),
  })),
  {
    name: 'again',
    what: 'one requirement again, in an environment that is up',
    before: conformance('up', WARM),
    command: conformance('run', '--env', WARM, '--requirement', 'RB-01', '--report', 'reports/bench'),
    after: conformance('down', WARM),
  },
  { name: 'unit', what: 'npm run test:unit', command: conformance('test', '--unit') },
  { name: 'prove', what: 'every twin', command: conformance('prove'), onRequest: true },
  {
    name: 'real-clock',
    what: 'every requirement on the references, real clock',
    command: conformance('run', '--clock', 'real', '--report', 'reports/bench'),
    onRequest: true,
  },
];

export interface Benchmark {
  at: string;
  machine: string;
  figures: Record<string, Figures>;
}

/** `conformance bench`: how long the work takes that people wait for. No test: it judges nothing. */
export function registerBench(program: Command): void {
  program
    .command('bench')
    .description('Measure how long the work takes that people wait for; images have to be there.')
    .argument(
      '[work...]',
      `what to measure: ${WORK.map(({ name }) => name).join(', ')} (default: all but prove and real-clock)`,
    )
    .addOption(new Option('--runs <number>', 'runs of each; the median is told').argParser(count).default(3))
    .option('--report <file>', 'file for the figures', 'reports/bench.json')
    .option('--json', 'print the figures as JSON')
    .action(async (names: string[], { runs, report, json }: { runs: number; report: string; json?: true }) => {
      const work = WORK.filter(({ name, onRequest }) =>
        names.length === 0 ? onRequest !== true : names.includes(name),
      );
      const figures: Record<string, Figures> = {};
      for (const each of work) {
        figures[each.name] = await measureWork(each, runs);
        process.stderr.write(`${each.name}: ${figures[each.name]?.seconds.median} s\n`);
      }
      const benchmark: Benchmark = { at: new Date().toISOString(), machine: describeMachine(), figures };
      mkdirSync(dirname(report), { recursive: true });
      writeFileSync(report, `${JSON.stringify(benchmark, undefined, 2)}\n`);
      process.stdout.write(json === true ? `${JSON.stringify(benchmark)}\n` : renderBenchmark(benchmark, recorded()));
    });
}

function count(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) {
    throw new InvalidArgumentError('Give a whole number from 1.');
  }
  return number;
}

async function measureWork({ before, command, after }: Work, runs: number): Promise<Figures> {
  if (before !== undefined) {
    await measure(before);
  }
  try {
    const measured: Measured[] = [];
    // A requirement that a reference does not meet is no failure of the measurement.
    for (let run = 0; run < runs; run += 1) {
      measured.push(await measure(command, [0, 1]));
    }
    return figuresOf(measured);
  } finally {
    if (after !== undefined) {
      await measure(after);
    }
  }
}

function recorded(): Benchmark | undefined {
  try {
    return JSON.parse(readFileSync(RECORDED, 'utf8')) as Benchmark;
  } catch {
    return undefined;
  }
}

/** The figures as a table, each beside the one that was recorded before. */
export function renderBenchmark({ machine, figures }: Benchmark, before?: Benchmark): string {
  const rows = Object.entries(figures).map(([name, { seconds, processorSeconds }]) => {
    const earlier = before?.figures[name]?.seconds.median;
    const change = earlier === undefined ? '' : `${Math.round((seconds.median / earlier - 1) * 100)} %`;
    return [
      name,
      `${seconds.median} s`,
      `${seconds.min}–${seconds.max}`,
      `${processorSeconds.median} s`,
      earlier === undefined ? '' : `${earlier} s`,
      change,
    ];
  });
  const head = ['work', 'median', 'min–max', 'processors', 'recorded', 'change'];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const note = before === undefined ? '' : `recorded ${before.at.slice(0, 10)} on ${before.machine}\n`;
  return `${machine}\n${[head, ...rows].map(line).join('\n')}\n${note}`;
}
