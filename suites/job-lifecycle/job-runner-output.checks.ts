/** What a job runner does with the output of agents. No check is content with having seen nothing. */

import { type Finding, missing, missingIf } from '../../harness/core/findings.ts';
import {
  aboutOutcome,
  assumes,
  describeOutcome,
  endsOf,
  hasBegun,
  jobsOf,
  outputBytesOf,
  outputOf,
  podsOf,
  refusalOf,
  runsIn,
  secondsText,
} from '../../harness/roles/job-runner/record.ts';
import type { BytesRecord } from '../../harness/roles/job-runner/scenarios/bytes.ts';
import type { MemoryRecord, OutputRecord } from '../../harness/roles/job-runner/scenarios/output.ts';

/** Output arrives within this time of being written. */
const STREAM_SECONDS = 5;

/** JL-34: every line once and in order, over a broken connection, and while the task runs. */
export function streamsOutput(record: OutputRecord): Finding[] {
  assumes(record, 'stream');
  const [task] = record.tasks;
  if (task === undefined) {
    return ['no task was submitted'];
  }
  const findings: Finding[] = [];
  // A runner that never asks for the log has it from elsewhere, by a connection that is none of the API server's.
  const elsewhere = record.logs.length === 0 && outputOf(record, task) !== '';
  if (!elsewhere && !record.logs.some(({ fault }) => fault !== undefined)) {
    findings.push(missing('no connection for its log was seen, so that none was broken'));
  }
  const numbers = [...outputOf(record, task).matchAll(/\bline (\d+)\b/g)].map(([, number]) => Number(number));
  const wanted = Array.from({ length: record.lines }, (_, index) => index + 1);
  if (numbers.join() !== wanted.join()) {
    const text = `of lines 1 to ${record.lines} it gave ${numbers.join(', ') || 'none'}`;
    findings.push(missingIf(isBeginning(numbers) && numbers.length < record.lines, text));
  }
  const running = record.objects.find(
    ({ kind, object, markers }) =>
      kind === 'Pod' && markers.includes(task.marker) && runsIn(object, record.target.container),
  );
  const first = record.events.find(
    (event) => event.type === 'output' && event.task === task.task.id && /\bline 1\b/.test(event.text),
  );
  if (running !== undefined && first !== undefined) {
    const late = first.at - running.at - STREAM_SECONDS * 1000;
    const text = `its first line came ${secondsText(first.at - running.at)} after the agent was seen to run`;
    if (late > 0) {
      findings.push({ text, from: running.at, to: first.at, excessMs: late });
    }
  }
  return findings;
}

/** True for 1, 2, 3 and so on, and for none at all: what follows may come yet. */
function isBeginning(numbers: number[]): boolean {
  return numbers.every((number, index) => number === index + 1);
}

/**
 * JL-37: nothing is lost, nothing done or reported twice. A task that came while the API server was away may be
 * refused, so that whoever submitted it keeps it; one that was claimed and then failed is lost.
 */
export function survivesDisruptions(record: OutputRecord): Finding[] {
  return record.tasks.flatMap((task) => {
    if (task.label === 'amid' && refusalOf(record, task) !== undefined) {
      return [];
    }
    const ends = endsOf(record, task);
    const jobs = jobsOf(record, task);
    const numbers = [...outputOf(record, task).matchAll(/\bline (\d+)\b/g)].map(([, number]) => Number(number));
    const lines = Number(task.task.env?.WORKLOAD_LINES);
    const wanted = Array.from({ length: lines }, (_, index) => index + 1);
    const streams = record.target.capabilities.includes('stream');
    const healthy = jobs.length === 0 ? '' : ', with which nothing was wrong,';
    return [
      ...(ends.length === 1 && ends[0]?.outcome === 'succeeded'
        ? []
        : [aboutOutcome(record, task, `the task ${task.label}${healthy} ${describeOutcome(record, task)}`)]),
      ...(jobs.length === 1 ? [] : [missingIf(jobs.length === 0, `the task ${task.label} had ${jobs.length} Jobs`)]),
      ...(streams && numbers.join() !== wanted.join()
        ? [
            missingIf(
              isBeginning(numbers) && numbers.length < lines,
              `the task ${task.label}: of lines 1 to ${lines} it gave ${numbers.join(', ') || 'none'}`,
            ),
          ]
        : []),
    ];
  });
}

/** Requests that are repeated after a break read a little twice. */
const REREAD_FACTOR = 1.1;

/** JL-35: no more of a log is read than documented, and the task ends as it does. */
export function boundsLogs(record: OutputRecord): Finding[] {
  const [task] = record.tasks;
  if (task === undefined) {
    return ['no task was submitted'];
  }
  const limit = record.target.documented.logLimitBytes ?? Number.POSITIVE_INFINITY;
  const read = record.logs.reduce((sum, { bytes }) => sum + bytes, 0);
  const given = outputBytesOf(record, task);
  const [end] = endsOf(record, task);
  const outcome = task.task.env?.WORKLOAD_EXIT_CODE === '0' ? 'succeeded' : 'failed';
  return [
    ...(record.logs.length === 0 && given === 0 ? [missing('it read no log')] : []),
    ...(read > limit * REREAD_FACTOR ? [`it read ${read} bytes of the log of one task; documented are ${limit}`] : []),
    ...(given > limit * REREAD_FACTOR ? [`it gave ${given} bytes of output; documented are ${limit}`] : []),
    ...(end?.outcome === outcome
      ? []
      : [
          aboutOutcome(
            record,
            task,
            `the task with the long output, which ${outcome}, ${describeOutcome(record, task)}`,
          ),
        ]),
  ];
}

/** What a program may need more under load than before it: buffers, and what its language has not yet collected. */
const MEMORY_MIB = 80;

/** JL-35a: the runner's own memory does not grow with what an agent prints. */
export function boundsMemory(record: MemoryRecord): Finding[] {
  const { container } = record.target;
  const [task] = record.tasks;
  if (task === undefined || podsOf(record, task).length === 0) {
    return [missing('the task had no pod')];
  }
  // Nothing was printed where nobody ran.
  if (!record.objects.some(({ kind, object }) => kind === 'Pod' && hasBegun(object, container))) {
    return [aboutOutcome(record, task, `the agent of the task never ran: it ${describeOutcome(record, task)}`)];
  }
  const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
  const { before, most } = record.memory;
  const printed = mebibytes(record.printed);
  return [
    ...(record.exit === undefined
      ? []
      : [`its process ended (${record.exit.signal ?? `code ${record.exit.code}`}) while a task printed ${printed}`]),
    ...(most - before > MEMORY_MIB * 2 ** 20
      ? [`its memory grew from ${mebibytes(before)} to ${mebibytes(most)} while a task printed ${printed}`]
      : []),
    ...(endsOf(record, task).length === 0
      ? [aboutOutcome(record, task, `the task that printed ${printed} ${describeOutcome(record, task)}`)]
      : []),
  ];
}

/** Characters of a line that stand in a finding, on each side of where it is wrong. */
const EXCERPT = 24;

/** JL-47: every line of the agent's log is in the output, whole, once and in order. */
export function givesLinesWhole(record: BytesRecord): Finding[] {
  assumes(record, 'stream');
  const [task] = record.tasks;
  if (task === undefined || record.lines.length === 0) {
    return ['nothing was printed'];
  }
  const { output, lines } = record;
  // Where the next line of each stream is looked for.
  const from = { stdout: 0, stderr: 0 };
  const findings = lines.flatMap((line): Finding[] => {
    const { what, begins, text, repeats = 1, blank = 0, stream = 'stdout' } = line;
    let given = 0;
    for (let at = output.indexOf(text, from[stream]); at >= 0 && given < repeats; given += 1) {
      from[stream] = at + text.length;
      at = output.indexOf(text, from[stream]);
    }
    if (given === 0) {
      const finding = `the line with ${what} ${describeLoss(output, text, begins)}`;
      return [output.includes(text) ? finding : missing(finding)];
    }
    if (given < repeats) {
      return [missing(`the line with ${what} stands there ${repeats} times and was given ${given} times`)];
    }
    if (output.includes(text, from[stream])) {
      return [`the line with ${what} was given more than ${repeats === 1 ? 'once' : `${repeats} times`}`];
    }
    const next = lines[lines.indexOf(line) + 1];
    const until = next === undefined ? -1 : output.indexOf(next.text, from[stream]);
    const gap = output.slice(from[stream], until < 0 ? output.length : until);
    const blanks = Math.max(0, gap.split('\n').length - 2);
    return blanks < blank ? [missing(`of ${blank} blank lines after "${text}" ${blanks} were given`)] : [];
  });
  const [end] = endsOf(record, task);
  return end?.outcome === 'succeeded'
    ? findings
    : [...findings, aboutOutcome(record, task, `the task ${describeOutcome(record, task)}`)];
}

/**
 * What became of a line that is not in the output where it belongs: where it changes, what was expected there and what
 * was found.
 */
function describeLoss(output: string, line: string, begins: string): string {
  if (output.includes(line)) {
    return 'was given out of order';
  }
  // The longest beginning of the line that arrived.
  let [known, lost] = [0, line.length];
  while (known < lost) {
    const middle = Math.ceil((known + lost) / 2);
    if (output.includes(line.slice(0, middle))) {
      known = middle;
    } else {
      lost = middle - 1;
    }
  }
  // A shorter beginning is that of another line.
  if (known < begins.length) {
    return 'was not given';
  }
  const at = output.indexOf(line.slice(0, known)) + known;
  const [expected, found] = [line, output].map((text, n) => {
    const position = n === 0 ? known : at;
    return JSON.stringify(text.slice(Math.max(0, position - EXCERPT), position + EXCERPT));
  });
  return `is changed after ${known} of ${line.length} characters: expected ${expected}, found ${found}`;
}
