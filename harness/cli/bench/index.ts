import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../../core/errors.ts';
import { describeMachine, type Figures, figuresOf, type Measured, measure } from './measure.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

/** The last measurement that is kept in the repository, which the next one is compared with. */
const RECORDED = fileURLToPath(new URL('../../docs/bench.json', import.meta.url));

/** Where runs that are measured write their reports. */
const REPORT = 'reports/bench';

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
    command: conformance('run', '--report', REPORT),
  },
  ...['TR-22', 'RB-24', 'TR-34'].map((id) => ({
    name: id,
    what: `${id} alone`,
    command: conformance('run', '--requirement', id, '--report', REPORT),
  })),
  {
    name: 'again',
    what: 'one requirement again, in an environment that is up',
    before: conformance('up', WARM),
    command: conformance('run', '--env', WARM, '--requirement', 'RB-01', '--report', REPORT),
    after: conformance('down', WARM),
  },
  { name: 'unit', what: 'npm run test:unit', command: conformance('test', '--unit') },
  { name: 'prove', what: 'every twin', command: conformance('prove'), onRequest: true },
  { name: 'test', what: 'npm test', command: conformance('test'), onRequest: true },
  {
    name: 'real-clock',
    what: 'every requirement on the references, real clock',
    command: conformance('run', '--clock', 'real', '--report', REPORT),
    onRequest: true,
  },
];

export interface Benchmark {
  at: string;
  machine: string;
  figures: Record<string, Figures>;
  /** Of the last run of each work that writes a report. */
  paths?: Record<string, Path>;
}

/** What a run could not have been shorter than, seconds; see report/schedule.ts. */
interface Path {
  setUp: number;
  steps: { id: string; seconds: number }[];
  cleanUp: number;
  /** Set-up, the longest requirement and clean-up alone. */
  shortest: number;
}

/** `conformance bench`: how long the work takes that people wait for. No test: it evaluates nothing. */
export function registerBench(program: Command): void {
  program
    .command('bench')
    .description('Measure how long the work takes that people wait for; images have to be there.')
    .argument(
      '[work...]',
      `what to measure: ${WORK.map(({ name }) => name).join(', ')} (default: all but prove, test and real-clock)`,
    )
    .addOption(new Option('--runs <number>', 'runs of each; the median is told').argParser(count).default(3))
    .option('--report <file>', 'file for the figures', 'reports/bench.json')
    .option('--record', 'keep the figures in the repository: the next benchmark is compared with them')
    .addOption(
      new Option('--skip <work>', 'leave out; repeatable')
        .argParser((name: string, previous: string[]) => [...previous, ...name.split(',')])
        .default([], 'none'),
    )
    .option('--json', 'print the figures as JSON')
    .action(async (names: string[], { runs, report, json, record, skip }: Flags) => {
      const figures: Record<string, Figures> = {};
      const paths: Record<string, Path> = {};
      for (const each of workOf(names, skip)) {
        rmSync(REPORT, { recursive: true, force: true });
        figures[each.name] = await measureWork(each, runs);
        const path = await pathOf(`${REPORT}/report.json`);
        if (path !== undefined) {
          paths[each.name] = path;
        }
        process.stderr.write(`${each.name}: ${figures[each.name]?.seconds.median} s\n`);
      }
      const benchmark: Benchmark = { at: new Date().toISOString(), machine: describeMachine(), figures, paths };
      const before = recorded();
      mkdirSync(dirname(report), { recursive: true });
      for (const file of [report, ...(record === true ? [RECORDED] : [])]) {
        writeFileSync(file, `${JSON.stringify(benchmark, undefined, 2)}\n`);
      }
      process.stdout.write(json === true ? `${JSON.stringify(benchmark)}\n` : renderBenchmark(benchmark, before));
    });
}

interface Flags {
  runs: number;
  report: string;
  json?: true;
  record?: true;
  skip: string[];
}

/** @throws UsageError for a name that is none of any work */
export function workOf(names: readonly string[], skip: readonly string[]): Work[] {
  const known = WORK.map(({ name }) => name);
  const unknown = [...names, ...skip].filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new UsageError(`unknown work ${unknown.join(', ')}; known: ${known.join(', ')}`);
  }
  return WORK.filter(
    ({ name, onRequest }) => !skip.includes(name) && (names.length === 0 ? onRequest !== true : names.includes(name)),
  );
}

/** The critical path of a report; undefined where there is none. */
async function pathOf(file: string): Promise<Path | undefined> {
  if (!existsSync(file)) {
    return undefined;
  }
  const [{ readReport }, { criticalPath }] = await Promise.all([
    import('../../report/read.ts'),
    import('../../report/schedule.ts'),
  ]);
  const { setUpMs, cleanUpMs, steps, shortestMs } = criticalPath(readReport(dirname(file)));
  const seconds = (milliseconds: number): number => Math.round(milliseconds / 100) / 10;
  return {
    setUp: seconds(setUpMs),
    steps: steps.map(({ id, durationMs }) => ({ id, seconds: seconds(durationMs) })),
    cleanUp: seconds(cleanUpMs),
    shortest: seconds(shortestMs),
  };
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
export function renderBenchmark({ machine, figures, paths = {} }: Benchmark, before?: Benchmark): string {
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
  const ways = Object.entries(paths).map(([name, { setUp, steps, cleanUp, shortest }]) => {
    const way = [`set-up ${setUp} s`, ...steps.map(({ id, seconds }) => `${id} ${seconds} s`), `clean-up ${cleanUp} s`];
    return `critical path of ${name}: ${way.join(', ')}; ${shortest} s were the shortest\n`;
  });
  return `${machine}\n${[head, ...rows].map(line).join('\n')}\n${ways.join('')}${note}`;
}
