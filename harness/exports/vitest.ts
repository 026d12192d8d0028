import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, test } from 'vitest';

// What this module declares is public (api-report.md). It imports nothing of the harness: it starts the command line,
// so that the version of Vitest that runs it, and what that does to modules, is of no account to the suites.

/** What {@link conformance} evaluates, and how: options of `conformance run`. */
export interface ConformanceOptions {
  /** Target files, one a role: paths relative to the working directory, or file URLs. */
  target: string | URL | (string | URL)[];
  /** Values of `${set.NAME}` in the target files. */
  set?: Record<string, string>;
  /** Names of suites; default: all that bind the targets' roles. */
  suites?: string[];
  /** Ids of requirements; default: all. Vitest's own filters (`-t TR-04`) narrow a run in the same way. */
  requirements?: string[];
  /** `k3s`: a cluster is started; `kubeconfig`: the live cluster of KUBECONFIG. Default: `k3s`. */
  cluster?: 'k3s' | 'kubeconfig';
  /** Context of the kubeconfig. A live cluster is used without a question: name it. */
  context?: string;
  /** Existing namespaces of a live cluster that the run is kept to. */
  namespaces?: string[];
  /** Identity provider of the references. Default: `keycloak`. */
  identityProvider?: 'keycloak' | 'embedded';
  /** `accelerated`: tokens live for seconds; `real`: for 600 s, Kubernetes' minimum. */
  clock?: 'accelerated' | 'real';
  /** Name of an environment that `conformance up` holds: a requirement takes seconds then. */
  environment?: string;
  /** A SHOULD that is not kept fails its test; by default its test is skipped, with what was seen as the reason. */
  strict?: boolean;
  /** Folder of the report. Default: `reports/latest`. */
  report?: string;
  /** Is told what the harness is doing, line by line. Default: nobody. */
  onProgress?: (line: string) => void;
}

/** A requirement, as `conformance list --json` has it. */
interface Row {
  id: string;
  suite: string;
  level: 'MUST' | 'SHOULD' | 'MAY';
  statement: string;
}

/** What came of a requirement, as report.json has it. */
interface Result {
  id: string;
  outcome: 'passed' | 'failed' | 'not applicable' | 'not testable' | 'disabled' | 'harness error';
  reason?: string;
  findings?: { cause: string; count: number }[];
  rationale?: string;
  remedy?: string;
  source?: string[];
}

/** Of a test, what is used here: it is the same in every version of Vitest since 3. */
interface Task {
  name: string;
  mode: string;
  type: string;
  tasks?: Task[];
  suite?: Task | undefined;
}

const CONFORMANCE = fileURLToPath(new URL('../cli/conformance.mjs', import.meta.url));

/** Vitest waits without end; the harness has deadlines of its own. */
const NO_TIMEOUT = 0;

/** Lines of the harness's own messages that are kept for an error. */
const KEPT_LINES = 15;

/**
 * Declares one test for each requirement that binds the targets, in a group for each suite. One run of
 * `conformance run` evaluates those that Vitest's filters (`-t`, `.only`, a line number) leave, and writes the report.
 * Call it at the top of a test file: `await conformance({ target: './agent.yaml' })`.
 *
 * A test passes, fails with what was seen and how to fix it, or is skipped with a reason: not applicable, disabled, or
 * a SHOULD that is not kept. A harness error fails it too, and says that it is no verdict.
 *
 * @throws Error for a target file or an option that does not fit, in the words of the command line
 */
export async function conformance(options: ConformanceOptions): Promise<void> {
  const rows = await plannedRows(options);
  const title = `conformance of ${targetsOf(options).join(', ')}`;
  describe(title, () => {
    let run: Run | undefined;
    afterAll(() => run?.end(), NO_TIMEOUT);
    for (const suite of new Set(rows.map((row) => row.suite))) {
      describe(suite, () => {
        for (const row of rows.filter((one) => one.suite === suite)) {
          test(`${row.id} ${row.statement}`, { timeout: NO_TIMEOUT }, async ({ task, skip }) => {
            run ??= new Run(options, askedIn(groupOf(task, title)), rows.length);
            const note = noteOf(row, await run.result(row.id), options.strict === true);
            if (note !== undefined) {
              skip(note);
            }
          });
        }
      });
    }
  });
}

/** The group of a title that a test is in. */
function groupOf(test: Task, title: string): Task {
  let group = test;
  while (group.name !== title && group.suite !== undefined) {
    group = group.suite;
  }
  return group;
}

/** The ids of the tests below a suite that are to be run. */
function askedIn({ tasks = [] }: Task): string[] {
  return tasks.flatMap((task) => {
    if (task.mode === 'skip' || task.mode === 'todo') {
      return [];
    }
    return task.type === 'suite' ? askedIn(task) : [task.name.split(' ', 1)[0] ?? ''];
  });
}

/**
 * @returns why the test is skipped; undefined where it passed
 * @throws Error where it is red
 */
function noteOf({ level }: Row, result: Result, strict: boolean): string | undefined {
  const { outcome, reason = outcome } = result;
  if (outcome === 'passed') {
    return undefined;
  }
  if (outcome === 'not applicable' || outcome === 'disabled') {
    return `${outcome}: ${reason}`;
  }
  if (outcome === 'harness error') {
    throw bare(`harness error, which says nothing about the implementation: ${reason}`);
  }
  if (level !== 'MUST' && !strict) {
    return `${level} not kept: ${reason}`;
  }
  throw bare(describeFailure(result));
}

function describeFailure({ id, outcome, reason = outcome, findings = [], ...about }: Result): string {
  const { rationale, remedy, source = [] } = about;
  const causes = findings.map(({ cause, count }) => `  ${cause}${count > 1 ? ` (${count} times)` : ''}`);
  return [
    outcome === 'not testable' ? `not testable: ${reason}` : reason,
    ...(causes.length > 1 ? ['Everything that was found:', ...causes] : []),
    ...(rationale === undefined ? [] : [`Why it matters: ${rationale}`]),
    ...(outcome === 'not testable' ? ['How to fix it: make what is missing work first'] : []),
    ...(remedy === undefined
      ? []
      : [`${outcome === 'not testable' ? 'If it fails then' : 'How to fix it'}: ${remedy}`]),
    ...(source.length === 0 ? [] : [`Source: ${source.join('; ')}`]),
    `Evidence: npx kube-agent-conformance explain ${id} --report FOLDER, or report.html there`,
  ].join('\n');
}

/** An error of which the stack says nothing: nobody's own code is in it. */
function bare(message: string): Error {
  const error = new Error(message);
  error.stack = `Error: ${message}`;
  return error;
}

function targetsOf({ target }: ConformanceOptions): string[] {
  return [target].flat().map((one) => {
    const given = String(one);
    return given.startsWith('file:') ? fileURLToPath(given) : given;
  });
}

function selectionOf(options: ConformanceOptions): string[] {
  const { suites = [], requirements = [], set = {}, namespaces = [] } = options;
  return [
    ...suites,
    ...targetsOf(options).flatMap((file) => ['--target', file]),
    ...Object.entries(set).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
    ...requirements.flatMap((id) => ['--requirement', id]),
    ...namespaces.flatMap((name) => ['--namespace', name]),
  ];
}

/** The requirements that bind the targets, in the order of the catalogue. Nothing is started for it. */
async function plannedRows(options: ConformanceOptions): Promise<Row[]> {
  const [plan, catalogue] = (await Promise.all([
    answerOf(['plan', ...selectionOf(options), '--output', 'json']),
    answerOf(['list', '--json']),
  ])) as [Record<'requirements' | 'notApplicable', { id: string }[]>, Row[]];
  const planned = new Set([...plan.requirements, ...plan.notApplicable].map(({ id }) => id));
  return catalogue.filter(({ id }) => planned.has(id));
}

/** What a command prints, as JSON. */
async function answerOf(words: string[]): Promise<unknown> {
  const child = spawnConformance(words);
  const output: Record<'stdout' | 'stderr', string> = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (text: string) => {
      output[stream] += text;
    });
  }
  const code = await ended(child);
  if (code !== 0) {
    throw bare(`conformance ${words.join(' ')} ended with exit code ${code}:\n${output.stderr.trim()}`);
  }
  return JSON.parse(output.stdout);
}

/** The command line on this Node. It ends when this process does: of the channel nothing but its end is used. */
function spawnConformance(words: string[]): ChildProcess {
  // The command line starts a Vitest of its own, which must not take itself for a worker of this one.
  const environment = Object.entries(process.env).filter(([name]) => !/^(VITEST(_.*)?|NODE_OPTIONS|TEST)$/.test(name));
  return spawn(process.execPath, [CONFORMANCE, ...words], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: Object.fromEntries(environment),
  });
}

function ended(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? code ?? 'unknown'));
  });
}

/** The results of a report; undefined where there is none of this run. */
function resultsOf(file: string, runId: string): Map<string, Result> | undefined {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8')) as { runId: string; results: Result[] };
    return report.runId === runId ? new Map(report.results.map((result) => [result.id, result])) : undefined;
  } catch {
    return undefined;
  }
}

/** One `conformance run`, and what it tells about each requirement. */
class Run {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #folder: string;
  /** What passed, or does not count: it is not evaluated again. */
  readonly #settled = new Map<string, Result>();
  readonly #waiting = new Map<string, (result: Result) => void>();
  readonly #asked: string[];
  readonly #lastLines: string[] = [];
  #runId: string | undefined;
  #reported: Map<string, Result> | undefined;
  #failure: Error | undefined;

  constructor(options: ConformanceOptions, asked: string[], planned: number) {
    const { cluster, context, identityProvider, clock, environment, strict, report } = options;
    this.#asked = asked;
    this.#folder = report ?? join('reports', 'latest');
    this.#child = spawnConformance([
      'run',
      ...selectionOf(asked.length === planned ? options : { ...options, suites: [], requirements: asked }),
      ...(cluster === undefined ? [] : ['--cluster', cluster]),
      ...(context === undefined ? [] : ['--context', context]),
      ...(cluster === 'kubeconfig' ? ['--yes'] : []),
      ...(identityProvider === undefined ? [] : ['--idp', identityProvider]),
      ...(clock === undefined ? [] : ['--clock', clock]),
      ...(environment === undefined ? [] : ['--env', environment]),
      ...(strict === true ? ['--strict'] : []),
      ...['--report', this.#folder, '--json'],
    ]);
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) {
      throw new Error('the command line was started without its output');
    }
    createInterface({ input: stdout }).on('line', (line) => this.#take(line));
    createInterface({ input: stderr }).on('line', (line) => {
      this.#lastLines.push(line);
      this.#lastLines.splice(0, this.#lastLines.length - KEPT_LINES);
      options.onProgress?.(line);
    });
    this.#ended = ended(this.#child).then(
      (code) => this.#settleAll(`conformance run ended with exit code ${code}`),
      (error: Error) => this.#settleAll(error.message),
    );
  }

  /** A line of `run --json`. */
  #take(line: string): void {
    const event = JSON.parse(line) as { event: string; runId?: string } & Result;
    if (event.event === 'begin') {
      this.#runId = event.runId;
    }
    // What is red may be evaluated a second time: it is told at the end.
    const isFinal = ['passed', 'not applicable', 'disabled'].includes(event.outcome);
    if (event.event === 'result' && isFinal) {
      this.#settled.set(event.id, event);
      this.#waiting.get(event.id)?.(event);
    }
  }

  #settleAll(how: string): void {
    const reported = this.#runId === undefined ? undefined : resultsOf(join(this.#folder, 'report.json'), this.#runId);
    if (reported === undefined) {
      this.#failure = bare(`${how}, and there is no verdict:\n${this.#lastLines.join('\n')}`);
    }
    this.#reported = reported;
    for (const [id, resolve] of this.#waiting) {
      resolve(this.#told(id));
    }
  }

  #told(id: string): Result {
    const message = this.#failure?.message ?? 'the report does not have it';
    return this.#reported?.get(id) ?? { id, outcome: 'harness error', reason: message };
  }

  /** What came of a requirement, as soon as that is certain. */
  async result(id: string): Promise<Result> {
    const settled = this.#settled.get(id);
    if (settled !== undefined) {
      return settled;
    }
    if (this.#reported !== undefined || this.#failure !== undefined) {
      return this.#told(id);
    }
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
    });
  }

  /** Waits until everything is cleaned up. Where Vitest broke off (`--bail`), the run is ended first. */
  async end(): Promise<void> {
    if (this.#reported === undefined && this.#failure === undefined) {
      if (!this.#asked.every((id) => this.#settled.has(id))) {
        this.#child.kill('SIGTERM');
      }
    }
    await this.#ended;
  }
}
