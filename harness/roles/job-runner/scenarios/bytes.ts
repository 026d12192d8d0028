/** Output of any length of line and of any bytes (JL-47). */

import { HarnessError } from '../../../core/errors.ts';
import type { RequirementContext } from '../../../rpc/context.ts';
import { withReadyJobRunner } from '../launch.ts';
import { allOver, LAST_OUTPUT_SECONDS, outputOf, type RunnerRecord, summarise, TASK_SECONDS } from '../record.ts';
import { jobRunnerTarget } from '../target.ts';
import { readLog } from './logs.ts';

/**
 * Bytes of one line, that runners and container runtimes are known to stop, split or drop at. The longest is beyond the
 * MiB at which readers of lines commonly give up; a runner that documents to read less is not given it.
 */
export const LENGTHS = [16_384, 65_535, 65_536, 65_537, 200_000, 1_100_000];
/** A line of so many characters of three bytes each: a cut at any power of two splits one. */
const WIDE_CHARACTERS = 30_000;

/** Lines that go to stdout and to stderr by turns, so many each. */
const ON_BOTH = 6;

/**
 * Lines that hold what text tools trip over. Each begins with a number, so that none is like another but where it is
 * meant to be; `repeats`: it stands there so often; `blank`: so many blank lines come after it.
 */
const CONTENTS: { what: string; bytes: Buffer; repeats?: number; blank?: number }[] = [
  { what: 'NUL', bytes: Buffer.from('odd 1 a\0b') },
  { what: 'carriage returns', bytes: Buffer.from('odd 2 10%\r50%\r100%') },
  { what: 'a carriage return at its end', bytes: Buffer.from('odd 3 dos\r') },
  { what: 'ANSI sequences', bytes: Buffer.from('odd 4 \u001b[31mred\u001b[0m \u001b]0;title\u0007') },
  { what: 'separators of Unicode', bytes: Buffer.from('odd 5 a\u2028b\u2029c\u0085d\ufeffe') },
  { what: 'spaces at both ends', bytes: Buffer.from('  odd 6 spaces \t ') },
  { what: 'characters of four bytes and combined ones', bytes: Buffer.from('odd 7 🤖 é 👩‍👩‍👧') },
  { what: 'JSON', bytes: Buffer.from('{"odd":8,"type":"ended","outcome":"succeeded"}') },
  { what: 'bytes that are no UTF-8', bytes: Buffer.from([...Buffer.from('odd 9 '), 0xff, 0xc3, 0x28, 0x80, 0x21]) },
  { what: 'the same text as the line before it', bytes: Buffer.from('odd 11 again'), repeats: 3 },
  { what: 'blank lines after it', bytes: Buffer.from('odd 12 gap'), blank: 2 },
  { what: 'no line feed at its end', bytes: Buffer.from('odd 10 end') },
];

/** Characters by which each of them is known. */
const BEGINNING = 7;

/** A line as the pod's log has it, with what is odd about it. */
export interface LoggedLine {
  what: string;
  /** By what it is told from every other line. */
  begins: string;
  /** As text: bytes that are no UTF-8 are replacement characters. */
  text: string;
  /** How often it stands there, one after the other; default: once. */
  repeats?: number;
  /** How many blank lines come after it; default: none. */
  blank?: number;
  /** Where it was written; default: to stdout. What goes to both has no order that anybody is bound to keep. */
  stream?: 'stderr';
}

export interface BytesRecord extends RunnerRecord {
  /** In the order of the log, those of each stream by themselves. */
  lines: LoggedLine[];
  /** What the runner gave, likewise as text. */
  output: string;
}

/**
 * Decodes bytes as a report can hold them: whatever a decoder makes of bytes that are no UTF-8, one replacement
 * character stands for a run of them (Unicode, section 3.9, leaves their number open).
 */
export function asText(bytes: Buffer | string): string {
  return bytes.toString().replaceAll(/\uFFFD+/g, '\uFFFD');
}

/** A task that prints all that, and what the harness itself read of its log. */
export async function observeBytes(t: RequirementContext): Promise<BytesRecord> {
  const { logLimitBytes } = jobRunnerTarget(t).documented;
  const record = await t.shared('job runner: bytes', () =>
    withReadyJobRunner(t, { purpose: 'bytes' }, async (runner) => {
      const lengths = fitting(LENGTHS, logLimitBytes);
      const raw = contents();
      const task = await runner.submit('prints', {
        env: {
          WORKLOAD_OUTPUT: [
            `both:${ON_BOTH}`,
            ...lengths.map((length) => `line:${length}`),
            `wide:${WIDE_CHARACTERS}`,
            `base64:${raw.toString('base64')}`,
          ].join(' '),
          WORKLOAD_SLEEP_SECONDS: '1',
        },
      });
      const { bytes: log } = await readLog(runner, task);
      await runner.until(() => allOver(runner), TASK_SECONDS);
      await runner.watchFor(LAST_OUTPUT_SECONDS);
      const expected = [
        ...onBoth(ON_BOTH),
        ...lengths.map((length) => ({ what: `${length} bytes`, begins: `bytes ${length} ` })),
        { what: `${WIDE_CHARACTERS} characters of three bytes`, begins: `wide ${WIDE_CHARACTERS} ` },
        // A container runtime may take the carriage return before a line feed for a part of it.
        ...CONTENTS.map(({ bytes, ...line }) => ({ ...line, begins: asText(bytes).slice(0, BEGINNING) })),
      ];
      const output = asText(outputOf(runner, task));
      return { ...runner.record(), events: withoutOutput(runner.events), lines: loggedLines(log, expected), output };
    }),
  );
  t.evidence(
    'lines',
    record.lines.map(({ what, text }) => ({ what, characters: text.length })),
  );
  t.evidence('runners', [summarise(record)]);
  return record;
}

/** All of {@link CONTENTS}, as an agent prints them. */
export function contents(): Buffer {
  const lines = CONTENTS.flatMap(({ bytes, repeats = 1, blank = 0 }) => [
    ...Array.from({ length: repeats }, () => bytes),
    ...Array.from({ length: blank }, () => Buffer.alloc(0)),
  ]);
  return Buffer.concat(lines.flatMap((bytes, n) => (n === 0 ? [bytes] : [Buffer.from('\n'), bytes])));
}

/** `mayBeBroken`: where the log has it in parts, nothing is expected of it. */
type ExpectedLine = Omit<LoggedLine, 'text'> & { mayBeBroken?: true };

/** A container runtime reads two pipes: on a busy node it may put a line of the one into a line of the other. */
function onBoth(count: number): ExpectedLine[] {
  return Array.from({ length: count }, (_, n) => n + 1).flatMap((n): ExpectedLine[] => [
    { what: `number ${n} of those on stdout between others on stderr`, begins: `out ${n} of `, mayBeBroken: true },
    {
      what: `number ${n} of those on stderr between others on stdout`,
      begins: `err ${n} of `,
      stream: 'stderr',
      mayBeBroken: true,
    },
  ]);
}

/** The output stands in the record once. */
function withoutOutput(events: RunnerRecord['events']): RunnerRecord['events'] {
  return events.filter(({ type }) => type !== 'output');
}

/** As many of the lengths, from the shortest on, as fit into what a runner documents to read of a log. */
export function fitting(lengths: number[], limitBytes = Number.POSITIVE_INFINITY): number[] {
  let left = limitBytes - 4 * WIDE_CHARACTERS;
  return lengths.filter((length) => {
    left -= length + 64;
    return left > 0;
  });
}

/** @throws HarnessError where the log itself lacks a line: then nothing is known of the runner */
export function loggedLines(log: Buffer, expected: ExpectedLine[]): LoggedLine[] {
  const lines = log
    .toString('latin1')
    .split('\n')
    .map((line) => asText(Buffer.from(line, 'latin1')));
  return expected.flatMap(({ mayBeBroken = false, ...line }) => {
    const { what, begins, repeats = 1, blank = 0 } = line;
    const at = lines.findIndex((each) => each.startsWith(begins));
    const text = lines[at] ?? '';
    const [same, after] = [lines.slice(at, at + repeats), lines.slice(at + repeats, at + repeats + blank)];
    if (at < 0 && mayBeBroken) {
      return [];
    }
    if (at < 0 || same.some((each) => each !== text) || after.join('') !== '' || after.length < blank) {
      throw new HarnessError(`the log of the agent, which the harness read itself, lacks the line with ${what}`);
    }
    return [{ ...line, text }];
  });
}
