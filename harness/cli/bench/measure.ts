import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { performance } from 'node:perf_hooks';
import { HarnessError } from '../../core/errors.ts';

/** What one run of a command took. */
export interface Measured {
  /** Wall clock, seconds. */
  seconds: number;
  /** Processor time of the whole machine meanwhile, seconds: containers are not children of the command. */
  processorSeconds: number;
}

/** Of several runs: minimum, median and maximum of each figure. */
export interface Figures {
  runs: number;
  seconds: Spread;
  processorSeconds: Spread;
}

export interface Spread {
  min: number;
  median: number;
  max: number;
}

/** @throws HarnessError with the end of its output where the command ends with a code that is none of `expected` */
export async function measure(command: string[], expected: readonly number[] = [0]): Promise<Measured> {
  const [file = '', ...args] = command;
  const before = busySeconds();
  const begun = performance.now();
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-2_000);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const measured = { seconds: (performance.now() - begun) / 1_000, processorSeconds: busySeconds() - before };
  if (code === null || !expected.includes(code)) {
    throw new HarnessError(`${command.join(' ')} ended with ${code}:\n${tail}`);
  }
  return measured;
}

/** Seconds that the processors of this machine were not idle since it started. */
function busySeconds(): number {
  const times = cpus().map(({ times: { user, nice, sys, irq } }) => user + nice + sys + irq);
  return times.reduce((sum, time) => sum + time, 0) / 1_000;
}

export function figuresOf(runs: readonly Measured[]): Figures {
  return {
    runs: runs.length,
    seconds: spreadOf(runs.map(({ seconds }) => seconds)),
    processorSeconds: spreadOf(runs.map(({ processorSeconds }) => processorSeconds)),
  };
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  const [low = 0, high = 0] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  const rounded = (value = 0): number => Math.round(value * 10) / 10;
  return { min: rounded(sorted[0]), median: rounded((low + high) / 2), max: rounded(sorted.at(-1)) };
}

/** The machine that figures were measured on, without its name. */
export function describeMachine(): string {
  const memory = /^MemTotal:\s+(\d+) kB/m.exec(safeRead('/proc/meminfo'))?.[1];
  const gigabytes = memory === undefined ? '?' : Math.round(Number(memory) / 1_048_576);
  return `${cpus().length} processors, ${gigabytes} GiB, ${process.platform} ${process.arch}, Node ${process.version}`;
}

function safeRead(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
